import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { messagesQuery, PAGE_SIZES, pageLimit, pageQuery } from '../src/protocol/pages.js';

const refused = (max: number) => ({
  code: 'invalid_request',
  message: expect.stringContaining(`1 to ${max}`),
});

describe.each(Object.entries(PAGE_SIZES))('a page of the size "%s"', (_, size) => {
  it('has its default, and takes limits from 1 to its maximum', () => {
    expect(pageLimit(size)).toBe(size.default);
    expect([pageLimit(size, 1), pageLimit(size, size.max)]).toEqual([1, size.max]);
    for (const limit of [0, -1, 1.5, Number.NaN, size.max + 1, '5' as never])
      expect(() => pageLimit(size, limit)).toThrow(expect.objectContaining(refused(size.max)));
  });
});

describe.each([
  ['tasks, sessions and batches', z.object(pageQuery), 'cursor'],
  ['messages', z.object(messagesQuery), 'before'],
])('a query over HTTP for a page of %s', (_, schema, from) => {
  it('reads the limit from text, within the size of HTTP', () => {
    const { http } = PAGE_SIZES;
    expect(schema.parse({})).toEqual({ limit: http.default });
    expect(schema.parse({ limit: String(http.max), [from]: 'x' })).toEqual({ limit: http.max, [from]: 'x' });
    for (const limit of ['0', '-1', '1.5', '1e2', '', 'all', String(http.max + 1)])
      expect(schema.safeParse({ limit }).success).toBe(false);
  });

  it('refuses an empty and an overlong cursor', () => {
    for (const cursor of ['', 'x'.repeat(501)])
      expect(schema.safeParse({ [from]: cursor }).success).toBe(false);
  });
});
