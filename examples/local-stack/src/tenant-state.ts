import { OrchestratorError } from '@agent-orchestrator/core';

/** What each tenant has of something, in memory. One tenant's part can't be reached with another's id. */
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
   * The tenant's part, made when it is first needed.
   *
   * @throws {OrchestratorError} `budget_exceeded` when there are too many tenants.
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

  /** The tenant's part if it has one. Reading makes none. */
  peek(tenantId: string): T | undefined {
    return this.#states.get(tenantId);
  }
}

/**
 * Refuses one more of something that is limited.
 *
 * @throws {OrchestratorError} `budget_exceeded`, not retryable: it stays full until something is deleted.
 */
export function refuseBeyond(count: number, limit: number, what: string): void {
  if (count < limit) return;
  throw new OrchestratorError('budget_exceeded', `expected at most ${limit} ${what}, there are ${count}`, {
    retryable: false,
  });
}
