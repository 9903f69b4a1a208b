/**
 * Back-off before the `attempt`-th retry, ms: uniform from 0 to an exponential bound (AWS Architecture Blog, "Exponential
 * Backoff And Jitter").
 *
 * @param random `fraction` is in [0, 1).
 */
export function fullJitter(
  random: { fraction(): number },
  attempt: number,
  baseMs: number,
  capMs: number,
): number {
  return Math.floor(random.fraction() * Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30)));
}
