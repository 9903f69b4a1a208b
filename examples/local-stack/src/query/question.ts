import { cutText } from '@agent-orchestrator/core/protocol';
import { isCommonStem, isCommonWord } from '../text/common-words.js';
import { stem } from '../text/stem.js';
import { fold, type Term, termOfWord, wordsOf } from '../text/words.js';
import { readPhrases } from './phrases.js';
import { isThesaurusWord } from './thesaurus.js';

/** A message of the conversation. */
export interface Turn {
  readonly role: string;
  readonly content: string;
}

/** A word expected in the answer. */
export interface QuestionTerm extends Term {
  /** The word in lower case; empty for terms of a phrase. */
  readonly word: string;
  /** 1 for the question's own words, less for everyday words and for words of earlier turns. */
  readonly weight: number;
  /** Looks like a name: `Kafka`, `maxPayload`, `HTTP/2`. */
  readonly isName: boolean;
  /** An everyday English word: a passage probably uses another one. */
  readonly isCommon: boolean;
  /** Equivalent stems, from a phrase. */
  readonly others: readonly string[];
}

/** A parsed question. */
export interface Question {
  readonly text: string;
  readonly terms: readonly QuestionTerm[];
  /** The question with the topic it refers to, for the vectors. */
  readonly expanded: string;
  /** Words in lower case, and joined neighbours: possible names of documents. */
  readonly words: ReadonlySet<string>;
  /** Topic of the earlier turns, if the question continues them; else empty. */
  readonly topic: string;
  /** The answer probably has a number in it. */
  readonly wantsNumber: boolean;
}

const REFERS_BACK = /\b(?:it|its|it's|they|them|their|this|these|those|that one|the same|there|one)\b/i;
const GOES_ON = /^(?:and|or|but|also|then|so|what about|how about|what if|why|since when|y)\b/i;
const NUMBER_WORDED =
  /\b(?:how (?:many|much|long|often|big|large|far|high)|default|limit|maximum|minimum|timeout|at most|which version|what port)\b/i;
const TOPIC_WEIGHT = 0.55;
const EVERYDAY_WEIGHT = 0.25;
const COMMON_WEIGHT = 0.7;
const HOW_MUCH = /\bhow\s+(?:many|much|long|often|big|large|far|high|soon|fast)(?:\s+times?)?\b/gi;
/** Everyday words of questions, which answers need not repeat. */
const EVERYDAY = new Set(
  `able actually again already although always another anything around away back bad become behind best better bring
  call care cause certain change clear come complete correct count day decide different done easy either enough
  entire even everything exactly explain fact fine first follow found front full general give gone good great happen
  hard have help hold idea important inside keep know last later lead least leave left less like little long look lot
  main make many matter maybe meant merely moment much name need never new next nice nothing number often old open part
  people perhaps place point possible possibly probably proper purpose put question quite rather reach ready real
  reason right run see seem set short show simple sit soon spend start stay still switch tell thing think though time
  together toward try turn usual various want way well whether whole wish wonder work write wrong yes yet
  doc docs document documentation example answer mention describe find mine own anyone someone somebody everyone
  may might take let person wrong own inside common such certain several hand while during per part way
  one two visitor program project code app application library package tool`
    .split(/\s+/)
    .map(stem),
);

/** Parses a question, with the turns before it if it is not self-contained. */
export function readQuestion(text: string, messages: readonly Turn[] = []): Question {
  const own = termsWithin(text, 1);
  const earlier = withoutRepeat(messages, text);
  const goesOn =
    earlier.length > 0 && (GOES_ON.test(text.trim()) || REFERS_BACK.test(text) || own.length <= 1);
  const topic = goesOn ? topicOf(earlier) : '';
  const taken = termsWithin(topic, TOPIC_WEIGHT).filter(({ term }) =>
    own.every((other) => other.term !== term),
  );
  return {
    text,
    terms: [...own, ...taken],
    words: namesSaidIn(`${text}\n${topic}`),
    expanded: topic === '' ? text : `${text}\n${topic}`,
    topic,
    wantsNumber: NUMBER_WORDED.test(text),
  };
}

/** The earlier turns. Some callers pass the question as the last of them. */
export function withoutRepeat(messages: readonly Turn[], text: string): readonly Turn[] {
  const last = messages.at(-1);
  return last?.role === 'user' && last.content.trim() === text.trim() ? messages.slice(0, -1) : messages;
}

function termsWithin(text: string, weight: number): QuestionTerm[] {
  const terms = new Map<string, QuestionTerm>();
  const { rest, meanings } = readPhrases(text.replaceAll(HOW_MUCH, ' '));
  wordsOf(rest).forEach((word, at) => {
    const found = termOfWord(word.text);
    if (found === undefined) return;
    const isWord = isThesaurusWord(fold(word.text)) || isCommonWord(fold(word.text));
    const isPart = /[.\w]\.$/.test(rest.slice(0, word.start)) || /^\.\w/.test(rest.slice(word.end));
    const isName =
      (!isWord && !isPart && looksLikeName(word.text, at === 0)) || terms.get(found.term)?.isName === true;
    const isEveryday = EVERYDAY.has(found.term) && !isName;
    // `Math.random`: a document may have only one of the two.
    const isCommon = (isPart || isWord || isCommonStem(found.term)) && !isName;
    const share = isEveryday ? EVERYDAY_WEIGHT : isCommon ? COMMON_WEIGHT : 1;
    terms.set(found.term, {
      ...found,
      word: fold(word.text),
      isName,
      isCommon: isCommon || isEveryday,
      others: [],
      weight: weight * share,
    });
  });
  for (const meaning of meanings) {
    const [term = '', ...others] = meaning.split(' ').map(stem);
    if (!terms.has(term))
      terms.set(term, { term, word: '', parts: [], others, isName: false, isCommon: true, weight });
  }
  return [...terms.values()];
}

function looksLikeName(word: string, isFirst: boolean): boolean {
  if (/\p{Ll}\p{Lu}|_|\p{L}\d|\d\p{L}/u.test(word)) return true;
  return !isFirst && /^\p{Lu}/u.test(word) && fold(word) !== 'i';
}

/** Words in lower case, and joined neighbours: `npm ci` may mean `npm-ci`, `proxy agent` `ProxyAgent`. */
function namesSaidIn(text: string): Set<string> {
  const words = wordsOf(text).map((word) => fold(word.text));
  const names = new Set(words);
  words.forEach((word, at) => {
    for (const joint of ['-', '']) {
      const pair = [word, words[at + 1]].join(joint);
      if (at + 1 < words.length) names.add(pair);
      if (at + 2 < words.length) names.add([pair, words[at + 2]].join(joint));
    }
  });
  return names;
}

/** Topic of the earlier turns: the last self-contained question, and those that continued it. */
function topicOf(messages: readonly Turn[]): string {
  const topic: string[] = [];
  for (const { role, content } of messages.toReversed()) {
    if (role !== 'user') continue;
    topic.push(cutText(content, 500));
    const standsAlone =
      !GOES_ON.test(content.trim()) && !REFERS_BACK.test(content) && termsWithin(content, 1).length > 1;
    if (standsAlone || topic.length === 3) break;
  }
  return topic.join('\n');
}
