export interface PaceLimits {
  readonly framesPerSecond: number;
  /** Frames that may come at once after a rest. */
  readonly framesBurst: number;
  readonly bytesPerSecond: number;
  readonly bytesBurst: number;
}

/** How fast frames may come in, by number and by bytes, with some saved up for a burst. */
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

  /** Counts a frame that has come. @returns for how long nothing more should come, in milliseconds; 0 when it was in time. */
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
