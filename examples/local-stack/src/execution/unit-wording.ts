import { textOfJson } from '../text/json-text.js';
import { digitsForWords } from './number-words.js';
import type { ToolRequest, Wording } from './tool-request.js';

/** Units of one kind, in multiples of the smallest. */
const KINDS: readonly Readonly<Record<string, number>>[] = [
  { second: 1, minute: 60, hour: 3_600, day: 86_400, week: 604_800, fortnight: 1_209_600 },
  { month: 1, quarter: 3, year: 12, decade: 120, century: 1_200 },
  {
    millimeter: 1,
    centimeter: 10,
    meter: 1_000,
    kilometer: 1_000_000,
    inch: 25.4,
    foot: 304.8,
    yard: 914.4,
    mile: 1_609_344,
  },
  { milligram: 1, gram: 1_000, kilogram: 1e6, ton: 1e9, ounce: 28_349.523125, pound: 453_592.37 },
  { milliliter: 1, liter: 1_000 },
  {
    byte: 1,
    kilobyte: 1e3,
    megabyte: 1e6,
    gigabyte: 1e9,
    terabyte: 1e12,
    kibibyte: 1_024,
    mebibyte: 1_048_576,
    gibibyte: 1_073_741_824,
  },
];
/** Number of shorter periods per longer one, where it differs from the quotient of the units. */
const PER_YEAR: Readonly<Record<string, number>> = { day: 365, week: 52, month: 12, quarter: 4, year: 1 };
const OTHER_NAMES: Readonly<Record<string, string>> = {
  sec: 'second',
  s: 'second',
  min: 'minute',
  hr: 'hour',
  h: 'hour',
  mm: 'millimeter',
  cm: 'centimeter',
  m: 'meter',
  km: 'kilometer',
  in: 'inch',
  inche: 'inch',
  ft: 'foot',
  feet: 'foot',
  yd: 'yard',
  mi: 'mile',
  mg: 'milligram',
  g: 'gram',
  kg: 'kilogram',
  kilo: 'kilogram',
  tonne: 'ton',
  oz: 'ounce',
  ounce: 'ounce',
  lb: 'pound',
  ml: 'milliliter',
  l: 'liter',
  kb: 'kilobyte',
  mb: 'megabyte',
  gb: 'gigabyte',
  tb: 'terabyte',
  kib: 'kibibyte',
  mib: 'mebibyte',
  gib: 'gibibyte',
  centurie: 'century',
};
const NUMBER = String.raw`(-?\d+(?:\.\d+)?)`;
const UNIT = String.raw`([a-z]+)`;
const CONVERSIONS: readonly (readonly [RegExp, 'amount-first' | 'unit-first'])[] = [
  [
    new RegExp(
      `how many ${UNIT} (?:are (?:there )?|is |do |does |make |fit |has |have |go )?(?:in|into|equal|make)\\s+${NUMBER}\\s*${UNIT}\\b`,
    ),
    'unit-first',
  ],
  [new RegExp(`how many ${UNIT} (?:are|is|do|does|make|has|have)\\s+${NUMBER}\\s*${UNIT}\\b`), 'unit-first'],
  [
    new RegExp(
      `(?:convert|change|turn|express|what(?:'s| is| are))?\\s*${NUMBER}\\s*${UNIT}\\s+(?:in|to|into|as)\\s+${UNIT}\\s*[?.!]*$`,
    ),
    'amount-first',
  ],
];
const TEMPERATURE = new RegExp(
  `${NUMBER}\\s*(?:°|degrees?)?\\s*(c|f|celsius|fahrenheit)\\s+(?:in|to|into|as)\\s+(?:degrees?\\s+|°)?(c|f|celsius|fahrenheit)\\b`,
);
const EACH = String.raw`(?:a|an|per|each|every|/)\s*`;
const PERIOD = '(day|week|month|quarter|year)';
const RATE = new RegExp(
  `${NUMBER}\\s*(?:[a-z]+\\s+)?${EACH}${PERIOD}\\b.*\\b(?:(?:a|an|per|each|every|in an?|for an?|over an?)\\s+${PERIOD}|(year|month|week|dai)ly|annually)\\b`,
);

/** Reads unit conversions: `how many minutes are 3.5 hours`, `4,200 a month, what is that a year?` */
export function readUnits({ message }: Wording): ToolRequest | undefined {
  const text = digitsForWords(message.toLowerCase())
    .replaceAll(/(?<=\d),(?=\d{3}\b)/g, '')
    .replaceAll(
      /\b(?:an?|one) (?=(?:second|minute|hour|day|week|month|year|meter|metre|kilomet|mile|foot|yard|inch|kilo|gram|pound|ton|lit)\w*)/g,
      (one, at: number, all: string) => (/(?:in|into|are|is)\s$/.test(all.slice(0, at)) ? '1 ' : one),
    )
    .replaceAll(/[$€£]/g, '');
  return readConversion(text) ?? readTemperature(text) ?? readRate(text);
}

function readConversion(text: string): ToolRequest | undefined {
  for (const [pattern, order] of CONVERSIONS) {
    const [, a = '', b = '', c = ''] = pattern.exec(text) ?? [];
    const [amount, from, to] = order === 'unit-first' ? [b, c, a] : [a, b, c];
    const [unit, wanted] = [unitNamed(from), unitNamed(to)];
    const kind = KINDS.find((units) => unit in units && wanted in units);
    const [many, few] = [kind?.[unit], kind?.[wanted]];
    if (amount === '' || many === undefined || few === undefined) continue;
    const expression = many >= few ? `${amount} * ${many / few}` : `${amount} / ${few / many}`;
    return calculation(expression, (result) => `${amount} ${plural(unit)} = ${result} ${plural(wanted)}`);
  }
  return undefined;
}

function readTemperature(text: string): ToolRequest | undefined {
  const [, degrees = '', from = '', to = ''] = TEMPERATURE.exec(text) ?? [];
  if (degrees === '' || from[0] === to[0]) return undefined;
  const expression = from.startsWith('c') ? `${degrees} * 9 / 5 + 32` : `(${degrees} - 32) * 5 / 9`;
  const [letter, other] = from.startsWith('c') ? ['C', 'F'] : ['F', 'C'];
  return calculation(expression, (result) => `${degrees} °${letter} = ${result} °${other}`);
}

function readRate(text: string): ToolRequest | undefined {
  const [whole = '', amount = '', from = '', to, spelled] = RATE.exec(text) ?? [];
  const wanted = to ?? (spelled === 'dai' ? 'day' : spelled) ?? (whole.endsWith('annually') ? 'year' : '');
  const [often, seldom] = [PER_YEAR[from], PER_YEAR[wanted]];
  if (often === undefined || seldom === undefined || from === wanted) return undefined;
  const isWeekOfDays = from === 'day' && wanted === 'week';
  const expression = isWeekOfDays
    ? `${amount} * 7`
    : seldom === 1
      ? `${amount} * ${often}`
      : often === 1
        ? `${amount} / ${seldom}`
        : `${amount} * ${often} / ${seldom}`;
  return calculation(expression, (result) => `${amount} a ${from} = ${result} a ${wanted}`);
}

function calculation(expression: string, say: (result: string) => string): ToolRequest {
  return {
    tool: 'calculator',
    calls: [{ expression }],
    say: ([output]) => say(textOfJson(output?.['text'])),
  };
}

function unitNamed(word: string): string {
  const singular =
    OTHER_NAMES[word] ??
    word
      .replace(/(?<=..)s$/, '')
      .replace(/metre$/, 'meter')
      .replace(/litre$/, 'liter');
  return OTHER_NAMES[singular] ?? singular;
}

function plural(unit: string): string {
  if (unit === 'foot') return 'feet';
  return unit === 'inch'
    ? 'inches'
    : unit.endsWith('y') && unit !== 'day'
      ? `${unit.slice(0, -1)}ies`
      : `${unit}s`;
}
