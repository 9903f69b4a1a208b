import { Shares } from './shares.js';

export interface AdmissionLimits {
  readonly maxUnauthenticated: number;
  readonly maxUnauthenticatedPerAddress: number;
  readonly maxConnectionsPerTenant: number;
  readonly maxConnectionsPerService: number;
  readonly maxHeldBytesPerService: number;
}

/** Owner of an authenticated connection. */
export type ConnectionOwner = { readonly tenant: string } | { readonly service: string };

/** Maximum of streams of all operators. */
const MAX_OPERATOR_STREAMS = 100;

/** Slot of one connection: counted for an address first, then for a tenant or a service. */
export interface Seat {
  /** Authenticated. @returns whether the owner may have another connection. */
  assign(owner: ConnectionOwner): boolean;
  /** Frees the slot. */
  leave(): void;
}

/** Limits of connections and memory by address, tenant and service. */
export class Admission {
  readonly #unauthenticated: Shares;
  readonly #ofAddress: Shares;
  readonly #ofTenant: Shares;
  readonly #ofService: Shares;
  readonly #ofOperators = new Shares(MAX_OPERATOR_STREAMS);
  /** Bytes of frames without `message_id` that wait for the storage. */
  readonly heldBytes: Shares;

  constructor(limits: AdmissionLimits) {
    this.#unauthenticated = new Shares(limits.maxUnauthenticated);
    this.#ofAddress = new Shares(limits.maxUnauthenticatedPerAddress);
    this.#ofTenant = new Shares(limits.maxConnectionsPerTenant);
    this.#ofService = new Shares(limits.maxConnectionsPerService);
    this.heldBytes = new Shares(limits.maxHeldBytesPerService);
  }

  /** Slot of an unauthenticated connection; `undefined` when its address has none left. */
  enter(address: string): Seat | undefined {
    const all = this.#unauthenticated.take('all');
    const own = all && this.#ofAddress.take(address);
    if (!all || !own) {
      all?.();
      return undefined;
    }
    let leave = () => {
      all();
      own();
    };
    return {
      assign: (owner) => {
        const assigned = this.connect(owner);
        if (!assigned) return false;
        leave();
        leave = assigned;
        return true;
      },
      leave: () => leave(),
    };
  }

  /** Slot of an authenticated owner. @returns a release function; `undefined` at its maximum. */
  connect(owner: ConnectionOwner): (() => void) | undefined {
    return 'tenant' in owner ? this.#ofTenant.take(owner.tenant) : this.#ofService.take(owner.service);
  }

  /** Slot of a stream of an operator. @returns a release function; `undefined` at the maximum of all operators. */
  connectOperator(): (() => void) | undefined {
    return this.#ofOperators.take('all');
  }
}
