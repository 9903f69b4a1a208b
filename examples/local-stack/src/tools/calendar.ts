import { OrchestratorError } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';

const DAY_MS = 86_400_000;
const FORM = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?Z?)?$/;
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

export const DATE_UNITS = ['minutes', 'hours', 'days', 'weeks', 'months', 'years'] as const;
export type DateUnit = (typeof DATE_UNITS)[number];

/**
 * A point in time in UTC from `2026-01-31` or `2026-01-31T10:00`, `today` or `now`.
 *
 * @throws {OrchestratorError} `invalid_request` for an invalid date, such as 30 February.
 */
export function parseDate(text: string, now: Date): Date {
  if (text === 'now') return now;
  if (text === 'today') return startOfDay(now);
  const match = FORM.exec(text.trim());
  if (match === null) throw calendarError(`expected a date such as 2026-01-31, got "${cutText(text, 60)}"`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map((part) => Number(part ?? 0));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, 0);
  const isReal =
    date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isReal || hour > 23 || minute > 59 || second > 59) {
    throw calendarError(`expected a date of the calendar, got "${text.trim()}"`);
  }
  return date;
}

/** `2026-01-31`. */
export function isoDay(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** `2026-01-31`, or with the time `2026-01-31T10:00Z` unless it is midnight. */
export function isoMoment(date: Date): string {
  return date.getTime() % DAY_MS === 0 ? isoDay(date) : `${date.toISOString().slice(0, 16)}Z`;
}

export function weekdayOf(date: Date): string {
  return WEEKDAYS[date.getUTCDay()] ?? '';
}

/** Months and years keep the day, or take the last one of a shorter month: 31 January + 1 month is 28 February. */
export function addTo(date: Date, amount: number, unit: DateUnit): Date {
  if (!Number.isInteger(amount) || Math.abs(amount) > 10_000_000) {
    throw calendarError(`amount: expected a whole number of ${unit}, at most 10,000,000, got ${amount}`);
  }
  const moved = new Date(date);
  if (unit === 'minutes') moved.setTime(date.getTime() + amount * 60_000);
  else if (unit === 'hours') moved.setTime(date.getTime() + amount * 3_600_000);
  else if (unit === 'days' || unit === 'weeks')
    moved.setUTCDate(date.getUTCDate() + amount * (unit === 'weeks' ? 7 : 1));
  else moveMonths(moved, unit === 'years' ? amount * 12 : amount);
  if (moved.getUTCFullYear() >= 0 && moved.getUTCFullYear() <= 9999) return moved;
  throw calendarError(`expected a result in the years 0 to 9999, got another`);
}

function moveMonths(date: Date, months: number): void {
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, lastDay));
}

/** Difference of two points in time: whole units, rounded towards zero, and in years, months and days. */
export function differenceBetween(from: Date, to: Date) {
  const sign = to < from ? -1 : 1;
  const [early, late] = sign < 0 ? [to, from] : [from, to];
  const ms = late.getTime() - early.getTime();
  let months =
    (late.getUTCFullYear() - early.getUTCFullYear()) * 12 + late.getUTCMonth() - early.getUTCMonth();
  if (addTo(early, months, 'months') > late) months -= 1;
  const rest = Math.floor((late.getTime() - addTo(early, months, 'months').getTime()) / DAY_MS);
  return {
    minutes: sign * Math.floor(ms / 60_000),
    hours: sign * Math.floor(ms / 3_600_000),
    days: sign * Math.floor(ms / DAY_MS),
    weeks: sign * Math.floor(ms / (7 * DAY_MS)),
    months: sign * months,
    years: sign * Math.floor(months / 12),
    text: spelled([Math.floor(months / 12), 'year'], [months % 12, 'month'], [rest, 'day']),
  };
}

function spelled(...parts: [number, string][]): string {
  const some = parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`);
  return some.length === 0 ? '0 days' : some.join(', ');
}

function startOfDay(date: Date): Date {
  return new Date(Math.floor(date.getTime() / DAY_MS) * DAY_MS);
}

function calendarError(message: string): OrchestratorError {
  return new OrchestratorError('invalid_request', `date_time: ${message}`);
}
