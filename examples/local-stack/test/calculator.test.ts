import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate, formatNumber } from '../src/tools/calculator.js';

/** An expression for the calculator and its value in JavaScript; no value for a division by 0. */
interface Sample {
  readonly text: string;
  readonly value: number | undefined;
}

const IN_JAVASCRIPT: Readonly<Record<string, (a: number, b: number) => number | undefined>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0 ? undefined : a / b),
  '%': (a, b) => (b === 0 ? undefined : a % b),
};

const both = (a: Sample, b: Sample, of: (a: number, b: number) => number | undefined) =>
  a.value === undefined || b.value === undefined ? undefined : of(a.value, b.value);
const one = (a: Sample, of: (a: number) => number) => (a.value === undefined ? undefined : of(a.value));

const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.integer({ min: 0, max: 1000 }).map((n) => ({ text: String(n), value: n })),
    fc
      .integer({ min: 0, max: 99_999 })
      .map((n) => ({ text: (n / 100).toFixed(2), value: Number((n / 100).toFixed(2)) })),
    fc
      .tuple(tie('sample'), fc.constantFrom(...Object.keys(IN_JAVASCRIPT)), tie('sample'))
      .map(([a, op, b]) => ({
        text: `(${a.text}) ${op} (${b.text})`,
        value: both(a, b, IN_JAVASCRIPT[op] ?? (() => undefined)),
      })),
    tie('sample').map((a) => ({ text: `-(${a.text})`, value: one(a, (value) => -value) })),
    fc
      .tuple(tie('sample'), fc.integer({ min: 0, max: 3 }))
      .map(([a, n]) => ({ text: `(${a.text})^${n}`, value: one(a, (value) => value ** n) })),
    tie('sample').map((a) => ({ text: `abs(${a.text})`, value: one(a, Math.abs) })),
    fc
      .tuple(tie('sample'), tie('sample'))
      .map(([a, b]) => ({ text: `max(${a.text}, ${b.text})`, value: both(a, b, Math.max) })),
  ),
}));

describe('the calculator', () => {
  test('agrees with JavaScript on generated expressions', () => {
    fc.assert(
      fc.property(sample, ({ text, value }) => {
        fc.pre(text.length <= 2_000);
        if (value === undefined || !Number.isFinite(value)) expect(() => evaluate(text)).toThrow(/expected/);
        else expect(evaluate(text)).toBe(value);
      }),
      { numRuns: 3_000 },
    );
  });

  test('has the operator precedence of JavaScript', () => {
    const operand = fc.integer({ min: 1, max: 50 });
    const rest = fc.array(fc.tuple(fc.constantFrom('+', '-', '*', '/'), operand), { maxLength: 12 });
    fc.assert(
      fc.property(operand, rest, (first, parts) => {
        const text = [first, ...parts.flat()].join(' ');
        // oxlint-disable-next-line no-new-func, no-implied-eval -- the text consists of numbers and four operators
        const expected = new Function(`return ${text}`)() as number;
        expect(evaluate(text)).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ['17% * 2340', 397.8],
    ['10 % 3', 1],
    ['-7 % 3', -1],
    ['50% + 1', 1.5],
    ['-2^2', -4],
    ['2^3^2', 512],
    ['2^-1', 0.5],
    ['5!', 120],
    ['3!^2', 36],
    ['sqrt(144)', 12],
    ['log(1000)', 3],
    ['log(8, 2)', 3],
    ['round(2.345, 1)', 2.3],
    ['avg(1, 2, 3)', 2],
    ['2 × 3 ÷ 4 − 1', 0.5],
    ['1.5e3', 1500],
    ['pi - pi', 0],
  ])('evaluates %s to %d', (expression, value) => {
    expect(evaluate(expression)).toBeCloseTo(value, 12);
  });

  test.each([
    ['1 +', /expected a number at position 4, got the end/],
    ['1 + * 2', /expected a number at position 5, got "\*"/],
    ['(1 + 2', /expected "\)" at position 7/],
    ['2 3', /expected an operator or the end at position 3, got "3"/],
    ['1 / 0', /expected a divisor other than 0/],
    ['1 & 2', /at position 3, got "&"/],
    ['process', /expected one of .* at position 1, got "process"/],
    ['constructor(1)', /got "constructor"/],
    ['sqrt(1, 2)', /expected 1 values, got 2/],
    ['sqrt(-1)', /finite number, got NaN/],
    ['171!', /factorial: expected/],
    ['', /got the end/],
    [`${'('.repeat(200)}1${')'.repeat(200)}`, /levels/],
    ['1'.repeat(3000), /at most 2000 characters/],
  ])('refuses %s', (expression, message) => {
    expect(() => evaluate(expression)).toThrow(message);
  });

  test('substitutes variables', () => {
    expect(evaluate('amount * rate / 100', { amount: 200, rate: 21 })).toBe(42);
    expect(() => evaluate('amount * 2')).toThrow(/got "amount"/);
  });
});

test('formats numbers for readers', () => {
  expect(formatNumber(0.1 + 0.2)).toBe('0.3');
  expect(formatNumber(1234567.5)).toBe('1,234,567.5');
  expect(formatNumber(1e21)).toBe('1e+21');
});
