import { findDates } from './date-words.js';
import { digitsForWords } from './number-words.js';
import { counted, type ToolRequest, type Wording } from './tool-request.js';

const NOW =
  /\b(?:what(?:'s| is)?\s+(?:the\s+|today's\s+)?(?:current\s+)?(?:time|date|day|weekday)(?:\s+is\s+it|\s+is\s+today)?|what\s+day\s+of\s+the\s+week\s+is\s+it|what's\s+today|(?:the\s+)?current\s+(?:time|date)|today's\s+date)(?:\s+and\s+(?:time|date))?(?:\s+(?:right\s+now|now|today|at\s+the\s+moment|in\s+utc|please))*\s*[?.!]*$/;
const WEEKDAY =
  /\b(?:week ?day|day of the week|(?:what|which) day (?:was|is|will|does|did|of)|(?:fall|falls|fell|land|lands) on|(?:is|was|will) .* an? (?:sun|mon|tues|wednes|thurs|fri|satur)day)\b/;
const UNIT = '(minute|hour|day|week|month|year)s?';
const SHIFT = new RegExp(
  `(\\d+)\\s+${UNIT}\\s+(after|from|past|later than|following|before|prior to|earlier than|ago|later|earlier|hence)\\b`,
);
const ADDED = new RegExp(`\\b(add|plus|\\+|minus|subtract)\\s+(\\d+)\\s+${UNIT}`);
const AHEAD = new RegExp(`\\bin\\s+(\\d+)\\s+${UNIT}`);
const ASKS_FOR_A_DATE =
  /\b(?:what|which|when|date|day|add|subtract)\b|^(?:\W*(?:today|tomorrow|yesterday|now|\d{4}-\d{1,2}-\d{1,2})\s*)?(?:\+|-|plus|minus)/;
const BACKWARDS = /before|prior|earlier|ago|minus|subtract/;
const ASKS_HOW_LONG =
  /\b(?:how (?:many|long|old|far)|days|weeks|months|years|hours|difference|time|until|till|since)\b/;
const REFERS_BACK = /\b(?:that|then|it|this|the (?:same )?date)\b/;
const GOES_ON = /^(?:and|now|then|ok|so|what about|how about|add|plus|minus|in)\b/;

/** Reads questions about dates: differences, shifts, weekdays, the current time. */
export function readDates(wording: Wording): ToolRequest | undefined {
  const text = digitsForWords(wording.message.toLowerCase().replaceAll('’', "'")).replaceAll(
    /\ban? (?=day|week|month|year|hour)/g,
    '1 ',
  );
  if (NOW.test(text)) return nowRequest();
  return readShift(text, wording) ?? readDifference(text, wording) ?? readWeekday(text, wording);
}

function nowRequest(): ToolRequest {
  return {
    tool: 'date_time',
    calls: [{ operation: 'now' }],
    say: ([now]) =>
      `It is ${now?.['weekday'] as string}, ${now?.['date'] as string}, ${now?.['time'] as string} UTC.`,
  };
}

/** A date at a distance from another. */
function readShift(text: string, wording: Wording): ToolRequest | undefined {
  const shift = SHIFT.exec(text);
  const added = shift === null ? ADDED.exec(text) : null;
  const ahead = shift === null && added === null ? AHEAD.exec(text) : null;
  const [count, unit, direction] =
    shift?.slice(1) ?? (added && [added[2], added[3], added[1]]) ?? ahead?.slice(1) ?? [];
  const dates = findDates(text, wording.now);
  const goesOn = wording.answerBefore !== undefined && (REFERS_BACK.test(text) || GOES_ON.test(text));
  if (count === undefined || unit === undefined || !(ASKS_FOR_A_DATE.test(text) || goesOn)) return undefined;
  const from = dates[0]?.date ?? (goesOn ? lastDate(wording.answerBefore) : undefined);
  const isFromNow = ahead !== null || /\b(?:ago|hence)\b/.test(text);
  if (from === undefined && (!isFromNow || !/\b(?:date|day|when will it be|time)\b/.test(text)))
    return undefined;
  const amount = Number(count) * (direction !== undefined && BACKWARDS.test(direction) ? -1 : 1);
  const units = `${unit}s`;
  const date = from ?? (units === 'minutes' || units === 'hours' ? 'now' : 'today');
  return {
    tool: 'date_time',
    calls: [{ operation: 'add', date, amount, unit: units }],
    say: ([result]) => {
      const when = `${counted(Math.abs(amount), units)} ${amount < 0 ? 'before' : 'after'} ${date}`;
      return `${when} is ${result?.['weekday'] as string}, ${result?.['date'] as string}.`;
    },
  };
}

function readDifference(text: string, { before, now }: Wording): ToolRequest | undefined {
  const unitOnly =
    /^(?:and\s+|what about\s+|how (?:many|much)\s+)?(?:is (?:that|it)\s+|that\s+)?(?:in\s+)?(minute|hour|day|week|month|year)s?(?:\s+is (?:that|it))?\W*$/.exec(
      text,
    );
  const asked = unitOnly !== null && before !== undefined ? before.toLowerCase() : text;
  if (!ASKS_HOW_LONG.test(asked)) return undefined;
  const dates = findDates(asked, now).map(({ date }) => date);
  let [from, to] = dates;
  if (from === undefined) return undefined;
  if (to === undefined && /\b(?:until|till|to|before|left|away)\b|\bin how (?:many|long)\b/.test(asked))
    [from, to] = ['today', from];
  if (to === undefined && /\b(?:since|ago|from|old|passed|born)\b/.test(asked)) to = 'today';
  if (to === undefined) return undefined;
  const isAge = /\bhow old\b/.test(asked);
  const unit =
    unitOnly?.[1] ?? /\b(minute|hour|day|week|month|year)s\b/.exec(asked)?.[1] ?? (isAge ? 'year' : 'day');
  return {
    tool: 'date_time',
    calls: [{ operation: 'difference', from, to }],
    say: ([result]) => {
      const amount = counted(result?.[`${unit}s`], `${unit}s`);
      return `From ${result?.['from'] as string} to ${result?.['to'] as string}: ${amount} (${result?.['text'] as string}).`;
    },
  };
}

function readWeekday(text: string, { now, answerBefore }: Wording): ToolRequest | undefined {
  if (!WEEKDAY.test(text)) return undefined;
  const date = findDates(text, now)[0]?.date ?? (REFERS_BACK.test(text) ? lastDate(answerBefore) : undefined);
  if (date === undefined) return undefined;
  return {
    tool: 'date_time',
    calls: [{ operation: 'weekday', date }],
    say: ([result]) => `${result?.['date'] as string}: ${result?.['weekday'] as string}.`,
  };
}

function lastDate(answer: string | undefined): string | undefined {
  return answer?.match(/\d{4}-\d{2}-\d{2}/g)?.at(-1);
}
