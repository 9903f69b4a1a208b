/**
 * How long to wait before the `attempt`-th repeat, in milliseconds: full jitter, anything from 0 to an exponential bound
 * (AWS Architecture Blog, "Exponential Backoff And Jitter").
 */
export function retryDelay(
  attempt: number,
  limits: { readonly baseMs: number; readonly capMs: number },
): number {
  return Math.random() * Math.min(limits.capMs, limits.baseMs * 2 ** Math.min(attempt - 1, 30));
}
