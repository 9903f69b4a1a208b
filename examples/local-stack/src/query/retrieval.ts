import { isDistinctive } from './document-name.js';
import type { DocumentIndex, Passage, RankedPassage } from './document-index.js';
import { type Question, readQuestion } from './question.js';
import { type Quote, quoteFor } from './relevance.js';
import { weighTerms } from './term-match.js';

/** A passage that was found for a question. */
export interface Finding {
  readonly passage: Passage;
  readonly quote: Quote;
  /** 0 to 1. */
  readonly score: number;
}

export interface RetrievalOptions {
  readonly vector?: readonly number[];
  readonly collection?: string;
  readonly limit: number;
}

/** What a finding must cover of the question so that it counts as an answer. */
export const ANSWER_COVERAGE = 0.53;
/** Findings this much weaker than the best are not cited. */
const CITED_SHARE = 0.65;
/** Passages that are looked at closely. */
const CANDIDATES = 60;
/** What makes up the score of a finding; these sum up to 1. */
const SHARE = {
  coverage: 0.45,
  rank: 0.205,
  heading: 0.13,
  focus: 0.08,
  document: 0.05,
  adjacency: 0.04,
  citedBefore: 0.045,
} as const;
/** What is left of a finding in another document than the one that is named by a word that can only be its name. */
const ELSEWHERE = 0.35;
/** The same, when the name is an ordinary word, such as `errors`. */
const PERHAPS_ELSEWHERE = 0.9;
/** What is left of a finding where documents say nothing of their own. */
const BOILERPLATE_SHARE = 0.6;
const BOILERPLATE =
  /^(?:sponsors?|backers|authors?|credits?|licen[cs]e|contributors|thanks|(?:table of )?contents|badges|see also)\b/i;

/** The passages that answer the question best, the best first, at most one of the same words. */
export function retrieve(index: DocumentIndex, question: Question, options: RetrievalOptions): Finding[] {
  const { vector, collection, limit } = options;
  const terms = searchTerms(question);
  const ranked = index.search({ terms, vector, collection, limit: CANDIDATES });
  const named = new Set(index.documentNamesIn(question.words));
  const weighed = weighTerms(question, index, named);
  const citedBefore = citedFor(question.topic, index, collection);
  const byDocument = documentShares(ranked);
  const findings = ranked.map(({ passage, rank }) => {
    const quote = quoteFor(weighed, passage, index, question.wantsNumber);
    const factor = placeOf(passage, named);
    const { heading, adjacency, focus } = quote.signs;
    const id = passage.document.document_id;
    const score =
      factor *
        (SHARE.coverage * quote.coverage +
          SHARE.heading * heading +
          SHARE.adjacency * adjacency +
          SHARE.focus * focus) +
      SHARE.rank * rank +
      SHARE.document * (byDocument.get(id) ?? 0) +
      SHARE.citedBefore * (citedBefore.has(id) ? 1 : 0);
    return { passage, quote: { ...quote, coverage: factor * quote.coverage }, score };
  });
  return withoutRepeats(findings.toSorted((a, b) => b.score - a.score)).slice(0, limit);
}

/** What of the findings answers the question: those that cover enough of it and are nearly as good as the best. */
export function answering(findings: readonly Finding[]): Finding[] {
  const best = findings[0]?.score ?? 0;
  return findings.filter(
    ({ quote, score }) => quote.coverage >= ANSWER_COVERAGE && score >= best * CITED_SHARE,
  );
}

/**
 * Title of a case: `part.method: name`.
 *
 * `guide.md › Install › Linux`.
 */
export function titleOf({ document, heading }: Passage): string {
  return [document.name, ...heading].join(' › ');
}

/** What a passage loses by being where the question does not look, or where documents say nothing of their own. */
function placeOf({ names, heading }: Passage, named: ReadonlySet<string>): number {
  const isNamed = named.size === 0 || [...named].some((name) => names.has(name));
  const elsewhere = [...named].some(isDistinctive) ? ELSEWHERE : PERHAPS_ELSEWHERE;
  const isBoilerplate = heading.some((title) => BOILERPLATE.test(title));
  return (isNamed ? 1 : elsewhere) * (isBoilerplate ? BOILERPLATE_SHARE : 1);
}

/** The documents that an answer about the topic of the turns before cites. */
function citedFor(topic: string, index: DocumentIndex, collection: string | undefined): Set<string> {
  if (topic === '') return new Set();
  const options = { limit: 2, ...(collection !== undefined && { collection }) };
  const findings = retrieve(index, readQuestion(topic), options);
  return new Set(findings.map(({ passage }) => passage.document.document_id));
}

/** How much of what was found is in each document: 1 for the one with most. First ranks count most by far. */
function documentShares(ranked: readonly RankedPassage[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { passage, rank } of ranked) {
    const id = passage.document.document_id;
    sums.set(id, (sums.get(id) ?? 0) + rank ** 4);
  }
  const most = Math.max(...sums.values());
  return new Map([...sums].map(([id, sum]) => [id, sum / most]));
}

/** Parts of a compound word, and what phrases mean, help to find what is written otherwise. */
function searchTerms({ terms }: Question): Map<string, number> {
  const weights = new Map<string, number>();
  const add = (term: string, weight: number) => weights.set(term, Math.max(weight, weights.get(term) ?? 0));
  for (const { term, parts, others, weight } of terms) {
    add(term, weight);
    for (const part of parts) add(part, weight * 0.4);
    for (const other of others) add(other, weight * 0.7);
  }
  return weights;
}

/** Neighbouring chunks overlap: of two that quote the same, the better stays. */
function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const kept: Finding[] = [];
  for (const finding of findings) {
    const repeats = kept.some(
      ({ quote }) => quote.text.includes(finding.quote.core) || finding.quote.text.includes(quote.core),
    );
    if (!repeats) kept.push(finding);
  }
  return kept;
}
