import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShortLivedMap } from '../src/runtime/short-lived-map.js';

describe('a map through which many values pass', () => {
  it('behaves like a Map', () => {
    const step = fc.record({ key: fc.integer({ min: 0, max: 5 }), value: fc.option(fc.nat()) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const map = new ShortLivedMap<number, number>();
        const reference = new Map<number, number>();
        for (const { key, value } of steps) {
          if (value === null) {
            map.delete(key);
            reference.delete(key);
          } else {
            map.set(key, value);
            reference.set(key, value);
          }
          expect(map.size).toBe(reference.size);
          expect(map.get(key)).toBe(reference.get(key));
        }
        expect([...map.entries()]).toEqual([...reference]);
        expect(map.values()).toEqual([...reference.values()]);
      }),
    );
  });

  it('skips entries deleted during iteration', () => {
    const map = new ShortLivedMap<string, number>();
    for (const [at, key] of ['a', 'b', 'c'].entries()) map.set(key, at);
    const seen: string[] = [];
    for (const [key] of map.entries()) {
      seen.push(key);
      map.delete('b');
    }
    expect(seen).toEqual(['a', 'c']);
  });
});
