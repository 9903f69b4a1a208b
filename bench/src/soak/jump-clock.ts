import type { Clock } from '@agent-orchestrator/core';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stops between jumps. Timers due within a jump fire at its end, in order. */
export class JumpClock implements Clock {
  #now = Date.now();
  #set = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    this.#set += 1;
    const timer = { at: this.#now + ms, order: this.#set, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Number of set timers. */
  get pending(): number {
    return this.#timers.size;
  }

  jump(ms: number): void {
    this.#now += ms;
    const due = [...this.#timers].filter(({ at }) => at <= this.#now);
    for (const timer of due.toSorted((a, b) => a.at - b.at || a.order - b.order))
      if (this.#timers.delete(timer)) timer.callback();
  }
}
