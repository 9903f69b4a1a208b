import type { Clock } from '../../src/index.js';

interface Timer {
  readonly at: number;
  readonly order: number;
  /** Absent once it was taken back. */
  callback: (() => void) | undefined;
}

/** What runs without time passing, though not as microtasks: turns of the event loop, and reads of files. */
const RUNNING = new Set(['Immediate', 'FSReqPromise', 'CloseReq']);
const waiting = () => process.getActiveResourcesInfo().filter((kind) => RUNNING.has(kind)).length;

/** Resolves once everything has run that can run without time passing. */
async function quiet(): Promise<void> {
  for (;;) {
    // A tick comes after all microtasks; a turn of the event loop costs much more, and few of them are needed.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    if (waiting() === 0) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * A clock that fires one timer after the other, and moves on only when nothing is left to run at the present moment.
 * `ManualClock` gives what a timer sets off a fixed number of turns instead: enough for one task, but with hundreds of
 * them time would overtake runs that are still being replayed.
 */
export class VirtualClock implements Clock {
  #now = Date.parse('2026-01-31T10:00:00.000Z');
  #order = 0;
  /** The next one to fire is the last. */
  readonly #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    this.#order += 1;
    const timer: Timer = { at: this.#now + ms, order: this.#order, callback };
    this.#timers.splice(this.#rank(timer.at), 0, timer);
    return () => {
      timer.callback = undefined;
    };
  }

  /** Index of the first timer that fires no later than `at`: what is due at the same time fires in its order. */
  #rank(at: number): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#timers.at(middle)?.at ?? 0) > at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Moves on until `story` is over, one timer after the other; false when it is stuck: not over after `limitMs`. */
  async runThrough(story: Promise<void>, limitMs: number): Promise<boolean> {
    const until = this.#now + limitMs;
    let over = false;
    const end = () => {
      over = true;
    };
    story.then(end, end);
    for (;;) {
      await quiet();
      if (over || !this.#fireNext(until)) break;
    }
    if (over) await story;
    return over;
  }

  #fireNext(until: number): boolean {
    for (;;) {
      const next = this.#timers.at(-1);
      if (!next || next.at > until) return false;
      this.#timers.pop();
      if (!next.callback) continue;
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      return true;
    }
  }
}
