/** So many a second, with some saved up for a burst. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at = performance.now();

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes one; `false` when there is none. */
  take(): boolean {
    const now = performance.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#perSecond) / 1000);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** So many in any minute: for what should not happen, but may now and then. */
export class MinuteBudget {
  readonly #max: number;
  #times: number[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts one; `true` when with it the minute has had `max`. */
  spend(): boolean {
    const now = performance.now();
    this.#times = this.#times.filter((at) => now - at < 60_000);
    this.#times.push(now);
    return this.#times.length >= this.#max;
  }
}
