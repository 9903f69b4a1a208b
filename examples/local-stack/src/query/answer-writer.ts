import { cutText } from '@agent-orchestrator/core/protocol';
import type { OperationContext } from '../service-definition.js';
import { termsOf } from '../text/words.js';
import type { Turn } from './question.js';
import { extractOf } from './extract.js';
import { type Finding, titleOf } from './retrieval.js';

/** What an answer is written from. */
export interface AnswerMaterial {
  readonly question: string;
  readonly messages: readonly Turn[];
  /** What the documents say about it, the best first. May be empty. */
  readonly findings: readonly Finding[];
  /** What tools found out, as sentences. */
  readonly facts: readonly string[];
  readonly instructions: string | undefined;
  /** Whether there is any document to search. */
  readonly hasDocuments: boolean;
}

/** Writes answers. Sources are cited as `[1]`, `[2]`, in the order of `findings`. */
export interface AnswerWriter {
  readonly model: string;
  /** How many findings the writer wants to see at most, unless the caller says. */
  readonly wanted: number;
  /** Whether the findings were already judged good enough, or the writer judges them. */
  readonly judgesFindings: boolean;
  /** Rejects with an OrchestratorError. */
  write(material: AnswerMaterial, context: OperationContext): Promise<string>;
}

/** Answer to a question that no document answers. */
export const NOT_FOUND = 'I did not find an answer in the documents.';
/** Answer to a question before any document was ingested. */
export const NO_DOCUMENTS =
  'No documents were ingested yet, so there is nothing to search. Ingest some first, each with a task of type "ingestion".';

/** How an answer begins that is made of extracts. */
const EXTRACTS = 'Extracts from your documents:';
/** Characters that are shown of the best passage, and of each of the others. */
const FIRST_EXTRACT = 700;
const NEXT_EXTRACT = 400;
const MAX_LEAD = 120;

/** Says what the documents say, in their words. Needs no model, and says so. */
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

/** The line above an extract: where it is from in a few words, and its number among the sources. */
export function leadOf(title: string, number: number): string {
  const [document = '', ...headings] = title.split(' › ');
  const name = headings.at(-1) ?? document.split('/').slice(-2).join('/');
  return `**${cutText(name.replaceAll('*', ''), MAX_LEAD)}** [${number}]`;
}
