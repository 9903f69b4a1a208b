import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { validateOnce, validateOwned } from '../src/protocol/validated.js';

const schema = z.object({ n: z.number(), more: z.object({}).optional() });

describe('a validated value', () => {
  it('is taken as it is by the same schema', () => {
    const owned = validateOwned(schema, { n: 1, unknown: true }, 'the body');
    const parse = vi.spyOn(schema, 'safeParse');
    expect(validateOnce(schema, owned, 'the body')).toBe(owned);
    expect(parse).not.toHaveBeenCalled();
    parse.mockRestore();
    expect(owned).toEqual({ n: 1 });
  });

  it('cannot be changed afterwards', () => {
    const owned = validateOwned(schema, { n: 1 }, 'the body');
    expect(() => Object.assign(owned, { n: 'one' })).toThrow(TypeError);
  });

  it.each<[string, () => unknown]>([
    ['a copy of it', () => ({ ...validateOwned(schema, { n: 1 }, 'the body'), n: 'one' })],
    [
      'what inherits from it',
      () => Object.create(validateOwned(schema, { n: 1 }, 'the body'), { n: { value: 'one' } }),
    ],
    ['a value of another schema', () => validateOwned(z.object({ n: z.string() }), { n: 'one' }, 'the body')],
    ['a value that was not validated', () => ({ n: 'one' })],
    ['a value that is no object', () => 'one'],
  ])('is not %s', (_, value) => {
    expect(() => validateOnce(schema, value(), 'the body')).toThrow(/expected/);
  });
});
