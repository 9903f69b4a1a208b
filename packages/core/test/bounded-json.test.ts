import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainCopy, surelyFits } from '../src/protocol/bounded-json.js';

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

describe('what surely fits', () => {
  it('takes no more room than that, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(400), (value, room) => {
        expect(!surelyFits(value, room) || bytesOf(value) <= room).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is seen of what is small beside the room', () => {
    const payload = { text: 'x'.repeat(1_000), list: [1, null, true, { deep: '\u0000' }], left: undefined };
    expect(surelyFits(payload, 10_000)).toBe(true);
    expect(surelyFits(Object.create(null), 2)).toBe(true);
  });

  it.each([
    ['a date', new Date(0)],
    ['what says itself how it is written', { toJSON: () => 'x'.repeat(1_000) }],
    ['a list with a hole', Array.from({ length: 3 })],
    ['what JSON has no word for', { n: 1n }],
    ['what is nested deeply', JSON.parse('['.repeat(100) + ']'.repeat(100))],
    ['text of many bytes', { text: '\u0000'.repeat(200) }],
    ['a key of many bytes', { ['\u0000'.repeat(200)]: 1 }],
    ['a long list', Array.from({ length: 200 }, () => 1_234_567)],
  ])('is not said of %s', (_, value) => expect(surelyFits(value, 1_000)).toBe(false));

  it('is not said of what goes round in a circle', () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(surelyFits(circle, 1_000_000)).toBe(false);
  });
});

describe('a plain copy', () => {
  it('is what JSON makes of the value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('__proto__'));
        expect(plainCopy(value)).toStrictEqual(JSON.parse(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['fields that are undefined', { a: undefined, b: [{ c: undefined }] }],
    ['numbers that JSON has no word for', [Number.NaN, Number.POSITIVE_INFINITY, -0]],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['keys that are numbers', { 2: 'b', 1: 'a', z: 0 }],
  ])('is what JSON makes of %s', (_, value) => {
    expect(plainCopy(value)).toStrictEqual(JSON.parse(JSON.stringify(value)));
  });

  it('shares nothing with the value that may change', () => {
    const inner = { a: 1 };
    const value = { list: [inner] };
    const copy = plainCopy(value);
    inner.a = 2;
    value.list.push({ a: 3 });
    expect(copy).toEqual({ list: [{ a: 1 }] });
  });

  it.each([
    ['a date', { at: new Date(0) }],
    ['what says itself how it is written', { toJSON: () => 1 }],
    ['a list with a hole', Array.from({ length: 3 })],
    ['what JSON has no word for', { n: 1n }],
    ['what is nested deeply', JSON.parse('['.repeat(100) + ']'.repeat(100))],
    ['a key that would become the prototype', JSON.parse('{"__proto__":{"a":1}}')],
    ['nothing', undefined],
  ])('is not made of %s', (_, value) => expect(plainCopy(value)).toBeUndefined());
});
