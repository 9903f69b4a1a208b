export interface PaceLimits {
  readonly framesPerSecond: number;
  /** Burst size, in frames. */
  readonly framesBurst: number;
  readonly bytesPerSecond: number;
  readonly bytesBurst: number;
}

/** Token bucket of incoming frames, by number and by bytes. */
export class Pace {
  readonly #limits: PaceLimits;
  #frames: number;
  #bytes: number;
  #at = performance.now();

  constructor(limits: PaceLimits) {
    this.#limits = limits;
    this.#frames = limits.framesBurst;
    this.#bytes = limits.bytesBurst;
  }

  /** Counts a frame. @returns the pause before the next one, ms; 0 within the rate. */
  take(bytes: number): number {
    const { framesPerSecond, framesBurst, bytesPerSecond, bytesBurst } = this.#limits;
    const now = performance.now();
    const seconds = (now - this.#at) / 1_000;
    this.#at = now;
    this.#frames = Math.min(framesBurst, this.#frames + seconds * framesPerSecond) - 1;
    this.#bytes = Math.min(bytesBurst, this.#bytes + seconds * bytesPerSecond) - bytes;
    const missing = Math.min(this.#frames / framesPerSecond, this.#bytes / bytesPerSecond, 0);
    return -missing * 1_000;
  }
}

/** Limit per minute, for occasional violations. */
export class MinuteBudget {
  readonly #max: number;
  #times: number[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts one; `true` when the minute has reached `max`. */
  spend(): boolean {
    const now = performance.now();
    this.#times = this.#times.filter((at) => now - at < 60_000);
    this.#times.push(now);
    return this.#times.length >= this.#max;
  }
}
