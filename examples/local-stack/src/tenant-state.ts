import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { messageOf } from '@agent-orchestrator/core/protocol';
import type { EntryChange, EntryStore } from '@agent-orchestrator/core/storage';
import type { DurableState, OperationContext } from './service-definition.js';

/** State of a tenant that is read from a store. */
export interface Restoring<T> {
  /** Adds an entry; they come in any order. @throws for a value that is not of this service. */
  add(key: string, value: JsonValue): void;
  /** The state, once all entries are added. */
  end(): T | Promise<T>;
}

export interface TenantStateOptions<T> {
  /** Empty state. */
  readonly create: () => T;
  readonly restoring: () => Restoring<T>;
  /** Default 10,000. */
  readonly maxTenants?: number;
}

/** A change of a tenant's state: it is stored first, and then made in memory. */
export interface Change<R> {
  readonly entries: readonly EntryChange[];
  /** Makes it in memory: it must not fail. */
  readonly apply: () => R;
}

/** Changes of one tenant, one at a time. */
interface Turn {
  last: Promise<unknown>;
  waiting: number;
}

const MAX_WAITING = 1_000;

/**
 * State by tenant, in memory, and in a store once it was restored from one. The state of one tenant is not reachable with
 * the id of another.
 *
 * Changes of a tenant are made one at a time. Each is stored before it is visible: one that could not be stored has changed
 * nothing.
 */
export class TenantState<T> implements DurableState {
  readonly #states = new Map<string, T>();
  readonly #turns = new Map<string, Turn>();
  readonly #options: TenantStateOptions<T>;
  readonly #maxTenants: number;
  #store: EntryStore | undefined;

  constructor(options: TenantStateOptions<T>) {
    this.#options = options;
    this.#maxTenants = options.maxTenants ?? 10_000;
  }

  /** The tenant's state, if there is one. Reading creates none. */
  peek(tenantId: string): T | undefined {
    return this.#states.get(tenantId);
  }

  /** Takes the state of a store, before any change. Further changes are stored there. */
  async restore(store: EntryStore, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const tenants = new Map<string, Restoring<T>>();
    for await (const { tenantId, key, value } of store.entries({ signal })) {
      const tenant = tenants.get(tenantId) ?? this.#options.restoring();
      tenants.set(tenantId, tenant);
      try {
        tenant.add(key, value);
      } catch (cause) {
        const message = `entry "${key}" of tenant "${tenantId}" cannot be restored: ${messageOf(cause)}`;
        throw new OrchestratorError('internal_error', message, { cause });
      }
    }
    for (const [tenantId, tenant] of tenants) {
      signal.throwIfAborted();
      this.#states.set(tenantId, await tenant.end());
    }
    this.#store = store;
  }

  /**
   * Changes the tenant's state, which is created at its first change.
   *
   * @param plan checks the change against the state, and changes nothing.
   * @throws {OrchestratorError} what `plan` throws; `storage_unavailable` when the change could not be stored;
   *   `budget_exceeded` for too many tenants; `rate_limited` for too many changes at once.
   */
  change<R>(
    context: Pick<OperationContext, 'tenant_id' | 'signal'>,
    plan: (state: T) => Change<R>,
  ): Promise<R> {
    const { tenant_id: tenantId, signal } = context;
    return this.#inTurn(tenantId, async () => {
      signal.throwIfAborted();
      const known = this.#states.get(tenantId);
      if (known === undefined) refuseBeyond(this.#states.size, this.#maxTenants, 'tenants');
      const state = known ?? this.#options.create();
      const { entries, apply } = plan(state);
      if (entries.length > 0) await this.#store?.put({ tenantId, changes: entries });
      this.#states.set(tenantId, state);
      return apply();
    });
  }

  async #inTurn<R>(tenantId: string, work: () => Promise<R>): Promise<R> {
    const turn = this.#turns.get(tenantId) ?? { last: Promise.resolve(), waiting: 0 };
    if (turn.waiting >= MAX_WAITING) {
      const message = `expected at most ${MAX_WAITING} changes of a tenant at once, there are ${turn.waiting}`;
      throw new OrchestratorError('rate_limited', message);
    }
    this.#turns.set(tenantId, turn);
    turn.waiting += 1;
    const done = turn.last.then(work);
    turn.last = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      turn.waiting -= 1;
      if (turn.waiting === 0) this.#turns.delete(tenantId);
    }
  }
}

/**
 * Refuses an addition at a limit.
 *
 * @throws {OrchestratorError} `budget_exceeded`, not retryable: it stays full until something is deleted.
 */
export function refuseBeyond(count: number, limit: number, what: string): void {
  if (count < limit) return;
  throw new OrchestratorError('budget_exceeded', `expected at most ${limit} ${what}, there are ${count}`, {
    retryable: false,
  });
}
