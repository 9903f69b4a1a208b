/**
 * A position at which a text may be cut: `at`, or one less where a surrogate pair would be halved. For spans of a text
 * that are cut one after the other; a single cut is `cutText`.
 */
export function cutPosition(text: string, at: number): number {
  return isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at)) ? at - 1 : at;
}

/**
 * The beginning of a text, at most `max` UTF-16 units: well-formed (a lone surrogate becomes U+FFFD), and never cut inside
 * a surrogate pair.
 *
 * @param ellipsis stands for what was cut off, and counts.
 */
export function cutText(text: string, max: number, ellipsis = ''): string {
  if (text.length <= max) return text.toWellFormed();
  const room = Math.max(0, max - ellipsis.length);
  return text.slice(0, cutPosition(text, room)).toWellFormed() + ellipsis;
}

/** Like `cutText`, for a limit in bytes of UTF-8. */
export function cutToBytes(text: string, maxBytes: number): string {
  // No unit takes less than a byte.
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
