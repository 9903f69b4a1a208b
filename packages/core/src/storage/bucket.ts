/**
 * A bucket that fills with each use, and drains at a rate (GCRA). One use is `ONE` units, so that a rate of one per minute drains
 * one unit per millisecond.
 */
export interface Bucket {
  readonly level: number;
  /** Time of `level`, ms. */
  readonly at: number;
}

/** Units of one use. */
export const ONE = 60_000;

/** Longest wait that is told, ms: a service may report any number of tokens. */
const MAX_WAIT_MS = 86_400_000;

/** Level at a time. A clock that was set back drains nothing until the bucket is written with its time. */
export function levelAt({ level, at }: Bucket, perMinute: number, now: number): number {
  return Math.max(0, level - Math.max(0, now - at) * perMinute);
}

/** Time until there is room for `uses`, ms. */
export function untilRoom(
  level: number,
  { perMinute, burst }: { readonly perMinute: number; readonly burst: number },
  uses = 1,
): number {
  return Math.min(MAX_WAIT_MS, Math.max(0, Math.ceil((level + (uses - burst) * ONE) / perMinute)));
}
