/** The longest wait that a peer may ask for, in milliseconds. Each caller has a shorter limit of its own. */
const MAX_MS = 24 * 60 * 60_000;

/**
 * A `Retry-After` header in milliseconds, from 0 to a day: seconds, or a date (RFC 9110, 10.2.3). `undefined` for what is
 * neither, such as `Infinity`, `-5` or `1e400`.
 */
export function readRetryAfter(header: string | null | undefined): number | undefined {
  if (!header) return undefined;
  const text = header.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return saneDelay(Number(text) * 1_000);
  // Date.parse() reads much that is no date of HTTP.
  if (!/^[a-z]{3,9},? /i.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : saneDelay(at - Date.now());
}

/** A wait in milliseconds that a timer can keep, from 0 to a day; `undefined` for what is no number. */
export function saneDelay(ms: number | undefined): number | undefined {
  if (typeof ms !== 'number' || Number.isNaN(ms)) return undefined;
  return Math.min(MAX_MS, Math.max(0, ms));
}
