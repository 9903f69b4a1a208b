import type { Turn } from '../query/question.js';
import type { ToolDescription } from '../tools/tool.js';
import { readArithmetic } from './arithmetic-wording.js';
import { readDates } from './date-wording.js';
import { readRegisteredTool } from './registered-tool-wording.js';
import { readSearch } from './search-wording.js';
import { readTexts } from './text-wording.js';
import { readUnits } from './unit-wording.js';
import type { ToolRequest, WordingReader } from './tool-request.js';

/** Maximum length of a question about a calculation, in characters. */
const SENTENCES = 500;

/** Citation marker of an answer from documents: `[1]`. */
const CITES = /(?<!\w)\[\d{1,2}\](?!\()/;

/** Readers of wordings, strictest first: the first match wins. */
const READERS: readonly { readonly tool: string; readonly read: WordingReader; readonly longest: number }[] =
  [
    { tool: 'document_search', read: readSearch, longest: SENTENCES },
    { tool: 'text_statistics', read: readTexts, longest: Number.POSITIVE_INFINITY },
    { tool: 'date_time', read: readDates, longest: SENTENCES },
    { tool: 'calculator', read: readUnits, longest: SENTENCES },
    { tool: 'calculator', read: readArithmetic, longest: SENTENCES },
  ];

/** Tool for a question; `undefined` if none of these. `turns`: the messages before it. */
export function chooseTool(
  message: string,
  turns: readonly Turn[],
  tools: readonly ToolDescription[],
  now: Date,
): ToolRequest | undefined {
  const answerAt = turns.findLastIndex(({ role }) => role === 'assistant');
  const answer = turns[answerAt]?.content;
  // Numbers in quoted documents are not the referent of "that".
  const isFromDocuments = answer !== undefined && CITES.test(answer);
  const wording = {
    message,
    before: isFromDocuments
      ? undefined
      : turns.slice(0, Math.max(0, answerAt)).findLast(({ role }) => role === 'user')?.content,
    answerBefore: isFromDocuments ? undefined : answer,
    now,
  };
  const builtIn = new Set(READERS.map(({ tool }) => tool));
  const registered = readRegisteredTool(
    message,
    tools.filter(({ name }) => !builtIn.has(name)),
  );
  if (registered !== undefined) return registered;
  for (const { tool, read, longest } of READERS) {
    const isUsable = message.length <= longest && tools.some(({ name }) => name === tool);
    const request = isUsable ? read(wording) : undefined;
    if (request !== undefined) return request;
  }
  return undefined;
}
