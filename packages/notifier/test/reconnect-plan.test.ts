import { readRetryAfter } from '@agent-orchestrator/core/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryAfterOf } from '../src/hub-words.js';
import { reconnectPlan } from '../src/reconnect-plan.js';

const limits = { reconnectBaseMs: 500, reconnectCapMs: 30_000, refusedRetryMs: 60_000 };

describe('reconnectPlan', () => {
  it('stays within its bounds', () => {
    const ends = fc.record({
      code: fc.constantFrom(1000, 1001, 1006, 1008, 1009, 1013, 4401, 4403, 4408),
      retryAfterMs: fc.option(fc.integer({ min: 0, max: 10 ** 12 }), { nil: undefined }),
    });
    const property = fc.property(ends, fc.integer({ min: 1, max: 10_000 }), (end, attempt) => {
      const plan = reconnectPlan({ ...end, reason: 'r' }, attempt, limits);
      const refused = end.code === 4401 || end.code === 4403;
      expect(plan.state).toBe(refused ? 'refused' : 'disconnected');
      const asked = Math.min(end.retryAfterMs ?? 0, 300_000);
      const [least, most] = refused
        ? [30_000, 60_000]
        : end.retryAfterMs !== undefined
          ? [asked, asked + 500]
          : end.code === 1013
            ? [15_000, 30_000]
            : [0, Math.min(30_000, 500 * 2 ** (attempt - 1))];
      expect(plan.retryInMs).toBeGreaterThanOrEqual(least);
      expect(plan.retryInMs).toBeLessThanOrEqual(most);
    });
    fc.assert(property);
  });

  it('uses the whole range of its bounds', () => {
    const plans = Array.from({ length: 2_000 }, () => reconnectPlan({ code: 1006, reason: 'r' }, 7, limits));
    const delays = plans.map(({ retryInMs }) => retryInMs);
    expect(Math.min(...delays)).toBeLessThan(1_500);
    expect(Math.max(...delays)).toBeGreaterThan(28_500);
  });
});

describe('the reconnect delay', () => {
  it.each([
    ['{"retry_after_ms":250}', 250],
    ['{"retry_after_ms":-1}', undefined],
    ['{"retry_after_ms":"soon"}', undefined],
    ['[1]', undefined],
    ['null', undefined],
    ['too many connections', undefined],
    ['', undefined],
  ])('of a close reason: %s', (reason, ms) => {
    expect(retryAfterOf(reason)).toBe(ms);
  });

  it('of a header: seconds, a date, or nothing', () => {
    expect([readRetryAfter('3'), readRetryAfter(null), readRetryAfter(''), readRetryAfter('soon')]).toEqual([
      3_000,
      undefined,
      undefined,
      undefined,
    ]);
    expect(readRetryAfter('Thu, 01 Jan 1970 00:00:00 GMT')).toBe(0);
    expect(readRetryAfter(new Date(Date.now() + 60_000).toUTCString())).toBeGreaterThan(50_000);
  });
});
