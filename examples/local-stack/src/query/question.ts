import { fold, stem, type Term, termOfWord, wordsOf } from '../text/words.js';

/** One message of the conversation so far. */
export interface Turn {
  readonly role: string;
  readonly content: string;
}

/** A word that the answer should have. */
export interface QuestionTerm extends Term {
  /** 1 for the question's own words, less for words of everyday and for those taken over from earlier turns. */
  readonly weight: number;
  /** Looks like the name of something: `Kafka`, `maxPayload`, `HTTP/2`. */
  readonly isName: boolean;
}

/** What is looked for. */
export interface Question {
  readonly text: string;
  readonly terms: readonly QuestionTerm[];
  /** The question with what it refers to, for the vectors. */
  readonly expanded: string;
  /** Titles that the last answer cited, if the question goes on from it. */
  readonly citedBefore: readonly string[];
  /** The answer probably has a number in it. */
  readonly wantsNumber: boolean;
}

const REFERS_BACK = /\b(?:it|its|it's|they|them|their|this|these|those|that one|the same|there|one)\b/i;
const GOES_ON = /^(?:and|or|but|also|then|so|what about|how about|what if|why|since when|y)\b/i;
const NUMBER_WORDED =
  /\b(?:how (?:many|much|long|often|big|large|far|high)|default|limit|maximum|minimum|timeout|at most|which version|what port)\b/i;
const TOPIC_WEIGHT = 0.55;
const EVERYDAY_WEIGHT = 0.25;
const HOW_MUCH = /\bhow\s+(?:many|much|long|often|big|large|far|high|soon|fast)(?:\s+times?)?\b/gi;
/** Words of everyday, which questions are worded with and answers need not repeat. */
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
  one two visitor program project code app application library package tool`
    .split(/\s+/)
    .map(stem),
);

/** Reads a question, with the turns before it if it can't stand alone. */
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
    expanded: topic === '' ? text : `${text}\n${topic}`,
    citedBefore: goesOn ? citedTitles(earlier) : [],
    wantsNumber: NUMBER_WORDED.test(text),
  };
}

/** The earlier turns. Some callers send the question as the last of them. */
export function withoutRepeat(messages: readonly Turn[], text: string): readonly Turn[] {
  const last = messages.at(-1);
  return last?.role === 'user' && last.content.trim() === text.trim() ? messages.slice(0, -1) : messages;
}

function termsWithin(text: string, weight: number): QuestionTerm[] {
  const terms = new Map<string, QuestionTerm>();
  wordsOf(text.replaceAll(HOW_MUCH, ' ')).forEach((word, at) => {
    const found = termOfWord(word.text);
    if (found === undefined) return;
    const isName = looksLikeName(word.text, at === 0) || terms.get(found.term)?.isName === true;
    const isEveryday = EVERYDAY.has(found.term) && !isName;
    terms.set(found.term, { ...found, isName, weight: weight * (isEveryday ? EVERYDAY_WEIGHT : 1) });
  });
  return [...terms.values()];
}

function looksLikeName(word: string, isFirst: boolean): boolean {
  if (/\p{Ll}\p{Lu}|_|-|\p{L}\d|\d\p{L}/u.test(word)) return true;
  return !isFirst && /^\p{Lu}/u.test(word) && fold(word) !== 'i';
}

/** What the earlier turns were about: the last question that stood alone, and those that went on from it. */
function topicOf(messages: readonly Turn[]): string {
  const topic: string[] = [];
  for (const { role, content } of messages.toReversed()) {
    if (role !== 'user') continue;
    topic.push(content.slice(0, 500));
    const standsAlone =
      !GOES_ON.test(content.trim()) && !REFERS_BACK.test(content) && termsWithin(content, 1).length > 1;
    if (standsAlone || topic.length === 3) break;
  }
  return topic.join('\n');
}

/** An answer lists what it cites as lines `[1] title`. */
function citedTitles(messages: readonly Turn[]): string[] {
  const answer = messages.findLast(({ role }) => role === 'assistant')?.content ?? '';
  return Array.from(answer.matchAll(/^\[\d+\] (.+)$/gm), (match) => match[1] ?? '');
}
