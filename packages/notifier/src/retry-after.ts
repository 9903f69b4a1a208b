/** A `Retry-After` header in milliseconds: whole seconds, or a date (RFC 9110, 10.2.3). */
export function readRetryAfter(header: string | null | undefined): number | undefined {
  if (!header) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
