/** A part of a text: `text.slice(start, end)`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/** The sentences of running text. A full stop inside `e.g.` or `v8.3` may end one: callers only choose where to cut. */
export function sentencesOf(text: string, offset = 0): Span[] {
  const spans: Span[] = [];
  for (const { segment, index } of segmenter.segment(text)) {
    const trimmed = segment.trim();
    if (trimmed === '') continue;
    const start = offset + index + segment.indexOf(trimmed);
    spans.push({ start, end: start + trimmed.length });
  }
  return spans;
}

/** The lines of a text that are not blank, without the blanks around them at the end. */
export function linesOf(text: string, offset = 0): Span[] {
  const spans: Span[] = [];
  let start = 0;
  for (const line of text.split('\n')) {
    if (line.trim() !== '')
      spans.push({ start: offset + start, end: offset + start + line.trimEnd().length });
    start += line.length + 1;
  }
  return spans;
}
