import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boundedJson,
  copiedJson,
  copyJson,
  exceedsAsJson,
  isJsonOnly,
} from '../src/protocol/bounded-json.js';
import { OrchestratorError } from '../src/index.js';

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
const throughText = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null) ?? 'null');
const RULE = { what: 'the value', tooLarge: 'payload_too_large' } as const;

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'taken';
  } catch (error) {
    return error instanceof OrchestratorError ? error.code : `thrown ${String(error)}`;
  }
}

/** Anything that a caller may hand over, JSON or not. */
const anything = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.jsonValue(),
    fc.double(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom<unknown>(undefined, NaN, -0, Infinity, 2 ** 53 + 1, 1n, Symbol('s'), () => 1, /x/),
    fc.date({ noInvalidDate: false }),
    fc.constant(new Map([[1, 2]])),
    fc.constant({ toJSON: () => 'says itself' }),
    fc.constant(JSON.parse('{"__proto__":{"polluted":true}}')),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: false }),
  ),
})).value;

describe('plain JSON', () => {
  it('a copy never exceeds its byte limit', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(400), (value, room) => {
        expect(!isJsonOnly(value, room) || bytesOf(value) <= room).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('a value far below the limit is recognised without a copy', () => {
    const payload = { text: 'x'.repeat(1_000), list: [1, null, true, { deep: '\u0000' }] };
    expect(isJsonOnly(payload, 10_000)).toBe(true);
  });

  it('a value is recognised exactly if JSON reads it back unchanged', () => {
    fc.assert(
      fc.property(anything, (value) => {
        if (isJsonOnly(value, 1_000_000)) expect(throughText(value)).toStrictEqual(value);
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ['a date', new Date(0)],
    ['an object with a toJSON', { toJSON: () => 'x' }],
    ['an array with a toJSON', Object.assign([1], { toJSON: () => 'x' })],
    ['an array with a hole', Array.from({ length: 3 })],
    ['a BigInt', { n: 1n }],
    ['a field that is undefined', { a: undefined }],
    ['minus zero', [-0]],
    ['NaN', NaN],
    ['an object without a prototype', Object.create(null)],
    ['more than 512 levels', JSON.parse('['.repeat(600) + ']'.repeat(600))],
    ['a text of many bytes', { text: '\u0000'.repeat(200) }],
  ])('is not recognised: %s', (_, value) => expect(isJsonOnly(value, 1_000)).toBe(false));
});

describe('a value that is too large', () => {
  it('is never a value whose text fits', () => {
    fc.assert(
      fc.property(anything, (value) => {
        let text: string | undefined;
        try {
          text = JSON.stringify(value);
        } catch {
          return;
        }
        expect(exceedsAsJson(value, Buffer.byteLength(text ?? 'null'))).toBe(false);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is recognised by visiting no more than the limit, however often a part is repeated', () => {
    let looks = 0;
    const part = new Proxy(['x'.repeat(100)], {
      get(target, key, receiver) {
        if (key === 'length') looks += 1;
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
    let value: unknown = part;
    for (let level = 0; level < 60; level += 1) value = [value, value];
    expect(codeOf(() => boundedJson(value, { ...RULE, maxBytes: 10_000 }))).toBe('payload_too_large');
    expect(looks).toBeLessThan(1_000);
  });
});

describe('a value at the storage gate', () => {
  it('is passed on as JSON reads it, or refused with a code', () => {
    fc.assert(
      fc.property(anything, (value) => {
        let expected: unknown;
        try {
          expected = throughText(value);
        } catch {
          expect(codeOf(() => boundedJson(value, RULE))).toBe('invalid_request');
          return;
        }
        expect(boundedJson(value, RULE)).toStrictEqual(expected);
        expect(copiedJson(value, RULE)).toStrictEqual(expected);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is passed on itself if it is JSON already, and as a copy on request', () => {
    const value = { a: [1, { b: 'c' }] };
    expect(boundedJson(value, RULE)).toBe(value);
    const copy = copiedJson(value, RULE) as typeof value;
    expect(copy).toStrictEqual(value);
    expect([copy === value, copy.a === value.a, copy.a[1] === value.a[1]]).toEqual([false, false, false]);
  });

  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  const deep = (levels: number) => {
    let value: unknown = 1;
    for (let n = 0; n < levels; n += 1) value = { value };
    return value;
  };
  it.each([
    ['a cycle', cycle, 'a cycle'],
    ['a BigInt', { n: 10n }, 'a BigInt'],
    ['600 levels', deep(600), 'levels'],
    ['20,000 levels', deep(20_000), 'levels'],
    [
      'a getter that throws',
      Object.defineProperty({}, 'x', {
        enumerable: true,
        get: () => {
          throw new Error('secret');
        },
      }),
      'throws',
    ],
    [
      'a toJSON that throws',
      {
        toJSON: () => {
          throw new Error('secret');
        },
      },
      'throws',
    ],
    [
      'a Proxy that throws',
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('secret');
          },
        },
      ),
      'throws',
    ],
  ])('that is %s is refused with our own message', (_, value, got) => {
    expect(codeOf(() => boundedJson(value, RULE))).toBe('invalid_request');
    expect(() => boundedJson(value, RULE)).toThrow(got);
    expect(() => boundedJson(value, RULE)).not.toThrow('secret');
  });

  it('above the byte limit is refused with the code of its rule', () => {
    expect(codeOf(() => boundedJson('x'.repeat(1_100_000), RULE))).toBe('payload_too_large');
    expect(codeOf(() => boundedJson(['ä'.repeat(10)], { ...RULE, maxBytes: 20 }))).toBe('payload_too_large');
    expect(codeOf(() => boundedJson(['ä'.repeat(8)], { ...RULE, maxBytes: 20 }))).toBe('taken');
  });

  it('keeps a "__proto__" key as JSON does, and changes no prototype', () => {
    const value = JSON.parse('{"__proto__":{"polluted":true},"a":1}');
    expect(JSON.stringify(boundedJson(value, RULE))).toBe('{"__proto__":{"polluted":true},"a":1}');
    expect(JSON.stringify(copyJson(value))).toBe('{"__proto__":{"polluted":true},"a":1}');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
