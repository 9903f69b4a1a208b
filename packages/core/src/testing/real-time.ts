import { settled, type ManualClock } from './manual-clock.js';

/** Interval of looks at work in flight, and how long work is waited for after other work did not end in time; real ms. */
const LOOK_MS = 2;
const IMPATIENT_MS = 50;

/** Waits in real time for work that does not follow a manual clock. */
export class RealTime {
  #limitMs: number;
  /** The wait under way: its beginning, and how much work had ended by then. */
  #wait: { readonly since: number; readonly ended: number } | undefined;

  /** @param maxMs how long work may take, real ms; after work that took longer, further work is waited for shortly until some ends */
  constructor(
    private readonly clock: ManualClock,
    private readonly maxMs: number,
  ) {
    this.#limitMs = maxMs;
  }

  /** Waits shortly if work is in flight; `false` if there is none, or none that ends in time. */
  async passes(): Promise<boolean> {
    const { inFlight, ended } = this.clock.work;
    const now = performance.now();
    if (this.#wait && this.#wait.ended !== ended) {
      this.#limitMs = this.maxMs;
      this.#wait = undefined;
    }
    const isOver = this.#wait !== undefined && now - this.#wait.since >= this.#limitMs;
    if (isOver) this.#limitMs = Math.min(this.maxMs, IMPATIENT_MS);
    if (isOver || inFlight === 0) {
      this.#wait = undefined;
      return false;
    }
    this.#wait ??= { since: now, ended };
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    await settled();
    return true;
  }
}
