import type { Clock } from '../runtime/clock.js';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Turns of the event loop that `advance` allows before and after it moves on; between two timers fewer. */
const TURNS = 20;
const TURNS_BETWEEN = 5;

/** Lets everything run that can run without time passing: `turns` (default 20) turns of the event loop. */
export async function settled(turns = TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until a test moves it. Starts at `startAt`, by default 2026-01-31T10:00:00Z. */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #timers = new Set<Timer>();
  #inFlight = 0;
  #ended = 0;

  constructor(startAt: Date | number = Date.UTC(2026, 0, 31, 10)) {
    this.#now = Number(startAt);
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    this.#order += 1;
    const timer = { at: this.#now + ms, order: this.#order, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  inFlight(): () => void {
    this.#inFlight += 1;
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      this.#inFlight -= 1;
      this.#ended += 1;
    };
  }

  /** Work that does not follow this clock: calls, functions of `ctx.run` and workflow functions in flight, and how many have ended. */
  get work(): { readonly inFlight: number; readonly ended: number } {
    return { inFlight: this.#inFlight, ended: this.#ended };
  }

  /** Time of the next timer, epoch ms; `undefined` without timers. */
  get nextAt(): number | undefined {
    return this.#next()?.at;
  }

  /** Moves on by `ms`. Timers fire in order; what they trigger runs before the next one. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await settled();
    for (let next = this.#next(); next && next.at <= target; next = this.#next()) await this.fireNext();
    this.#now = target;
    await settled();
  }

  /** Moves on to the next timer and fires it; returns `false` without timers. */
  async fireNext(): Promise<boolean> {
    const next = this.#next();
    if (!next) return false;
    this.#timers.delete(next);
    this.#now = Math.max(this.#now, next.at);
    next.callback();
    await settled(TURNS_BETWEEN);
    return true;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  }
}
