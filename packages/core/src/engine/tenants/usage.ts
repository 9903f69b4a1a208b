import type { Usage } from '../../protocol/service-call.js';
import type { UsageRow, AddUsageParams, SumUsageParams } from '../../storage/usage-ledger.js';
import { dayOf, OTHER_USAGE, tooManyRows } from '../../storage/usage-ledger.js';
import type { EngineLimits, EngineState } from '../engine-state.js';
import type { CallEntry } from '../tasks/task-entry.js';

type Limits = Pick<EngineLimits, 'usageRetentionMs' | 'maxUsageRows' | 'idempotencyMs'>;
type Addition = Omit<UsageRow, 'day' | 'requests'>;

const DAY_MS = 24 * 60 * 60_000;

/** Consumption of tenants. Independent of the retention of tasks. */
export class UsageBook {
  /** By tenant, then day. Tenants in the order in which they are checked for expired days. */
  private readonly tenants = new Map<string, Map<string, Map<string, UsageRow>>>();
  /** Recent ids in two generations, so that the older one is dropped as a whole. */
  private ids = { since: 0, recent: new Set<string>(), before: new Set<string>() };

  constructor(private readonly limits: Limits) {}

  /** Whether the id is new. Ids are remembered for at least `idempotencyMs`. */
  isNew(tenantId: string, id: string, now: number): boolean {
    this.forgetIds(now);
    const key = `${tenantId}\n${id}`;
    if (this.ids.recent.has(key) || this.ids.before.has(key)) return false;
    this.ids.recent.add(key);
    return true;
  }

  add(tenantId: string, now: number, addition: Addition): void {
    const days = this.tenants.get(tenantId) ?? new Map<string, Map<string, UsageRow>>();
    this.tenants.set(tenantId, days);
    const day = dayOf(now);
    const rows = days.get(day) ?? new Map<string, UsageRow>();
    days.set(day, rows);
    let { model, operation } = addition;
    if (!rows.has(keyOf(model, operation)) && rows.size >= this.limits.maxUsageRows - 1)
      ({ model, operation } = OTHER_USAGE);
    const key = keyOf(model, operation);
    const row = rows.get(key) ?? { day, model, operation, tokens: 0, requests: 0, saved_tokens: 0 };
    rows.set(key, {
      ...row,
      tokens: row.tokens + addition.tokens,
      requests: row.requests + 1,
      saved_tokens: row.saved_tokens + addition.saved_tokens,
    });
  }

  *rows(tenantId: string, now: number, from: string, to: string): Generator<UsageRow> {
    const oldest = this.oldestDay(now);
    for (const [day, rows] of this.tenants.get(tenantId) ?? [])
      if (day >= oldest && day >= from && day <= to) for (const row of rows.values()) yield { ...row };
  }

  /** Rows of all tenants by day, of days that are not expired. */
  *days(now: number): Generator<{ readonly tenantId: string; readonly rows: readonly UsageRow[] }> {
    const oldest = this.oldestDay(now);
    for (const [tenantId, days] of this.tenants)
      for (const [day, rows] of days) if (day >= oldest) yield { tenantId, rows: [...rows.values()] };
  }

  /** Adds a row of another storage, which this one does not have. */
  restore(tenantId: string, row: UsageRow): void {
    const days = this.tenants.get(tenantId) ?? new Map<string, Map<string, UsageRow>>();
    this.tenants.set(tenantId, days);
    const rows = days.get(row.day) ?? new Map<string, UsageRow>();
    days.set(row.day, rows);
    rows.set(keyOf(row.model, row.operation), row);
  }

  /** Checks the next `max` tenants and drops expired days. */
  forget(now: number, max: number): void {
    this.forgetIds(now);
    const oldest = this.oldestDay(now);
    for (let left = Math.min(max, this.tenants.size); left > 0; left -= 1) {
      const [first] = this.tenants;
      if (!first) return;
      const [tenantId, days] = first;
      for (const day of days.keys()) if (day < oldest) days.delete(day);
      this.tenants.delete(tenantId);
      if (days.size > 0) this.tenants.set(tenantId, days);
    }
  }

  private oldestDay(now: number): string {
    return dayOf(now - this.limits.usageRetentionMs - DAY_MS);
  }

  private forgetIds(now: number): void {
    const { since, recent } = this.ids;
    if (now - since < this.limits.idempotencyMs) return;
    const isLongAgo = now - since >= 2 * this.limits.idempotencyMs;
    this.ids = { since: now, recent: new Set(), before: isLongAgo ? new Set() : recent };
  }
}

function keyOf(model: string, operation: string): string {
  return `${model}\n${operation}`;
}

/** Records the consumption of a call. */
export function addUsage(state: EngineState, tenantId: string, call: CallEntry, usage: Usage): void {
  state.usage.add(tenantId, state.now(), {
    model: usage.model,
    operation: `${call.service}.${call.operation}`,
    tokens: usage.tokens,
    saved_tokens: usage.saved_tokens ?? 0,
  });
}

/** Usage as added and read by hosts. */
export class UsageSums {
  constructor(private readonly state: EngineState) {}

  add({ tenantId, id, savedTokens, ...addition }: AddUsageParams): void {
    const now = this.state.now();
    if (this.state.usage.isNew(tenantId, id, now))
      this.state.usage.add(tenantId, now, { ...addition, saved_tokens: savedTokens });
  }

  sum({ tenantId, from, to }: SumUsageParams): readonly UsageRow[] {
    const most = this.state.limits.usageRowsAtOnce;
    const found: UsageRow[] = [];
    for (const row of this.state.usage.rows(tenantId, this.state.now(), from, to)) {
      if (found.length >= most) throw tooManyRows(most);
      found.push(row);
    }
    return found;
  }
}
