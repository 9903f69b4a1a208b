import { OrchestratorError } from '@agent-orchestrator/core';

/** State by tenant, in memory. The state of one tenant is not reachable with the id of another. */
export class TenantState<T> {
  readonly #states = new Map<string, T>();
  readonly #create: () => T;
  readonly #maxTenants: number;

  /** @param maxTenants default 10,000. */
  constructor(create: () => T, maxTenants = 10_000) {
    this.#create = create;
    this.#maxTenants = maxTenants;
  }

  /**
   * The tenant's state, created at its first use.
   *
   * @throws {OrchestratorError} `budget_exceeded` for too many tenants.
   */
  of(tenantId: string): T {
    let state = this.#states.get(tenantId);
    if (state === undefined) {
      refuseBeyond(this.#states.size, this.#maxTenants, 'tenants');
      state = this.#create();
      this.#states.set(tenantId, state);
    }
    return state;
  }

  /** The tenant's state, if there is one. Reading creates none. */
  peek(tenantId: string): T | undefined {
    return this.#states.get(tenantId);
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
