import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { surelyFits } from '../src/protocol/bounded-json.js';

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
