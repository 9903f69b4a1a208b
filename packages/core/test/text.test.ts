import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutPosition, cutText, cutToBytes, messageOf, readRetryAfter } from '../src/protocol/index.js';
import { clampDelay } from '../src/protocol/retry-after.js';
import { classNameOf } from '../src/protocol/thrown.js';

const anyText = fc.string({
  unit: fc.constantFrom('a', 'é', '€', '\u{1f600}', '\ud83d', '\ude00', '\n'),
  maxLength: 40,
});
const PAIR = '\u{1f600}';

describe('cutText', () => {
  it('keeps the limit, is well-formed and a prefix of the text, for any text and limit', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 0, max: 40 }), (text, max) => {
        const cut = cutText(text, max);
        expect(cut.length).toBeLessThanOrEqual(max);
        expect(cut.isWellFormed()).toBe(true);
        expect(text.toWellFormed().startsWith(cut)).toBe(true);
        if (text.length <= max) expect(cut).toBe(text.toWellFormed());
        else expect(cut.length).toBeGreaterThanOrEqual(max - 1);
      }),
    );
  });

  it('counts the ellipsis', () => {
    expect(cutText('abcdef', 4, '…')).toBe('abc…');
    expect(cutText('abcd', 4, '…')).toBe('abcd');
    expect(cutText(`ab${PAIR}f`, 4, '…')).toBe('ab…');
  });
});

describe('cutPosition', () => {
  it('never lies inside a surrogate pair', () => {
    expect([0, 1, 2, 3].map((at) => cutPosition(`a${PAIR}`, at))).toEqual([0, 1, 1, 3]);
  });
});

describe('cutToBytes', () => {
  it('keeps the limit in bytes, and splits no character', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 0, max: 60 }), (text, max) => {
        const cut = cutToBytes(text, max);
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(max);
        expect(text.toWellFormed().startsWith(cut)).toBe(true);
      }),
    );
  });
});

describe('a thrown value', () => {
  const thrower = () => {
    throw new Error('no');
  };
  it.each([
    ['an error', new RangeError('wrong'), 'wrong', 'RangeError'],
    ['a text', 'wrong', 'wrong', 'Error'],
    ['nothing', undefined, 'undefined was thrown', 'Error'],
    ['a symbol', Symbol('wrong'), 'Symbol(wrong)', 'Error'],
    ['no prototype', Object.create(null), expect.any(String), 'Error'],
    ['a text that throws', { toString: thrower }, expect.any(String), 'Error'],
    [
      'a message that throws',
      Object.defineProperty(new Error('x'), 'message', { get: thrower }),
      expect.any(String),
      'Error',
    ],
    ['no constructor', Object.defineProperty(new Error('x'), 'constructor', { value: null }), 'x', 'Error'],
  ])('has a message and a name: %s', (_, thrown, message, name) => {
    expect([messageOf(thrown), classNameOf(thrown)]).toEqual([message, name]);
  });
});

describe('Retry-After', () => {
  const DAY = 24 * 60 * 60_000;
  it.each([
    ['3', 3_000],
    ['0', 0],
    ['1.5', 1_500],
    [' 2 ', 2_000],
    ['99999999999999999999', DAY],
    ['9'.repeat(400), DAY],
    ['Fri, 31 Dec 9999 23:59:59 GMT', DAY],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['', undefined],
    ['-5', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['1e400', undefined],
    ['0x10', undefined],
    ['soon', undefined],
    [undefined, undefined],
    [null, undefined],
  ])('of %j is a valid wait', (header, ms) => {
    expect(readRetryAfter(header)).toBe(ms);
  });

  it('of an error is a valid wait', () => {
    const odd = [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300, '5' as unknown as number, undefined];
    expect(odd.map(clampDelay)).toEqual([undefined, 0, DAY, DAY, undefined, undefined]);
  });
});
