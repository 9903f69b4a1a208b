import { cutPosition } from '@agent-orchestrator/core/protocol';

/** A part of a text: `text.slice(start, end)`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const CLOSING_MARKS = /^(?:[*_]{1,3}|[`"'”’)\]]{1,3})(?=\s|$)/;
const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/** What the segmenter is given at once: it takes quadratic time for some texts. */
const SEGMENTED = 4_000;

/** The sentences of running text. A full stop inside `e.g.` or `v8.3` may end one: callers only choose where to cut. */
export function sentencesOf(text: string, offset = 0): Span[] {
  const spans: Span[] = [];
  for (let start = 0; start < text.length;) {
    const end = endOfPiece(text, start);
    addSentences(spans, text.slice(start, end), offset + start);
    start = end;
  }
  return spans;
}

/** Where to cut a long text: behind a blank, if there is one. */
function endOfPiece(text: string, start: number): number {
  if (text.length - start <= SEGMENTED) return text.length;
  const blank = text.lastIndexOf(' ', start + SEGMENTED);
  return blank > start ? blank + 1 : cutPosition(text, start + SEGMENTED);
}

function addSentences(spans: Span[], text: string, offset: number): void {
  for (const { segment, index } of segmenter.segment(text)) {
    // Marks that close what the sentence before opened belong to it: `**It is cancelled.** What …`.
    const before = spans.at(-1);
    const touches = before !== undefined && before.end === offset + index;
    const closing = touches ? (CLOSING_MARKS.exec(segment)?.[0].length ?? 0) : 0;
    if (before !== undefined && closing > 0)
      spans[spans.length - 1] = { start: before.start, end: before.end + closing };
    const rest = segment.slice(closing);
    const trimmed = rest.trim();
    if (trimmed === '') continue;
    const start = offset + index + closing + rest.indexOf(trimmed);
    spans.push({ start, end: start + trimmed.length });
  }
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
