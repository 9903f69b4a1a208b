import { isoDay } from '../tools/calendar.js';

/** A date in a text. */
export interface FoundDate {
  /** `2026-01-31`; not necessarily a valid date, such as 30 February. */
  readonly date: string;
  readonly start: number;
  readonly end: number;
}

const MONTHS = 'january february march april may june july august september october november december'.split(
  ' ',
);
const MONTH = `(${MONTHS.map((month) => `${month.slice(0, 3)}(?:${month.slice(3)})?`).join('|')}|sept)\\.?`;
const DAY = String.raw`(\d{1,2})(?:st|nd|rd|th)?`;
const YEAR = String.raw`(?:,?\s+(?:of\s+)?(\d{4}))?(?!\d)`;
const DAYS_WITH_NAMES: readonly (readonly [RegExp, number, number])[] = [
  [/christmas eve/, 12, 24],
  [/christmas(?: day)?|xmas/, 12, 25],
  [/new year(?:'s|s)? eve/, 12, 31],
  [/new year(?:'s|s)?(?: day)?/, 1, 1],
  [/valentine(?:'s|s)?(?: day)?/, 2, 14],
  [/halloween/, 10, 31],
];
const DAY_MS = 86_400_000;

/**
 * Dates in a text, in order. One without a year takes the year of another date in the text, or the next
 * occurrence.
 */
export function findDates(text: string, now: Date): FoundDate[] {
  const lower = text.toLowerCase().replaceAll('’', "'");
  const found: (FoundDate & { month?: number; day?: number; year?: number | undefined })[] = [];
  const add = (match: RegExpExecArray, year: string | undefined, month: number, day: number) => {
    const [start, end] = [match.index, match.index + match[0].length];
    if (found.some((other) => start < other.end && end > other.start)) return;
    found.push({ date: '', start, end, month, day, year: year === undefined ? undefined : Number(year) });
  };
  each(/\b(\d{4})-(\d{1,2})-(\d{1,2})\b/g, lower, (m) => add(m, m[1], Number(m[2]), Number(m[3])));
  each(new RegExp(`\\b${MONTH}\\s+(?:the\\s+)?${DAY}${YEAR}`, 'g'), lower, (m) =>
    add(m, m[3], monthOf(m[1]), Number(m[2])),
  );
  each(new RegExp(`\\b${DAY}\\s+(?:of\\s+)?${MONTH}${YEAR}`, 'g'), lower, (m) =>
    add(m, m[3], monthOf(m[2]), Number(m[1])),
  );
  for (const [name, month, day] of DAYS_WITH_NAMES) {
    each(new RegExp(`\\b(?:${name.source})${YEAR}`, 'g'), lower, (m) => add(m, m[1], month, day));
  }
  const relative: [RegExp, number][] = [
    [/\btoday\b|\bnow\b/g, 0],
    [/\btomorrow\b/g, 1],
    [/\byesterday\b/g, -1],
  ];
  for (const [pattern, days] of relative) {
    each(pattern, lower, (match) => {
      const date = new Date(now.getTime() + days * DAY_MS);
      add(match, String(date.getUTCFullYear()), date.getUTCMonth() + 1, date.getUTCDate());
    });
  }
  const ordered = found.toSorted((a, b) => a.start - b.start);
  return ordered.map(({ start, end, month = 1, day = 1, year }, at) => {
    const other = ordered[at - 1]?.year ?? ordered[at + 1]?.year;
    return { start, end, date: isoForm(year ?? other ?? nextYearOf(month, day, now), month, day) };
  });
}

function nextYearOf(month: number, day: number, now: Date): number {
  const year = now.getUTCFullYear();
  return isoForm(year, month, day) < isoDay(now) ? year + 1 : year;
}

function isoForm(year: number, month: number, day: number): string {
  return [String(year).padStart(4, '0'), String(month).padStart(2, '0'), String(day).padStart(2, '0')].join(
    '-',
  );
}

function monthOf(name = ''): number {
  return MONTHS.findIndex((month) => month.startsWith(name.slice(0, 3))) + 1;
}

function each(pattern: RegExp, text: string, use: (match: RegExpExecArray) => void): void {
  for (const match of text.matchAll(pattern)) use(match);
}
