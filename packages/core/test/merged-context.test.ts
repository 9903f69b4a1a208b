import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { JsonObject, JsonValue } from '../src/protocol/json.js';
import { parseJsonInPortions } from '../src/protocol/portioned-json.js';
import { mergedContext } from '../src/storage/merged-context.js';

const keys = fc.constantFrom('a', 'b', '1', 'a"b', 'null', ':null', '__proto__', '', 'ü', 'a,b', '{');
const contexts = fc.array(fc.tuple(keys, fc.jsonValue({ maxDepth: 3 }))).map((fields) => {
  return JSON.parse(JSON.stringify(Object.fromEntries(fields as [string, JsonValue][]))) as JsonObject;
});

/** What is meant: the fields of both, those of the change first, without those that are `null`. */
function expected(before: JsonObject, change: JsonObject): JsonObject {
  const all = new Map([...Object.entries(before), ...Object.entries(change)]);
  return Object.fromEntries([...all].filter(([, value]) => value !== null));
}

describe('a merged context', () => {
  it('has the fields of both, without null fields', () => {
    fc.assert(
      fc.property(contexts, contexts, contexts, (first, second, third) => {
        const one = mergedContext('{}', first);
        const two = mergedContext(one, second);
        const all = mergedContext(two, third);
        expect(JSON.parse(one)).toStrictEqual(expected({}, first));
        expect(JSON.parse(all)).toStrictEqual(expected(expected(expected({}, first), second), third));
        expect(all).toHaveLength(JSON.stringify(JSON.parse(all)).length);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is refused above 1 MiB in bytes', () => {
    const half = { a: 'ü'.repeat(300_000) };
    const text = mergedContext('{}', half);
    expect(() => mergedContext(text, { b: 'ü'.repeat(300_000) })).toThrow(
      expect.objectContaining({ code: 'payload_too_large', message: expect.stringContaining('got 1200015') }),
    );
    expect(mergedContext(text, { a: null, b: 1 })).toBe('{"b":1}');
  });

  it('neither parses nor serialises large fields', async () => {
    const large = (await parseJsonInPortions(`{"rows":[${'{"n":1},'.repeat(50_000)}0]}`)) as JsonObject;
    const parse = vi.spyOn(JSON, 'parse');
    const write = vi.spyOn(JSON, 'stringify');
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    const merged = mergedContext(mergedContext('{}', large), { step: 1 });
    expect(parse).not.toHaveBeenCalled();
    const written = write.mock.results.map(({ value }) => (value as string).length);
    expect(Math.max(...written)).toBeLessThan(100);
    vi.restoreAllMocks();
    expect(JSON.parse(merged)).toEqual({ ...large, step: 1 });
  });
});
