/**
 * How long to wait before the `attempt`-th repeat, in milliseconds: anything from 0 to an exponential bound (AWS
 * Architecture Blog, "Exponential Backoff And Jitter").
 *
 * @param random its `fraction` is from 0 up to, but not including, 1.
 */
export function fullJitter(
  random: { fraction(): number },
  attempt: number,
  baseMs: number,
  capMs: number,
): number {
  return Math.floor(random.fraction() * Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30)));
}
