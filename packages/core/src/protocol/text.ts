/**
 * Largest position up to `at` that does not split a surrogate pair. For cutting a text into consecutive spans; for a single
 * cut use `cutText`.
 */
export function cutPosition(text: string, at: number): number {
  return isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at)) ? at - 1 : at;
}

/**
 * Prefix of a text, at most `max` UTF-16 units: well-formed (a lone surrogate becomes U+FFFD), never cut inside a surrogate
 * pair.
 *
 * @param ellipsis appended when the text was cut; counts towards `max`.
 */
export function cutText(text: string, max: number, ellipsis = ''): string {
  if (text.length <= max) return text.toWellFormed();
  const room = Math.max(0, max - ellipsis.length);
  return text.slice(0, cutPosition(text, room)).toWellFormed() + ellipsis;
}

/** Like `cutText`, for a limit in bytes of UTF-8. */
export function cutToBytes(text: string, maxBytes: number): string {
  // Each UTF-16 unit takes at least one byte.
  let cut = cutText(text, maxBytes);
  while (Buffer.byteLength(cut) > maxBytes) cut = cutText(cut, cut.length - 1);
  return cut;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
