import { cutText } from '@agent-orchestrator/core/protocol';
import type { OperationContext } from '../service-definition.js';
import { termsOf } from '../text/words.js';
import type { Turn } from './question.js';
import { extractOf } from './extract.js';
import { type Finding, titleOf } from './retrieval.js';

/** Input of an answer. */
export interface AnswerMaterial {
  readonly question: string;
  readonly messages: readonly Turn[];
  /** Findings in the documents, best first. May be empty. */
  readonly findings: readonly Finding[];
  /** Results of tools, as sentences. */
  readonly facts: readonly string[];
  readonly instructions: string | undefined;
  /** Whether any document was ingested. */
  readonly hasDocuments: boolean;
}

/** Writes answers. Sources are cited as `[1]`, `[2]`, in the order of `findings`. */
export interface AnswerWriter {
  readonly model: string;
  /** Maximum number of findings, unless the caller sets it. */
  readonly wanted: number;
  /** Whether the writer decides itself which findings answer the question. */
  readonly judgesFindings: boolean;
  /** Rejects with an OrchestratorError. */
  write(material: AnswerMaterial, context: OperationContext): Promise<string>;
}

/** Answer to a question that no document answers. */
export const NOT_FOUND = 'I did not find an answer in the documents.';
/** Answer to a question before any document was ingested. */
export const NO_DOCUMENTS =
  'No documents were ingested yet, so there is nothing to search. Ingest some first, each with a task of type "ingestion".';

/** First line of an answer made of extracts. */
const EXTRACTS = 'Extracts from your documents:';
/** Characters shown of the best passage, and of each other one. */
const FIRST_EXTRACT = 700;
const NEXT_EXTRACT = 400;
const MAX_LEAD = 120;

/** Answers with extracts of the documents, marked as such. Needs no model. */
export class ExtractiveWriter implements AnswerWriter {
  readonly model = 'extractive';
  readonly wanted = 4;
  readonly judgesFindings = false;

  async write({ question, findings, facts, hasDocuments }: AnswerMaterial): Promise<string> {
    if (findings.length > 0) {
      const words = new Set(termsOf(question));
      const extracts = findings.map(({ passage, quote }, at) => {
        const limit = at === 0 ? FIRST_EXTRACT : NEXT_EXTRACT;
        return `${leadOf(titleOf(passage), at + 1)}\n\n${extractOf(passage.text, quote.span, limit, words)}`;
      });
      return [...facts, EXTRACTS, ...extracts].join('\n\n');
    }
    if (facts.length > 0) return facts.join('\n');
    return hasDocuments ? NOT_FOUND : NO_DOCUMENTS;
  }
}

/** Line above an extract: short origin, and its number among the sources. */
export function leadOf(title: string, number: number): string {
  const [document = '', ...headings] = title.split(' › ');
  const name = headings.at(-1) ?? document.split('/').slice(-2).join('/');
  return `**${cutText(name.replaceAll('*', ''), MAX_LEAD)}** [${number}]`;
}
