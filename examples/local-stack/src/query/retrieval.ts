import { isDistinctive } from './document-name.js';
import type { DocumentIndex, Passage, RankedPassage } from './document-index.js';
import { type Question, readQuestion } from './question.js';
import { type Quote, quoteFor } from './relevance.js';
import { weighTerms } from './term-match.js';

/** A passage found for a question. */
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

/** Minimum coverage of the question by an answer. */
export const ANSWER_COVERAGE = 0.53;
/** Minimum score of a citation, relative to the best. */
const CITED_SHARE = 0.65;
/** Passages that are scored in detail. */
const CANDIDATES = 60;
/** Weights of the score of a finding; their sum is 1. */
const SHARE = {
  coverage: 0.45,
  rank: 0.205,
  heading: 0.13,
  focus: 0.08,
  document: 0.05,
  adjacency: 0.04,
  citedBefore: 0.045,
} as const;
/** Factor for findings outside the document that the question names unambiguously. */
const ELSEWHERE = 0.35;
/** The same if the name is an ordinary word, such as `errors`. */
const PERHAPS_ELSEWHERE = 0.9;
/** Factor for findings in boilerplate. */
const BOILERPLATE_SHARE = 0.6;
const BOILERPLATE =
  /^(?:sponsors?|backers|authors?|credits?|licen[cs]e|contributors|thanks|(?:table of )?contents|badges|see also)\b/i;

/** Best passages for the question, best first, without repeats of the same words. */
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

/** Findings that answer the question: sufficient coverage, and a score close to the best. */
export function answering(findings: readonly Finding[]): Finding[] {
  const best = findings[0]?.score ?? 0;
  return findings.filter(
    ({ quote, score }) => quote.coverage >= ANSWER_COVERAGE && score >= best * CITED_SHARE,
  );
}

/** `guide.md › Install › Linux`. */
export function titleOf({ document, heading }: Passage): string {
  return [document.name, ...heading].join(' › ');
}

/** Factor for a passage outside the named documents, or in boilerplate. */
function placeOf({ names, heading }: Passage, named: ReadonlySet<string>): number {
  const isNamed = named.size === 0 || [...named].some((name) => names.has(name));
  const elsewhere = [...named].some(isDistinctive) ? ELSEWHERE : PERHAPS_ELSEWHERE;
  const isBoilerplate = heading.some((title) => BOILERPLATE.test(title));
  return (isNamed ? 1 : elsewhere) * (isBoilerplate ? BOILERPLATE_SHARE : 1);
}

/** Documents cited by an answer about the topic of the earlier turns. */
function citedFor(topic: string, index: DocumentIndex, collection: string | undefined): Set<string> {
  if (topic === '') return new Set();
  const options = { limit: 2, ...(collection !== undefined && { collection }) };
  const findings = retrieve(index, readQuestion(topic), options);
  return new Set(findings.map(({ passage }) => passage.document.document_id));
}

/** Share of the search results in each document: 1 for the one with most. First ranks dominate. */
function documentShares(ranked: readonly RankedPassage[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { passage, rank } of ranked) {
    const id = passage.document.document_id;
    sums.set(id, (sums.get(id) ?? 0) + rank ** 4);
  }
  const most = Math.max(...sums.values());
  return new Map([...sums].map(([id, sum]) => [id, sum / most]));
}

/** Parts of compound words and terms of phrases find other spellings. */
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

/** Neighbouring chunks overlap: of two with the same quote the better one stays. */
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
