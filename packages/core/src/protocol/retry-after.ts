/** Maximum wait that a peer may request, ms. Each caller has its own, shorter limit. */
const MAX_MS = 24 * 60 * 60_000;

/**
 * Parses `Retry-After`, seconds or an HTTP date (RFC 9110, 10.2.3), to ms from 0 to a day. `undefined` for anything else,
 * such as `Infinity`, `-5` or `1e400`.
 */
export function readRetryAfter(header: string | null | undefined): number | undefined {
  if (!header) return undefined;
  const text = header.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return clampDelay(Number(text) * 1_000);
  // Date.parse() accepts more than HTTP dates.
  if (!/^[a-z]{3,9},? /i.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : clampDelay(at - Date.now());
}

/** Clamps a delay to 0 to a day, in ms; `undefined` unless it is a number. */
export function clampDelay(ms: number | undefined): number | undefined {
  if (typeof ms !== 'number' || Number.isNaN(ms)) return undefined;
  return Math.min(MAX_MS, Math.max(0, ms));
}
