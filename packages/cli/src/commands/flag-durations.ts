import { UsageError } from '../errors/errors.js';

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a duration such as `90s`, `15m`, `12h` or `7d`. @throws {UsageError} */
export function durationOf(flag: string, text: string): number {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = number === undefined ? 0 : Number(number) * UNITS[unit as keyof typeof UNITS];
  if (ms > 0) return ms;
  throw new UsageError(`${flag}: expected a duration such as 90s, 15m, 12h or 7d, got "${text}"`);
}
