import type { JsonObject } from '@agent-orchestrator/core';
import { leadOf, NOT_FOUND } from '../query/answer-writer.js';
import { extractOf } from '../query/extract.js';
import type { ToolRequest, Wording } from './tool-request.js';

const SEARCHES =
  /^(?:please\s+|can you\s+|could you\s+)?(?:search|look|browse|go)(?:\s+(?:through|in|into))?(?:\s+(?:all|the|my|our|these))*\s+(?:documents?|docs|documentation|files|passages)\s+(?:for|about|on)\s+(.+?)[?.!]*$/i;

/** Maximum of characters shown of a passage. */
const MAX_EXTRACT = 700;

/** A passage of `document_search`. */
export type FoundPassage = {
  readonly id: string;
  readonly title: string;
  readonly quote: string;
  readonly score: number;
};

/** Reads requests for passages instead of an answer: `search the documents for heartbeat`. */
export function readSearch({ message }: Wording): ToolRequest | undefined {
  const query = SEARCHES.exec(message.trim())?.[1];
  if (query === undefined) return undefined;
  return {
    tool: 'document_search',
    calls: [{ query }],
    say: ([output]) => {
      const found = passagesIn(output);
      if (found.length === 0) return NOT_FOUND;
      const passages = found.map(({ title, quote }, at) => {
        const whole = { start: 0, end: quote.length };
        return `${leadOf(title, at + 1)}\n\n${extractOf(quote, whole, MAX_EXTRACT)}`;
      });
      return [`Passages about ${query}:`, ...passages].join('\n\n');
    },
  };
}

export function passagesIn(output: JsonObject | undefined): FoundPassage[] {
  return (output?.['passages'] ?? []) as FoundPassage[];
}
