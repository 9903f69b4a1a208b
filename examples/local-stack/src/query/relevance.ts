import type { Span } from '../text/sentences.js';
import { termsOf } from '../text/words.js';
import type { DocumentIndex, Passage } from './document-index.js';
import type { Unit } from './passage-units.js';
import { MATCH, matchAround, matchOf, rarityOf, type WeighedTerm } from './term-match.js';

/** A literal part of a passage, chosen for a question. */
export interface Quote {
  readonly text: string;
  /** The sentences that the quote was chosen for: a part of `text`. */
  readonly core: string;
  /** Position of `core` in the passage. */
  readonly span: Span;
  /** Share of the question's words in or around it: 0 to 1, weighted by rarity. */
  readonly coverage: number;
  readonly signs: Signs;
}

/** Other relevance signals, 0 to 1 each. */
interface Signs {
  /** Relevance of the heading directly above. */
  readonly heading: number;
  /** Share of adjacent words of the question that are adjacent here. */
  readonly adjacency: number;
  /** Share of the question in one sentence, line or item. */
  readonly focus: number;
}

/** Maximum of a quote, characters, unless a single sentence is longer. */
const MAX_QUOTE = 700;
/** Weight of words in the quote against those around it. */
const OWN_SHARE = 0.8;
/**
 * Cost per unit: of windows with equal coverage the shorter one wins, and the one with the requested number.
 */
const UNIT_COST = 0.012;
const NUMBER_GAIN = 1.08;

/** A question matched against one passage. */
interface Judgement {
  readonly terms: readonly WeighedTerm[];
  readonly units: readonly Unit[];
  /** Match of each term in each unit. */
  readonly matches: readonly (readonly number[])[];
  /** Match of each term in the surroundings of the units. */
  readonly around: readonly number[];
  /** Sum of the weights of all terms. */
  readonly total: number;
}

/** Part of the passage that answers the question best. */
export function quoteFor(
  terms: readonly WeighedTerm[],
  passage: Passage,
  index: DocumentIndex,
  wantsNumber: boolean,
): Quote {
  const units = index.unitsOf(passage);
  const neighbours = index.neighboursOf(passage);
  const judgement: Judgement = {
    terms,
    units,
    matches: units.map((unit) => terms.map((term) => matchOf(term, unit.terms))),
    around: terms.map((term) => matchAround(term, passage, neighbours)),
    total: terms.reduce((sum, { information }) => sum + information, 0) || 1,
  };
  const worth = judgement.matches.map((inside) => shareOf(inside, judgement));
  const best = bestWindow(judgement, wantsNumber);
  const span = { start: units[best.from]?.start ?? 0, end: units[best.to]?.end ?? 0 };
  const { start, end } = widened(span, units, worth);
  return {
    text: passage.text.slice(start, end),
    core: passage.text.slice(span.start, span.end),
    span,
    coverage: best.coverage,
    signs: {
      heading: headingSign(judgement, passage, index),
      adjacency: adjacencyOf(judgement),
      focus: Math.max(0, ...worth),
    },
  };
}

/** The best run of units. */
function bestWindow({ units, matches, ...judgement }: Judgement, wantsNumber: boolean) {
  const whole = { units, matches, ...judgement };
  let best = { from: 0, to: 0, score: -1, coverage: 0 };
  for (let from = 0; from < units.length; from += 1) {
    let inside: readonly number[] = judgement.terms.map(() => 0);
    let hasNumber = false;
    for (let to = from; to < units.length; to += 1) {
      const unit = units[to];
      if (unit === undefined || (to > from && unit.end - (units[from]?.start ?? 0) > MAX_QUOTE)) break;
      inside = inside.map((match, at) => Math.max(match, matches[to]?.[at] ?? 0));
      hasNumber ||= unit.hasNumber;
      const coverage = coverageOf(inside, whole);
      const gain = wantsNumber && hasNumber ? NUMBER_GAIN : 1;
      const score = (coverage + OWN_SHARE * shareOf(inside, whole)) * gain - UNIT_COST * (to - from);
      if (score > best.score) best = { from, to, score, coverage };
    }
  }
  return best;
}

function shareOf(inside: readonly number[], { terms, total }: Judgement): number {
  return inside.reduce((sum, match, at) => sum + match * (terms[at]?.information ?? 0), 0) / total;
}

/** The penalty of a missing name or unknown word cannot be compensated. */
function coverageOf(inside: readonly number[], judgement: Judgement): number {
  let left = 1;
  const matched = judgement.terms.map(({ leftWithout, weight }, at) => {
    const match = Math.max(judgement.around[at] ?? 0, inside[at] ?? 0);
    if (match === 0 && weight === 1) left *= leftWithout;
    return match;
  });
  return left * shareOf(matched, judgement);
}

/** Mean of the share of the heading in the question and of the question in the heading. */
function headingSign({ terms, total }: Judgement, passage: Passage, index: DocumentIndex): number {
  const heading = new Set(termsOf(passage.heading.at(-1) ?? ''));
  if (heading.size === 0) return 0;
  let covered = 0;
  const met = new Set<string>();
  for (const { parts, levels, information } of terms) {
    let best = 0;
    for (const word of heading) {
      const level = levels.get(word) ?? (parts.includes(word) ? MATCH.parts : 0);
      if (level > 0) met.add(word);
      best = Math.max(best, level);
    }
    covered += information * best;
  }
  const rarity = (words: ReadonlySet<string>) =>
    [...words].reduce((sum, word) => sum + rarityOf(word, index), 0);
  return Math.sqrt((rarity(met) / rarity(heading)) * (covered / total));
}

function adjacencyOf({ terms, matches }: Judgement): number {
  let [met, pairs] = [0, 0];
  for (let at = 1; at < terms.length; at += 1) {
    const weight = Math.min(terms[at - 1]?.weight ?? 0, terms[at]?.weight ?? 0);
    if (weight < 0.3) continue;
    pairs += 1;
    met += Math.max(0, ...matches.map((inside) => (inside[at - 1] ?? 0) * (inside[at] ?? 0)));
  }
  return pairs === 0 ? 0 : met / pairs;
}

/** Adds neighbours while they fit: first those of its paragraphs, better matches first. */
function widened(core: Span, units: readonly Unit[], worth: readonly number[]): Span {
  const isPart = (unit: Span) => unit.start < core.end && unit.end > core.start;
  const paragraphs = new Set(units.filter(isPart).map(({ paragraph }) => paragraph));
  let from = units.findIndex(isPart);
  let to = units.findLastIndex(isPart);
  if (from < 0) return core;
  for (const isWelcome of [({ paragraph }: Unit) => paragraphs.has(paragraph), () => true]) {
    for (;;) {
      const [before, after] = [units[from - 1], units[to + 1]];
      const [start, end] = [units[from]?.start ?? core.start, units[to]?.end ?? core.end];
      const hasBefore = before !== undefined && isWelcome(before) && end - before.start <= MAX_QUOTE;
      const hasAfter = after !== undefined && isWelcome(after) && after.end - start <= MAX_QUOTE;
      if (!hasBefore && !hasAfter) break;
      if (hasAfter && (!hasBefore || (worth[to + 1] ?? 0) >= (worth[from - 1] ?? 0))) to += 1;
      else from -= 1;
    }
  }
  return { start: units[from]?.start ?? core.start, end: units[to]?.end ?? core.end };
}
