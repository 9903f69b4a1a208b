import { linesOf, sentencesOf, type Span } from '../text/sentences.js';
import { blankUnreadable, termsOf } from '../text/words.js';
import type { DocumentIndex, Passage } from './document-index.js';
import type { Question, QuestionTerm } from './question.js';
import { synonymsOf } from './synonyms.js';

/** A literal part of a passage, chosen for a question. */
export interface Quote {
  readonly text: string;
  /** The sentences that the choice was made for: a part of `text`. */
  readonly core: string;
  /** How much of what the question asks for is in it or in its headings: 0 to 1, words weighted by their rarity. */
  readonly coverage: number;
}

/** Characters of a quote, unless a single sentence is longer. */
const MAX_QUOTE = 700;
/** How well a term can be matched. */
const MATCH = { exact: 1, title: 0.9, elsewhere: 0.7, synonym: 0.7, parts: 0.8, near: 0.6 } as const;
/** A rare word says little more than a fairly rare one. */
const MAX_INFORMATION = 4.5;
/** A name that is missing can't be said otherwise, so what is there answers something else. */
const MISSING_NAME = 0.6;
/** The name of the document says where to look, not what for. */
const DOCUMENT_NAME_SHARE = 0.3;

interface WeightedTerm extends QuestionTerm {
  readonly information: number;
}

/** Finds the part of the passage that answers the question best. */
export function quoteFor(question: Question, passage: Passage, index: DocumentIndex): Quote {
  const terms = question.terms.map((term) => weigh(term, index, passage));
  const units = unitsOf(passage.text).map((span) => {
    const written = passage.text.slice(span.start, span.end);
    return { ...span, terms: new Set(termsOf(written)), hasNumber: /\d/.test(written) };
  });
  let best = { from: 0, to: 0, score: -1, coverage: 0 };
  for (let from = 0; from < units.length; from += 1) {
    const inside = new Set<string>();
    let hasNumber = false;
    for (let to = from; to < units.length; to += 1) {
      const unit = units[to];
      if (unit === undefined || (to > from && unit.end - (units[from]?.start ?? 0) > MAX_QUOTE)) break;
      for (const term of unit.terms) inside.add(term);
      hasNumber ||= unit.hasNumber;
      const coverage = coverageOf(terms, inside, passage);
      // Between windows that cover as much, the shorter and the one with the number that is asked for.
      const score = coverage * (question.wantsNumber && hasNumber ? 1.08 : 1) - 0.004 * (to - from);
      if (score > best.score) best = { from, to, score, coverage };
    }
  }
  const core = { start: units[best.from]?.start ?? 0, end: units[best.to]?.end ?? 0 };
  const { start, end } = widened(core, units);
  return {
    text: passage.text.slice(start, end),
    core: passage.text.slice(core.start, core.end),
    coverage: best.coverage,
  };
}

function weigh(term: QuestionTerm, index: DocumentIndex, { nameTerms }: Passage): WeightedTerm {
  const known = index.knows(term.term) || term.parts.length < 2 ? [term.term] : term.parts;
  const information =
    known.reduce((sum, part) => sum + Math.min(MAX_INFORMATION, index.informationOf(part)), 0) / known.length;
  const share = nameTerms.has(term.term) ? DOCUMENT_NAME_SHARE : 1;
  return { ...term, information: information * term.weight * share };
}

function coverageOf(terms: readonly WeightedTerm[], inside: ReadonlySet<string>, passage: Passage): number {
  let [covered, total, factor] = [0, 0, 1];
  for (const term of terms) {
    const match = matchOf(term, inside, passage);
    covered += term.information * match;
    total += term.information;
    if (match === 0 && term.isName && term.weight === 1) factor = MISSING_NAME;
  }
  return total === 0 ? 0 : (factor * covered) / total;
}

function matchOf({ term, parts }: QuestionTerm, inside: ReadonlySet<string>, passage: Passage): number {
  const whole = matchOfWord(term, inside, passage);
  // One part alone is another word: `p-queue` is not any queue.
  if (whole > 0 || parts.length < 2) return whole;
  return parts.every((part) => inside.has(part) || passage.titleTerms.has(part)) ? MATCH.parts : 0;
}

function matchOfWord(term: string, inside: ReadonlySet<string>, passage: Passage): number {
  if (inside.has(term)) return MATCH.exact;
  if (passage.titleTerms.has(term)) return MATCH.title;
  if (passage.terms.has(term)) return MATCH.elsewhere;
  for (const other of synonymsOf(term))
    if (inside.has(other) || passage.titleTerms.has(other)) return MATCH.synonym;
  for (const other of inside) if (isNear(term, other)) return MATCH.near;
  return 0;
}

/** Words of one family that stemming kept apart (`subscribe`, `subscription`), not merely of a similar beginning. */
function isNear(a: string, b: string): boolean {
  const shared = Math.min(a.length, b.length) - 1;
  return shared >= 5 && Math.abs(a.length - b.length) <= 4 && a.slice(0, shared) === b.slice(0, shared);
}

/** A sentence of running text; a line of code, of a table or of a list. */
interface Unit extends Span {
  /** Which paragraph it belongs to. */
  readonly paragraph: number;
}

function unitsOf(text: string): Unit[] {
  const readable = blankUnreadable(text);
  const spans = paragraphsOf(text).flatMap((paragraph, number) => {
    const written = text.slice(paragraph.start, paragraph.end);
    const isProse = !/^\s*(?:[|#>]|[-*+] |\d+\. |```|~~~)|^\s{2,}\S|[;{}]\s*$/m.test(written);
    const units = isProse
      ? sentencesOf(written, paragraph.start)
      : linesOf(written, paragraph.start).flatMap((line) =>
          sentencesOf(text.slice(line.start, line.end), line.start),
        );
    return units.map((unit) => ({ ...unit, paragraph: number }));
  });
  return spans.filter(({ start, end }) => readable.slice(start, end).trim() !== '');
}

function paragraphsOf(text: string): Span[] {
  return Array.from(text.matchAll(/\S(?:.|\n(?![ \t]*\n))*/g), (match) => ({
    start: match.index,
    end: match.index + match[0].trimEnd().length,
  }));
}

/** Takes in the rest of the paragraphs, then what follows, then what precedes, as long as it fits. */
function widened(core: Span, units: readonly Unit[]): Span {
  let { start, end } = core;
  const forwards = (unit: Unit) => {
    if (unit.start >= end && unit.end - start <= MAX_QUOTE) end = unit.end;
  };
  const backwards = (unit: Unit) => {
    if (unit.end <= start && end - unit.start <= MAX_QUOTE) start = unit.start;
  };
  const isPart = (unit: Span) => unit.start < core.end && unit.end > core.start;
  const paragraphs = new Set(units.filter(isPart).map(({ paragraph }) => paragraph));
  for (const around of [units.filter(({ paragraph }) => paragraphs.has(paragraph)), units]) {
    around.forEach(forwards);
    around.toReversed().forEach(backwards);
  }
  return { start, end };
}
