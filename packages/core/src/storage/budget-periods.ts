import type { TenantBudget } from './tenant-store.js';

type Period = TenantBudget['period'];

/** Start of the period that `at` is in, UTC, epoch ms. */
export function periodStart(period: Period, at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), period === 'day' ? date.getUTCDate() : 1);
}

/** Start of the period after the one that `at` is in. */
export function nextPeriod(period: Period, at: number): number {
  const date = new Date(at);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return period === 'day' ? Date.UTC(year, month, date.getUTCDate() + 1) : Date.UTC(year, month + 1, 1);
}
