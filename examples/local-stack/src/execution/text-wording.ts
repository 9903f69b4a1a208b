import type { JsonObject } from '@agent-orchestrator/core';
import { textOfJson } from '../text/json-text.js';
import { counted, type ToolRequest, type Wording } from './tool-request.js';

type Measure = (output: JsonObject) => string;

/** Measures of a text and their wordings. */
const MEASURES: readonly (readonly [RegExp, Measure])[] = [
  [
    /\b(?:reading time|(?:how long|much time).*\bread)\b/,
    (out) => `Reading takes about ${counted(out['reading_time_seconds'], 'seconds')}.`,
  ],
  [
    /\b(?:most (?:frequent|common|used)|commonest) words?\b/,
    (out) => `Most frequent words: ${frequent(out)}.`,
  ],
  [/\blongest word\b/, (out) => `The longest word is “${textOfJson(out['longest_word'])}”.`],
  [/\b(?:words?|word count)\b/, (out) => `The text has ${counted(out['words'], 'words')}.`],
  [/\bletters?\b/, (out) => `The text has ${counted(out['letters'], 'letters')}.`],
  [
    /\b(?:characters?|chars|length|how long)\b/,
    (out) => `The text has ${counted(out['characters'], 'characters')}.`,
  ],
  [/\bsentences?\b/, (out) => `The text has ${counted(out['sentences'], 'sentences')}.`],
  [/\bparagraphs?\b/, (out) => `The text has ${counted(out['paragraphs'], 'paragraphs')}.`],
  [/\blines?\b/, (out) => `The text has ${counted(out['lines'], 'lines')}.`],
];
const ASKS =
  /\b(?:how (?:many|long|much)|count|number of|reading time|word count|statistics|stats|most (?:frequent|common|used)|commonest|longest word|length)\b/;
const STATISTICS = /\b(?:statistics|stats|analy[sz]e)\b/;
const COMPARES =
  /\b(?:which|what) (?:one |word |text |sentence |phrase )?(?:of (?:these|those|them|the two)(?: \w+)? )?(?:is |has )?(?:the )?(longer|shorter|more (?:words|letters|characters))\b/;
const CLOSING: Readonly<Record<string, string>> = { '"': '"', '“': '”', '«': '»', "'": "'", '‘': '’' };

/** Maximum of texts read from one question. */
const MAX_TEXTS = 4;

/** Reads questions about a text in the question, quoted or after a colon. */
export function readTexts({ message, before }: Wording): ToolRequest | undefined {
  const texts = textsIn(message);
  const asked = withoutTexts(message, texts);
  const compares = COMPARES.exec(asked)?.[1];
  if (compares !== undefined) return comparison(compares, texts.length >= 2 ? texts : alternatives(message));
  const text =
    texts[0] ??
    (/^(?:and|what about|how about)\b/i.test(message) && before !== undefined
      ? textsIn(before)[0]
      : undefined);
  if (text === undefined || !(ASKS.test(asked) || texts.length === 0)) return undefined;
  const wanted = STATISTICS.test(asked) ? MEASURES.slice(3).map(([, say]) => say) : measuresIn(asked);
  if (wanted.length === 0) return undefined;
  return {
    tool: 'text_statistics',
    calls: [{ text }],
    say: ([output]) => wanted.map((say) => say(output ?? {})).join(' '),
  };
}

/**
 * A measure whose words are part of another's (`most frequent words`) does not count as requested by them.
 */
function measuresIn(asked: string): Measure[] {
  let rest = asked;
  const wanted: Measure[] = [];
  for (const [pattern, say] of MEASURES) {
    if (!pattern.test(rest)) continue;
    wanted.push(say);
    rest = rest.replace(pattern, ' ');
  }
  return wanted.length > 1 && /\bhow long\b/.test(rest) ? wanted.slice(0, 1) : wanted;
}

function comparison(asked: string, texts: readonly string[]): ToolRequest | undefined {
  const [first, second] = texts;
  if (first === undefined || second === undefined) return undefined;
  const measure = /words/.test(asked) ? 'words' : /letters/.test(asked) ? 'letters' : 'characters';
  return {
    tool: 'text_statistics',
    calls: [{ text: first }, { text: second }],
    say: ([a, b]) => {
      const [inFirst, inSecond] = [Number(a?.[measure]), Number(b?.[measure])];
      if (inFirst === inSecond) return `Both have ${counted(inFirst, measure)}.`;
      const firstWins = asked === 'shorter' ? inFirst < inSecond : inFirst > inSecond;
      const [winner, has, other] = firstWins ? [first, inFirst, inSecond] : [second, inSecond, inFirst];
      const comparative = asked.startsWith('more') ? `has ${asked}` : `is ${asked}`;
      return `“${winner}” ${comparative}: ${counted(has, measure)} against ${other}.`;
    },
  };
}

/** `which is longer, apple or banana?` */
function alternatives(message: string): string[] {
  const match =
    /(?:longer|shorter|words|letters|characters)[\s,:]+(?:the word\s+)?(\S.*?)\s+or\s+(?:the word\s+)?(.+?)\s*\?*$/i.exec(
      message,
    );
  return match === null ? [] : match.slice(1, 3);
}

function textsIn(message: string): string[] {
  const colon = /:\s+(\S[\s\S]*)$/.exec(message)?.[1] ?? /:\n([\s\S]+)$/.exec(message)?.[1];
  const quoted = quotedIn(message);
  if (colon !== undefined && quoted.length <= 1) return [unquoted(colon.trim())];
  return quoted;
}

/** Quoted parts. An apostrophe within a word is not a quote. */
function quotedIn(message: string): string[] {
  const found: string[] = [];
  const unclosed = new Set<string>();
  for (let at = 0; at < message.length && found.length < MAX_TEXTS; at += 1) {
    const opening = message[at] ?? '';
    const closing = CLOSING[opening];
    if (closing === undefined || unclosed.has(opening) || isInWord(message[at - 1])) continue;
    const end = closingAt(message, closing, at + 1);
    if (end < 0) unclosed.add(opening);
    if (end <= at + 1) continue;
    found.push(message.slice(at + 1, end));
    at = end;
  }
  return found;
}

function closingAt(message: string, closing: string, from: number): number {
  let at = message.indexOf(closing, from);
  while (at >= 0 && isInWord(message[at + 1])) at = message.indexOf(closing, at + 1);
  return at;
}

function isInWord(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character);
}

function unquoted(text: string): string {
  return /^(["'“‘«])([\s\S]*)["'”’»]$/.exec(text)?.[2] ?? text;
}

function withoutTexts(message: string, texts: readonly string[]): string {
  return texts.reduce((rest, text) => rest.replace(text, ' '), message).toLowerCase();
}

function frequent(output: JsonObject): string {
  const words = (output['most_frequent_words'] ?? []) as { word: string; count: number }[];
  return words.map(({ word, count }) => `“${word}” (${count})`).join(', ');
}
