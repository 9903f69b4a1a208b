import { Shares } from './shares.js';

export interface AdmissionLimits {
  readonly maxUnauthenticated: number;
  readonly maxUnauthenticatedPerAddress: number;
  readonly maxConnectionsPerTenant: number;
  readonly maxConnectionsPerService: number;
  readonly maxHeldBytesPerService: number;
}

/** Whose connection it is, once that is known. */
export type ConnectionOwner = { readonly tenant: string } | { readonly service: string };

/** The place of one connection: of an address first, then of a tenant or a service. */
export interface Seat {
  /** The connection is authenticated. @returns whether its owner may have one more. */
  assign(owner: ConnectionOwner): boolean;
  /** The connection is over. */
  leave(): void;
}

/** Sees to it that no address, tenant or service takes everything there is of this process. */
export class Admission {
  readonly #unauthenticated: Shares;
  readonly #ofAddress: Shares;
  readonly #ofTenant: Shares;
  readonly #ofService: Shares;
  /** Frames without `message_id` that wait for the storage, in bytes. */
  readonly heldBytes: Shares;

  constructor(limits: AdmissionLimits) {
    this.#unauthenticated = new Shares(limits.maxUnauthenticated);
    this.#ofAddress = new Shares(limits.maxUnauthenticatedPerAddress);
    this.#ofTenant = new Shares(limits.maxConnectionsPerTenant);
    this.#ofService = new Shares(limits.maxConnectionsPerService);
    this.heldBytes = new Shares(limits.maxHeldBytesPerService);
  }

  /** A place for a connection that is not authenticated yet; `undefined` when there is none for its address. */
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

  /** One more connection of an authenticated owner. @returns how to give it back; `undefined` when it has as many as it may. */
  connect(owner: ConnectionOwner): (() => void) | undefined {
    return 'tenant' in owner ? this.#ofTenant.take(owner.tenant) : this.#ofService.take(owner.service);
  }
}
