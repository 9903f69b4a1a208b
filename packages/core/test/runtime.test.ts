import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrchestratorError } from '../src/index.js';
import { atMost, pause } from '../src/runtime/clock.js';
import { Fifo } from '../src/runtime/fifo.js';
import { untilAvailable } from '../src/runtime/until-available.js';
import { WakeSignal } from '../src/runtime/wake-signal.js';
import { ManualClock, settled } from './harness.js';

describe('Fifo', () => {
  it('equals an array at any throughput', () => {
    const step = fc.oneof(
      { weight: 20, arbitrary: fc.record({ push: fc.integer() }) },
      { weight: 20, arbitrary: fc.constant('shift' as const) },
      { weight: 2, arbitrary: fc.record({ unshift: fc.integer() }) },
    );
    const property = fc.property(fc.array(step, { maxLength: 6_000, size: 'max' }), (steps) => {
      const [fifo, model] = [new Fifo<number>(), [] as number[]];
      for (const next of steps) {
        if (next === 'shift') expect(fifo.shift()).toBe(model.shift());
        else if ('push' in next) {
          fifo.push(next.push);
          model.push(next.push);
        } else {
          fifo.unshift(next.unshift);
          model.unshift(next.unshift);
        }
        if (fifo.size !== model.length || fifo.first !== model[0] || fifo.last !== model.at(-1))
          throw new Error('they differ');
      }
      expect([...fifo]).toEqual(model);
      fifo.clear();
      expect([fifo.size, fifo.first, fifo.shift()]).toEqual([0, undefined, undefined]);
    });
    fc.assert(property, { numRuns: 10 });
  });

  it('releases what was taken, however long it never empties', () => {
    const fifo = new Fifo<number>();
    for (let n = 0; n < 5_000; n += 1) fifo.push(n);
    for (let n = 0; n < 100_000; n += 1) {
      fifo.push(n);
      fifo.shift();
    }
    expect(fifo.size).toBe(5_000);
    expect([...fifo]).toHaveLength(5_000);
  });
});

describe('WakeSignal', () => {
  it('wakes all waiters, each once', async () => {
    const wake = new WakeSignal();
    const woken: string[] = [];
    void wake.next.then(() => woken.push('next'));
    void wake.wait({}).then(() => woken.push('wait'));
    void wake.wait({}).then(() => woken.push('other'));
    await settled();
    expect(woken).toEqual([]);
    wake.notify();
    wake.notify();
    await settled();
    expect(woken.toSorted((a, b) => a.localeCompare(b))).toEqual(['next', 'other', 'wait']);
  });

  it('keeps no notification for a later waiter, but for one that took `next` before', async () => {
    const wake = new WakeSignal();
    const before = wake.next;
    wake.notify();
    let isLaterWoken = false;
    void wake.next.then(() => (isLaterWoken = true));
    await before;
    await settled();
    expect(isLaterWoken).toBe(false);
    expect(wake.next).toBe(wake.next);
    expect(wake.next).not.toBe(before);
  });

  it('ends a wait at its limit, at an abort and at once if aborted before', async () => {
    const clock = new ManualClock();
    const wake = new WakeSignal();
    const limited = wake.wait({ clock, limitMs: 1_000 });
    await clock.advance(1_000);
    expect(await limited).toBe(false);
    const stop = new AbortController();
    const aborted = wake.wait({ clock, limitMs: 1_000, signal: stop.signal });
    stop.abort();
    expect(await aborted).toBe(false);
    expect(await wake.wait({ signal: stop.signal })).toBe(false);
    const notified = wake.wait({ clock, limitMs: 1_000, signal: new AbortController().signal });
    wake.notify();
    expect(await notified).toBe(true);
  });

  it('lets a waiter wait again while it is woken', async () => {
    const wake = new WakeSignal();
    let woken = 0;
    const again = async (): Promise<void> => {
      await wake.wait({});
      woken += 1;
      if (woken < 3) await again();
    };
    const all = again();
    for (let n = 1; n <= 3; n += 1) {
      wake.notify();
      await settled();
      expect(woken).toBe(n);
    }
    await all;
  });
});

describe('atMost', () => {
  it('tells work that has ended from a limit and an abort, and leaves no timer', async () => {
    const clock = new ManualClock();
    let timers = 0;
    const counting = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after(ms: number, callback: () => void) {
        timers += 1;
        const cancel = clock.after(ms, callback);
        return () => {
          timers -= 1;
          cancel();
        };
      },
    };
    expect(await atMost(counting, 1_000, Promise.resolve())).toBe(true);
    expect(timers).toBe(0);
    const late = atMost(counting, 1_000, new Promise(() => {}));
    await clock.advance(1_000);
    expect(await late).toBe(false);
    const stop = new AbortController();
    const aborted = atMost(counting, 1_000, new Promise(() => {}), stop.signal);
    stop.abort();
    expect(await aborted).toBe(false);
  });
});

describe('untilAvailable', () => {
  const clock = new ManualClock();
  const random = { uuid: () => '', fraction: () => 0.5 };
  const away = () => new OrchestratorError('storage_unavailable', 'away');

  it('repeats while the storage is unavailable, with growing delays', async () => {
    const { signal } = new AbortController();
    const started = clock.now();
    const triedAt: number[] = [];
    const retried: unknown[] = [];
    const work = async () => {
      triedAt.push(clock.now() - started);
      if (triedAt.length < 5) throw away();
      return 'done';
    };
    const done = untilAvailable(work, () => ({ clock, random, signal, onRetry: (e) => retried.push(e) }));
    await clock.advance(10_000);
    expect(await done).toBe('done');
    expect(triedAt).toEqual([0, 100, 250, 500, 950]);
    expect(retried).toHaveLength(4);
  });

  it('rejects with another error at once', async () => {
    const { signal } = new AbortController();
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw new TypeError('bad');
    };
    await expect(untilAvailable(work, () => ({ clock, random, signal }))).rejects.toThrow('bad');
    expect(tries).toBe(1);
  });

  it('ends at its limit', async () => {
    const { signal } = new AbortController();
    const until = clock.now() + 200;
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw away();
    };
    const failed = expect(
      untilAvailable(work, () => ({ clock, random, signal, until })),
    ).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    await clock.advance(10_000);
    await failed;
    expect(tries).toBe(3);
  });

  it('tries a last time after an abort', async () => {
    const stop = new AbortController();
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw away();
    };
    const failed = expect(
      untilAvailable(work, () => ({ clock, random, signal: stop.signal })),
    ).rejects.toThrow();
    await settled();
    expect(tries).toBe(1);
    stop.abort();
    await failed;
    expect(tries).toBe(2);
    await pause(clock, 0);
  });
});
