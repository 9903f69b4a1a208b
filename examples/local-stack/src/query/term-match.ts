import type { DocumentIndex, Passage } from './document-index.js';
import type { Question, QuestionTerm } from './question.js';
import { synonymsOf } from './thesaurus.js';

/** Match levels of a term; measured, see the package's README. */
export const MATCH = { exact: 1, parts: 0.85, synonym: 0.75, near: 0.6 } as const;
/**
 * Match levels in the surroundings of a sentence: the headings above it, or another sentence of the passage.
 */
const AROUND = {
  title: 0.9,
  titleSynonym: 0.45,
  passage: 0.6,
  passageSynonym: 0.45,
  neighbour: 0.4,
} as const;
/** A rare word is hardly more significant than a fairly rare one. */
const MAX_INFORMATION = 3.5;
/** The name of a document tells where to search, not what for. */
const NAME_SHARE = 0.3;
/** An everyday word that no document has is probably expressed otherwise. */
const UNKNOWN_COMMON_SHARE = 0.45;
/**
 * Weight of another word that no document has, and the factor for an answer without it: see `index.breadth`.
 */
const UNKNOWN = {
  share: (breadth: number) => 0.4 + 0.2 * breadth,
  left: (breadth: number) => 0.85 - 0.25 * breadth,
} as const;
/** Factor for an answer without a name of the question. */
const WITHOUT_NAME = 0.35;

/** A word of a question with its weight in an index. */
export interface WeighedTerm extends QuestionTerm {
  readonly information: number;
  /** Factor for an answer without it, which is probably about something else. */
  readonly leftWithout: number;
  /** Match level by word. */
  readonly levels: ReadonlyMap<string, number>;
}

/** Weights of the words of a question in an index, with their equivalents. */
export function weighTerms(
  question: Question,
  index: DocumentIndex,
  named: ReadonlySet<string>,
): WeighedTerm[] {
  return question.terms.map((term) => {
    const isKnown = index.knows(term.term);
    const known = isKnown || term.parts.length < 2 ? [term.term] : term.parts;
    const rarity = known.reduce((sum, part) => sum + rarityOf(part, index), 0) / known.length;
    const isNamed = named.has(term.word);
    const doubt =
      isKnown || term.isName ? 1 : term.isCommon ? UNKNOWN_COMMON_SHARE : UNKNOWN.share(index.breadth);
    const share = (isNamed ? NAME_SHARE : 1) * doubt;
    return {
      ...term,
      leftWithout: term.isName
        ? WITHOUT_NAME
        : isKnown || term.isCommon || isNamed
          ? 1
          : UNKNOWN.left(index.breadth),
      information: rarity * term.weight * share,
      levels: levelsOf(term),
    };
  });
}

export function rarityOf(term: string, index: DocumentIndex): number {
  return Math.min(MAX_INFORMATION, index.informationOf(term));
}

/** Match of a term in the words of a sentence. */
export function matchOf({ term, parts, levels }: WeighedTerm, words: ReadonlySet<string>): number {
  let best = 0;
  for (const word of words) {
    const level = levels.get(word) ?? (best < MATCH.near && isNear(term, word) ? MATCH.near : 0);
    if (level > best) best = level;
  }
  // One part alone is another word: `p-queue` is not any queue.
  const hasParts = parts.length > 1 && parts.every((part) => words.has(part));
  return hasParts ? Math.max(best, MATCH.parts) : best;
}

/** Match of a term in the headings or, failing these, in other parts of the passage or its neighbours. */
export function matchAround(
  { parts, levels }: WeighedTerm,
  { titleTerms, terms }: Passage,
  neighbours: readonly Passage[],
): number {
  let best = 0;
  for (const [word, level] of levels) {
    const isOwn = level === MATCH.exact;
    if (titleTerms.has(word)) best = Math.max(best, isOwn ? AROUND.title : AROUND.titleSynonym);
    else if (terms.has(word)) best = Math.max(best, isOwn ? AROUND.passage : AROUND.passageSynonym);
    else if (isOwn && best < AROUND.neighbour && neighbours.some((other) => other.terms.has(word)))
      best = AROUND.neighbour;
  }
  const hasParts = parts.length > 1 && parts.every((part) => titleTerms.has(part) || terms.has(part));
  return hasParts ? Math.max(best, AROUND.passage) : best;
}

function levelsOf({ term, others, isName }: QuestionTerm): ReadonlyMap<string, number> {
  const own = [term, ...others];
  const synonyms = isName ? [] : own.flatMap((word) => [...synonymsOf(word)]);
  return new Map([
    ...synonyms.map((word): [string, number] => [word, MATCH.synonym]),
    ...own.map((word): [string, number] => [word, MATCH.exact]),
  ]);
}

/**
 * Words of one family with different stems (`subscribe`, `subscription`), not merely with a common prefix.
 */
function isNear(a: string, b: string): boolean {
  const shared = Math.min(a.length, b.length) - 1;
  return shared >= 5 && Math.abs(a.length - b.length) <= 4 && a.slice(0, shared) === b.slice(0, shared);
}
