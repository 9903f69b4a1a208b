/**
 * Text as it is stored and sent: well-formed Unicode, of at most `max` UTF-16 units. Half of a surrogate pair becomes
 * U+FFFD, and a pair is never cut in two.
 */
export function cutText(text: string, max: number = Number.POSITIVE_INFINITY): string {
  if (text.length <= max) return text.isWellFormed() ? text : text.toWellFormed();
  const last = text.charCodeAt(max - 1);
  const isHigh = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, isHigh ? max - 1 : max).toWellFormed();
}
