import type { TenantState } from './tenant-state.js';

/** Number of dropped tenants remembered individually. */
const REMEMBERED = 10_000;

/**
 * Tenants with stored state, by id and in id order. A dropped tenant with events starts another log when it
 * returns, so that a cursor into the old log is answered with a gap; tenants that never existed start with the
 * first log.
 */
export class TenantDirectory {
  private readonly tenants = new Map<string, TenantState>();
  /** In ascending order. */
  private readonly ids: string[] = [];
  /** Tenant to the number of its last drop. The oldest entries are evicted. */
  private readonly dropped = new Map<string, number>();
  private drops = 0;
  /** Highest evicted number: applies to every tenant that is not remembered. */
  private forgotten = 0;
  /** Id of the last tenant of the background scan. */
  private scannedTo: string | undefined;

  get size(): number {
    return this.tenants.size;
  }

  get(tenantId: string): TenantState | undefined {
    return this.tenants.get(tenantId);
  }

  add(tenant: TenantState): void {
    const { tenantId } = tenant;
    if (this.tenants.has(tenantId)) return;
    this.tenants.set(tenantId, tenant);
    this.ids.splice(this.rank(tenantId), 0, tenantId);
  }

  /** A log that never had an event continues when the tenant returns: nothing after its cursors was lost. */
  drop({ tenantId, events }: TenantState): void {
    if (!this.tenants.delete(tenantId)) return;
    this.ids.splice(this.rank(tenantId), 1);
    if (events.seq === 0) return;
    this.drops += 1;
    this.dropped.delete(tenantId);
    this.dropped.set(tenantId, this.drops);
    const [oldest] = this.dropped;
    if (!oldest || this.dropped.size <= REMEMBERED) return;
    this.dropped.delete(oldest[0]);
    this.forgotten = oldest[1];
  }

  /** Number of the log that the tenant would start now: 0 for the first. */
  logOf(tenantId: string): number {
    return this.dropped.get(tenantId) ?? this.forgotten;
  }

  /** Tenants with a greater id, in order. */
  *after(tenantId: string | undefined): Generator<TenantState> {
    let at = tenantId === undefined ? 0 : this.rank(tenantId);
    if (this.ids[at] === tenantId) at += 1;
    for (; at < this.ids.length; at += 1) yield this.tenants.get(this.ids[at] as string) as TenantState;
  }

  /** Next tenant of the background scan; `undefined` at the end of a pass. */
  next(): TenantState | undefined {
    const [next] = this.after(this.scannedTo);
    this.scannedTo = next?.tenantId;
    return next;
  }

  /** Number of smaller ids. */
  private rank(tenantId: string): number {
    let low = 0;
    let high = this.ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.ids[middle] as string) < tenantId) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
