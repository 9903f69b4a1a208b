import { linesOf, sentencesOf, type Span } from '../text/sentences.js';
import { blankUnreadable, termsOf } from '../text/words.js';

/** A sentence of running text; a line of code, of a table or of a list. */
export interface Unit extends Span {
  /** Index of its paragraph. */
  readonly paragraph: number;
  readonly terms: ReadonlySet<string>;
  readonly hasNumber: boolean;
}

/** Units of a text, in order, without those that have no words. */
export function unitsOf(text: string): Unit[] {
  const readable = blankUnreadable(text);
  return paragraphsOf(text).flatMap((paragraph, number) =>
    unitSpans(text, paragraph)
      .filter(({ start, end }) => readable.slice(start, end).trim() !== '')
      .map(({ start, end }) => {
        const written = text.slice(start, end);
        return {
          start,
          end,
          paragraph: number,
          terms: new Set(termsOf(written)),
          hasNumber: /\d/.test(written),
        };
      }),
  );
}

function unitSpans(text: string, paragraph: Span): Span[] {
  const written = text.slice(paragraph.start, paragraph.end);
  const isProse = !/^\s*(?:[|#>]|[-*+] |\d+\. |```|~~~)|^\s{2,}\S|[;{}]\s*$/m.test(written);
  if (isProse) return sentencesOf(written, paragraph.start);
  return linesOf(written, paragraph.start).flatMap((line) =>
    sentencesOf(text.slice(line.start, line.end), line.start),
  );
}

function paragraphsOf(text: string): Span[] {
  return Array.from(text.matchAll(/\S(?:.|\n(?![ \t]*\n))*/g), (match) => ({
    start: match.index,
    end: match.index + match[0].trimEnd().length,
  }));
}
