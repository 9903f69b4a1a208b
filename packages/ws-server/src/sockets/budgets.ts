import type { Clock } from '@agent-orchestrator/core';

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
  readonly #clock: Clock;
  #at: number;

  constructor(limits: PaceLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#at = clock.monotonic();
    this.#frames = limits.framesBurst;
    this.#bytes = limits.bytesBurst;
  }

  /** Counts a frame. @returns the pause before the next one, ms; 0 within the rate. */
  take(bytes: number): number {
    const { framesPerSecond, framesBurst, bytesPerSecond, bytesBurst } = this.#limits;
    const now = this.#clock.monotonic();
    const seconds = (now - this.#at) / 1_000;
    this.#at = now;
    this.#frames = Math.min(framesBurst, this.#frames + seconds * framesPerSecond) - 1;
    this.#bytes = Math.min(bytesBurst, this.#bytes + seconds * bytesPerSecond) - bytes;
    const missing = Math.min(this.#frames / framesPerSecond, this.#bytes / bytesPerSecond, 0);
    return missing < 0 ? -missing * 1_000 : 0;
  }
}

/** Limit per minute, for occasional violations. */
export class MinuteBudget {
  readonly #max: number;
  readonly #clock: Clock;
  #times: number[] = [];

  constructor(max: number, clock: Clock) {
    this.#max = max;
    this.#clock = clock;
  }

  /** Counts one; `true` when the minute has reached `max`. */
  spend(): boolean {
    const now = this.#clock.monotonic();
    this.#times = this.#times.filter((at) => now - at < 60_000);
    this.#times.push(now);
    return this.#times.length >= this.#max;
  }
}
