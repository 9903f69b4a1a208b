import { cutText } from '@agent-orchestrator/core/protocol';
import { stem } from './stem.js';

/** Words that say nothing about what a text is about. English, plus the commonest of Spanish. */
const STOP_WORDS = new Set(
  `a about above after again all also am an and any are aren't as at be because been before being below between both
  but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each else ever every few
  for from further get gets getting give given gives go goes going got had has hasn't have haven't having he her here
  hers him his how i i'd i'll i'm i've if in into is isn't it it's its itself just kind let let's like me mean means
  might mine more most much must my need needed needs no nor not now of off on once one only or other our ours out
  over own please really same say says shall she should so some something such sure take than that that's the their
  them then there there's these they thing things this those through to too under until up us use used using very
  want wants was wasn't way we were what what's when where which while who whom whose why will with without won't
  would you you're your yours happen happens
  el la los las un una unos unas de del y o que en es son por para con se su sus al lo como qué cómo cuál dónde cuándo
  cuánto más muy hay`.split(/\s+/),
);

export function isStopWord(word: string): boolean {
  return STOP_WORDS.has(word);
}

/** A word of a text: as written, and where. */
export interface Word {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const WORD = /[\p{L}\p{N}_$]+(?:(?:['’]|-(?=\p{L}))[\p{L}\p{N}_$]+)*/gu;

/** The words of a text in order. `don't`, `p-queue`, `maxPayload` and `snake_case` are one each. */
export function wordsOf(text: string): Word[] {
  return Array.from(text.matchAll(WORD), (match) => ({
    text: match[0],
    start: match.index,
    end: match.index + match[0].length,
  }));
}

/** What a word is found by: its stem, and for a compound word the stems of its parts. */
export interface Term {
  readonly term: string;
  /** `maxPayload` → `max`, `payload`; `p-queue` → `queue`; empty for a simple word. */
  readonly parts: readonly string[];
}

/** Characters of a word that are looked at: longer ones are data, not words. */
const MAX_WORD = 64;

/** The term of a word; none for a stop word. */
export function termOfWord(written: string): Term | undefined {
  const word = cutText(written, MAX_WORD);
  const parts = word.split(/[_-]|(?<=\p{Ll}|\d)(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u).map(fold);
  const whole = fold(word.replaceAll(/[_-]/g, ''));
  if (whole === '' || isStopWord(whole) || parts.every((part) => part === '' || isStopWord(part)))
    return undefined;
  const useful = parts.length > 1 ? parts.filter((part) => part.length > 1 && !isStopWord(part)) : [];
  return { term: stem(whole), parts: useful.map(stem) };
}

/** Addresses and HTML tags, which say nothing to a reader: blanked, so that positions stay. */
const UNREADABLE = /\]\([^)\s]*\)|https?:\/\/[^\s)>"'`]+|<\/?[a-z][^<>]{0,300}>|^\[[^\]]+\]:.*$/gim;

/** All terms of a text, in order, with repeats. */
export function termsOf(text: string): string[] {
  return wordsOf(blankUnreadable(text)).flatMap((word) => {
    const found = termOfWord(word.text);
    return found === undefined ? [] : [found.term, ...found.parts];
  });
}

/** The text with addresses and HTML tags replaced by as many spaces. */
export function blankUnreadable(text: string): string {
  return text.replace(UNREADABLE, (match) => ' '.repeat(match.length));
}

/** Lower case, without accents, typographic apostrophes, `'s`, and the `v` of a version. */
export function fold(word: string): string {
  return word
    .toLowerCase()
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replaceAll('’', "'")
    .replace(/'s$/, '')
    .replace(/^v(?=\d)/, '');
}
