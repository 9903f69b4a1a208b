import { UsageError } from '../errors/errors.js';

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/** The time of `--since`, ISO 8601: how long ago, or a time, without a time zone that of this machine. @throws {UsageError} */
export function sinceOf(text: string | undefined, now: number = Date.now()): string | undefined {
  if (text === undefined) return undefined;
  const [, count, unit = ''] = /^(\d{1,5})([smhd])$/.exec(text) ?? [];
  const at =
    count === undefined
      ? Date.parse(DATE.test(text) ? (text.includes('T') ? text : `${text}T00:00`) : '')
      : now - Number(count) * (UNITS[unit] as number);
  if (Number.isFinite(at) && at >= 0) return new Date(at).toISOString();
  throw new UsageError(
    `--since: expected how long ago, such as 30m, 1h or 2d, or a time, such as 2026-01-31T08:00, got "${text}"`,
  );
}
