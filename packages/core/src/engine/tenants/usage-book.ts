import {
  addAmounts,
  dayOf,
  OTHER_ORIGIN,
  OTHER_USAGE,
  type UsageAmounts,
  type UsageDetail,
  type UsageOrigin,
  type UsageRow,
} from '../../storage/usage-ledger.js';
import type { EngineLimits } from '../engine-state.js';

type Limits = Pick<
  EngineLimits,
  'usageRetentionMs' | 'maxUsageRows' | 'usageDetailRetentionMs' | 'maxUsageDetails' | 'idempotencyMs'
>;
type DaysOf<R> = Map<string, Map<string, Map<string, R>>>;

/** Usage of one call, or several. */
export interface UsageAddition extends UsageAmounts {
  readonly model: string;
  readonly operation: string;
}

const DAY_MS = 24 * 60 * 60_000;
const NOTHING: UsageAmounts = { tokens: 0, requests: 0, saved_tokens: 0 };

/** Usage of tenants. Independent of the retention of tasks. */
export class UsageBook {
  /** By tenant, then day, then model and operation. Tenants in the order in which they are checked for expired days. */
  private readonly tenants: DaysOf<UsageRow> = new Map();
  /** The same with origins, of fewer days. */
  private readonly details: DaysOf<UsageDetail> = new Map();
  /** Sums that the budgets of a tenant ask for: of a day, and of "<first day> <last day>". */
  private readonly totals = new Map<string, Map<string, UsageAmounts>>();
  /** Recent ids in two generations, so that the older one is dropped as a whole. */
  private ids = { since: 0, recent: new Set<string>(), before: new Set<string>() };

  constructor(private readonly limits: Limits) {}

  /** Whether the id was used. */
  knows(tenantId: string, id: string): boolean {
    const key = `${tenantId}\n${id}`;
    return this.ids.recent.has(key) || this.ids.before.has(key);
  }

  /** Whether the id is new. Ids are remembered for at least `idempotencyMs`. */
  isNew(tenantId: string, id: string, now: number): boolean {
    this.forgetIds(now);
    if (this.knows(tenantId, id)) return false;
    this.ids.recent.add(`${tenantId}\n${id}`);
    return true;
  }

  add(tenantId: string, now: number, addition: UsageAddition, origin: UsageOrigin): void {
    const day = dayOf(now);
    const rows = rowsOf(this.tenants, tenantId, day);
    let names: Pick<UsageRow, 'model' | 'operation'> = addition;
    if (!rows.has(keyOf(names)) && rows.size >= this.limits.maxUsageRows - 1) names = OTHER_USAGE;
    const { model, operation } = names;
    const row = { ...addition, day, model, operation };
    addTo(rows, keyOf(row), row);
    this.addToTotals(tenantId, day, addition);
    const details = rowsOf(this.details, tenantId, day);
    const own = { ...row, ...origin };
    const isFull = !details.has(detailKeyOf(own)) && details.size >= this.limits.maxUsageDetails;
    const detail = isFull ? { ...row, ...OTHER_ORIGIN } : own;
    addTo(details, detailKeyOf(detail), detail);
  }

  /** Usage of the days `from` to `to` in all. */
  total(tenantId: string, from: string, to: string): UsageAmounts {
    const range = `${from} ${to}`;
    const days = this.totals.get(tenantId) ?? new Map<string, UsageAmounts>();
    this.totals.set(tenantId, days);
    let total = days.get(range);
    if (!total) {
      total = NOTHING;
      for (const day of this.tenants.get(tenantId)?.keys() ?? [])
        if (day >= from && day <= to) total = addAmounts(total, this.totalOf(tenantId, day));
      days.set(range, total);
    }
    return total;
  }

  private addToTotals(tenantId: string, day: string, addition: UsageAddition): void {
    const totals = this.totals.get(tenantId);
    for (const [range, total] of totals ?? []) {
      const [from = '', to = from] = range.split(' ');
      if (day >= from && day <= to) totals?.set(range, addAmounts(total, addition));
    }
  }

  private totalOf(tenantId: string, day: string): UsageAmounts {
    const days = this.totals.get(tenantId) ?? new Map<string, UsageAmounts>();
    this.totals.set(tenantId, days);
    let total = days.get(day);
    if (!total) {
      total = NOTHING;
      for (const row of this.tenants.get(tenantId)?.get(day)?.values() ?? []) total = addAmounts(total, row);
      days.set(day, total);
    }
    return total;
  }

  rows(tenantId: string, now: number, from: string, to: string): Generator<UsageRow> {
    return rowsBetween(this.tenants, tenantId, [this.oldestDay(now), from, to]);
  }

  detailRows(tenantId: string, now: number, from: string, to: string): Generator<UsageDetail> {
    return rowsBetween(this.details, tenantId, [this.oldestDetailDay(now), from, to]);
  }

  /** Rows of all tenants by day, of days that are not expired. */
  *days(now: number): Generator<{ readonly tenantId: string; readonly rows: readonly UsageRow[] }> {
    const oldest = this.oldestDay(now);
    for (const [tenantId, days] of this.tenants)
      for (const [day, rows] of days) if (day >= oldest) yield { tenantId, rows: [...rows.values()] };
  }

  *detailDays(now: number): Generator<{ readonly tenantId: string; readonly rows: readonly UsageDetail[] }> {
    const oldest = this.oldestDetailDay(now);
    for (const [tenantId, days] of this.details)
      for (const [day, rows] of days) if (day >= oldest) yield { tenantId, rows: [...rows.values()] };
  }

  /** Adds a row of another storage, which this one does not have. */
  restore(tenantId: string, row: UsageRow): void {
    rowsOf(this.tenants, tenantId, row.day).set(keyOf(row), row);
    this.totals.delete(tenantId);
  }

  restoreDetail(tenantId: string, row: UsageDetail): void {
    rowsOf(this.details, tenantId, row.day).set(detailKeyOf(row), row);
  }

  /** Checks the next `max` tenants and drops expired days. */
  forget(now: number, max: number): void {
    this.forgetIds(now);
    for (let left = Math.min(max, this.tenants.size); left > 0; left -= 1) {
      const [first] = this.tenants;
      if (!first) return;
      const [tenantId, days] = first;
      dropBefore(this.details, tenantId, this.oldestDetailDay(now));
      dropBefore(this.tenants, tenantId, this.oldestDay(now));
      dropBefore(this.totals, tenantId, this.oldestDetailDay(now));
      if (days.size === 0) continue;
      this.tenants.delete(tenantId);
      this.tenants.set(tenantId, days);
    }
  }

  private oldestDay(now: number): string {
    return dayOf(now - this.limits.usageRetentionMs - DAY_MS);
  }

  private oldestDetailDay(now: number): string {
    return dayOf(now - this.limits.usageDetailRetentionMs - DAY_MS);
  }

  private forgetIds(now: number): void {
    const { since, recent } = this.ids;
    if (now - since < this.limits.idempotencyMs) return;
    const isLongAgo = now - since >= 2 * this.limits.idempotencyMs;
    this.ids = { since: now, recent: new Set(), before: isLongAgo ? new Set() : recent };
  }
}

function rowsOf<R>(tenants: DaysOf<R>, tenantId: string, day: string): Map<string, R> {
  const days = tenants.get(tenantId) ?? new Map<string, Map<string, R>>();
  tenants.set(tenantId, days);
  const rows = days.get(day) ?? new Map<string, R>();
  days.set(day, rows);
  return rows;
}

function* rowsBetween<R>(
  tenants: DaysOf<R>,
  tenantId: string,
  [oldest, from, to]: readonly [string, string, string],
): Generator<R> {
  for (const [day, rows] of tenants.get(tenantId) ?? [])
    if (day >= oldest && day >= from && day <= to) for (const row of rows.values()) yield { ...row };
}

function dropBefore(tenants: Map<string, Map<string, unknown>>, tenantId: string, oldest: string): void {
  const days = tenants.get(tenantId);
  for (const day of days?.keys() ?? []) if (day < oldest) days?.delete(day);
  if (days?.size === 0) tenants.delete(tenantId);
}

function addTo<R extends UsageAmounts>(rows: Map<string, R>, key: string, addition: R): void {
  const known = rows.get(key);
  rows.set(key, known ? addAmounts(known, addition) : addition);
}

function keyOf({ model, operation }: Pick<UsageRow, 'model' | 'operation'>): string {
  return `${model}\n${operation}`;
}

function detailKeyOf(row: Omit<UsageDetail, keyof UsageAmounts>): string {
  return `${keyOf(row)}\n${row.session}\n${row.task}\n${row.agent}\n${row.user}`;
}
