import type { Clock } from '@agent-orchestrator/core';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still between jumps. What was set for a moment within a jump is called at its end, in its order. */
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

  /** Timers that are set. */
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
