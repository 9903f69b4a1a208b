import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Orchestrator } from '../src/index.js';
import { systemClock } from '../src/storage/index.js';
import { DEFAULTS } from '../src/protocol/index.js';

const MONTH = DEFAULTS.maxTaskTimeoutMs;

describe('the limits of a service', () => {
  const ways = { 'over HTTP': { url: 'http://127.0.0.1:1' }, 'in the process': { run: () => 1 } };
  describe.each(Object.entries(ways))('%s', (_, way) => {
    it.each(['timeoutMs', 'silenceMs'])('%s is a whole number up to 30 days', (name) => {
      const odd = [
        Number.NaN,
        Number.POSITIVE_INFINITY,
        0,
        -1,
        1.5,
        MONTH + 1,
        2 ** 60,
        '1000',
        10n,
        {},
        true,
      ];
      for (const value of odd) {
        expect(() => new Orchestrator({ services: { s: { ...way, [name]: value } as never } })).toThrow(
          expect.objectContaining({ code: 'invalid_request', message: expect.stringContaining(name) }),
        );
      }
      for (const value of [1, 2 ** 31, MONTH, undefined]) {
        expect(() => new Orchestrator({ services: { s: { ...way, [name]: value } } })).not.toThrow();
      }
    });

    it.each([Number.NaN, 0, 1.5, '4'])('concurrency is not %j', (concurrency) => {
      expect(() => new Orchestrator({ services: { s: { ...way, concurrency } as never } })).toThrow(
        expect.objectContaining({ message: expect.stringContaining('concurrency') }),
      );
    });
  });
});

describe('a timer of the system clock', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it.each([1, 2 ** 31 - 1, 2 ** 31, MONTH, 2 ** 33])('of %d ms fires then, and not before', (ms) => {
    let fired = 0;
    systemClock.after(ms, () => (fired += 1));
    vi.advanceTimersByTime(ms - 1);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('without an end never fires, and can be cancelled at any time', () => {
    let fired = 0;
    const cancel = systemClock.after(Number.POSITIVE_INFINITY, () => (fired += 1));
    vi.advanceTimersByTime(2 ** 33);
    cancel();
    expect([fired, vi.getTimerCount()]).toEqual([0, 0]);
  });
});
