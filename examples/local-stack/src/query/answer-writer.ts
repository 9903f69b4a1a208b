import type { OperationContext } from '../service-definition.js';
import type { Turn } from './question.js';
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

export const NOT_FOUND = 'I did not find an answer in the documents.';
export const NO_DOCUMENTS =
  'No documents were ingested yet, so there is nothing to search. Ingest some first: run the task type "workflow" with ' +
  '{"workflow": "ingestion", "input": {"documents": [{"name": "guide.md", "content": "…"}]}}.';

/** Says what the documents say, in their words. Needs no model, and says so. */
export class ExtractiveWriter implements AnswerWriter {
  readonly model = 'extractive';
  readonly wanted = 3;
  readonly judgesFindings = false;

  async write({ findings, facts, hasDocuments }: AnswerMaterial): Promise<string> {
    if (findings.length > 0) {
      const quoted = findings.map(({ passage, quote }, at) => {
        return `From “${titleOf(passage)}”:\n${quote.text} [${at + 1}]`;
      });
      return [...facts, 'The documents say (extracts, quoted literally):', ...quoted].join('\n\n');
    }
    if (facts.length > 0) return facts.join('\n');
    return hasDocuments ? NOT_FOUND : NO_DOCUMENTS;
  }
}
