import type { DocumentIndex, Passage } from './document-index.js';
import type { Question } from './question.js';
import { type Quote, quoteFor } from './relevance.js';

/** A passage that was found for a question. */
export interface Finding {
  readonly passage: Passage;
  readonly quote: Quote;
  /** 0 to 1. */
  readonly score: number;
}

/** What a finding must cover of the question so that it counts as an answer. See `eval/`, which this was set with. */
export const ANSWER_COVERAGE = 0.55;
const CANDIDATES = 50;
/** What is left of a finding in another document than the one that the question names. */
const ELSEWHERE = 0.7;
const COVERAGE_SHARE = 0.75;
/** How much a document gains that the last answer cited. */
const CITED_BEFORE = 0.05;

/** The passages that answer the question best, the best first, at most one of the same words. */
export function retrieve(
  index: DocumentIndex,
  question: Question,
  options: { readonly vector?: readonly number[]; readonly collection?: string; readonly limit: number },
): Finding[] {
  const ranked = index.search({
    terms: searchTerms(question),
    vector: options.vector,
    collection: options.collection,
    limit: CANDIDATES,
  });
  const named = question.terms
    .filter(({ term, weight }) => weight > 0.5 && index.isDocumentName(term))
    .map(({ term }) => term);
  const findings = ranked.map(({ passage, rank }) => {
    const found = quoteFor(question, passage, index);
    const isElsewhere = named.length > 0 && !named.some((term) => passage.nameTerms.has(term));
    const quote = isElsewhere ? { ...found, coverage: found.coverage * ELSEWHERE } : found;
    const isCited = question.citedBefore.some((title) => title.startsWith(passage.document.name));
    const score =
      COVERAGE_SHARE * quote.coverage + (1 - COVERAGE_SHARE) * rank + (isCited ? CITED_BEFORE : 0);
    return { passage, quote, score: Math.min(1, score) };
  });
  return withoutRepeats(findings.toSorted((a, b) => b.score - a.score)).slice(0, options.limit);
}

/** Parts of a compound word help to find it written otherwise. */
function searchTerms({ terms }: Question): Map<string, number> {
  const parts = terms.flatMap((term) =>
    term.parts.map((part): [string, number] => [part, term.weight * 0.4]),
  );
  return new Map([...parts, ...terms.map(({ term, weight }): [string, number] => [term, weight])]);
}

/** `guide.md › Install › Linux`. */
export function titleOf({ document, heading }: Passage): string {
  return [document.name, ...heading].join(' › ');
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
