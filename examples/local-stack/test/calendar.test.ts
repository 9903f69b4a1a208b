import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addTo, differenceBetween, isoDay, isoMoment, parseDate, weekdayOf } from '../src/tools/calendar.js';
import { textStatistics } from '../src/tools/text-statistics.js';

const now = new Date('2026-11-22T15:00:00Z');
const date = (text: string) => parseDate(text, now);
const days = fc
  .date({ min: new Date('1600-01-01'), max: new Date('2400-01-01'), noInvalidDate: true })
  .map(isoDay);

describe('the calendar', () => {
  test.each([
    '2026-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-04-31',
    '2026-1-1',
    'tomorrowish',
    '2026-01-01T25:00',
    '',
  ])('refuses %s', (text) => {
    expect(() => date(text)).toThrow(/date_time: expected a date/);
  });

  test('reads dates, times, today and now', () => {
    expect(isoMoment(date('2024-02-29'))).toBe('2024-02-29');
    expect(isoMoment(date('2026-01-31T10:05'))).toBe('2026-01-31T10:05Z');
    expect(isoMoment(date('today'))).toBe('2026-11-22');
    expect(date('now')).toBe(now);
  });

  test.each([
    ['2026-01-31', 45, 'days', '2026-03-17'],
    ['2026-01-31', 1, 'months', '2026-02-28'],
    ['2024-02-29', 1, 'years', '2025-02-28'],
    ['2026-03-31', -1, 'months', '2026-02-28'],
    ['2026-01-01', -2, 'weeks', '2025-12-18'],
    ['2026-01-01', 36, 'hours', '2026-01-02T12:00Z'],
  ] as const)('%s + %d %s = %s', (from, amount, unit, expected) => {
    expect(isoMoment(addTo(date(from), amount, unit))).toBe(expected);
  });

  test('adds and subtracts days', () => {
    fc.assert(
      fc.property(days, fc.integer({ min: -50_000, max: 50_000 }), (day, amount) => {
        const moved = addTo(date(day), amount, 'days');
        expect(differenceBetween(date(day), moved).days + 0).toBe(amount + 0);
        expect(isoDay(addTo(moved, -amount, 'days'))).toBe(day);
      }),
    );
  });

  test('gives a difference in months and days that leads from one date to the other', () => {
    fc.assert(
      fc.property(days, days, (a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const { months } = differenceBetween(date(from), date(to));
        expect(addTo(date(from), months, 'months') <= date(to)).toBe(true);
        expect(addTo(date(from), months + 1, 'months') > date(to)).toBe(true);
      }),
    );
  });

  test('names weekdays', () => {
    expect(weekdayOf(date('1969-07-20'))).toBe('Sunday');
    expect(weekdayOf(date('2000-02-29'))).toBe('Tuesday');
  });

  test('formats a difference in words', () => {
    expect(differenceBetween(date('2026-03-03'), date('2026-12-25'))).toMatchObject({
      days: 297,
      weeks: 42,
      text: '9 months, 22 days',
    });
    expect(differenceBetween(date('2026-12-25'), date('2026-03-03'))).toMatchObject({ days: -297 });
  });
});

describe('text statistics', () => {
  test('count words, sentences and characters', () => {
    const counts = textStatistics('The cat saw the dog. The dog ran!\n\nWhy did the dog run? 👨‍👩‍👧');
    expect(counts).toMatchObject({ words: 13, sentences: 4, paragraphs: 2, lines: 3 });
    expect(counts.most_frequent_words[0]).toEqual({ word: 'dog', count: 3 });
    expect(textStatistics('👨‍👩‍👧é').characters).toBe(2);
  });

  test('of an empty text are zero', () => {
    expect(textStatistics('')).toMatchObject({
      characters: 0,
      words: 0,
      sentences: 0,
      paragraphs: 0,
      lines: 0,
      reading_time_seconds: 0,
    });
  });
});
