import type { TenantState } from './tenant-state.js';

/** So many tenants that were dropped are remembered one by one. */
const REMEMBERED = 10_000;

/**
 * The tenants that something is kept of: by id, also in the order of their ids. It knows which log a tenant begins when it
 * comes back after it was dropped: a new one, so that a cursor into the old one is answered with a gap. Other tenants, also
 * those that were never made, keep theirs.
 */
export class TenantDirectory {
  readonly #tenants = new Map<string, TenantState>();
  /** In order. */
  readonly #ids: string[] = [];
  /** By tenant: the how-manieth to be dropped it was, the last time. The oldest are forgotten. */
  readonly #dropped = new Map<string, number>();
  #drops = 0;
  /** Of those that are forgotten: what any tenant may have been that is not remembered. */
  #forgotten = 0;
  /** Where the look at all of them stands. */
  #cursor = this.#tenants.values();

  get size(): number {
    return this.#tenants.size;
  }

  get(tenantId: string): TenantState | undefined {
    return this.#tenants.get(tenantId);
  }

  add(tenant: TenantState): void {
    const { tenantId } = tenant;
    if (this.#tenants.has(tenantId)) return;
    this.#tenants.set(tenantId, tenant);
    this.#ids.splice(this.#rank(tenantId), 0, tenantId);
  }

  drop({ tenantId }: TenantState): void {
    if (!this.#tenants.delete(tenantId)) return;
    this.#ids.splice(this.#rank(tenantId), 1);
    this.#drops += 1;
    this.#dropped.delete(tenantId);
    this.#dropped.set(tenantId, this.#drops);
    const [oldest] = this.#dropped;
    if (!oldest || this.#dropped.size <= REMEMBERED) return;
    this.#dropped.delete(oldest[0]);
    this.#forgotten = oldest[1];
  }

  /** Which of its logs the tenant would begin now: 0 for the first. */
  logOf(tenantId: string): number {
    return this.#dropped.get(tenantId) ?? this.#forgotten;
  }

  /** Those whose ids come after this one, in order. */
  *after(tenantId: string | undefined): Generator<TenantState> {
    let at = tenantId === undefined ? 0 : this.#rank(tenantId);
    if (this.#ids[at] === tenantId) at += 1;
    for (; at < this.#ids.length; at += 1) yield this.#tenants.get(this.#ids[at] as string) as TenantState;
  }

  /** The next one of a look at all of them that goes on from call to call; nothing at its end. */
  next(): TenantState | undefined {
    const next = this.#cursor.next();
    if (next.done !== true) return next.value;
    this.#cursor = this.#tenants.values();
    return undefined;
  }

  /** How many ids come before this one. */
  #rank(tenantId: string): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ids[middle] as string) < tenantId) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
