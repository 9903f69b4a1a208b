import type { Clock } from '@agent-orchestrator/core';
import { type Bucket, levelAt, ONE, type Rate, untilRoom } from '@agent-orchestrator/core/storage';
import type { RateState } from './rate-state.js';

const MAX_KEYS = 50_000;

/**
 * A limit of this process, by key: a bucket that fills with each request and drains at the rate (GCRA). Keys whose bucket has
 * drained are forgotten; of too many, the one that was not used for longest.
 */
export class LocalRates {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #maxKeys: number;
  /** By key, with times of the monotonic clock. Least recently used first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate, clock: Clock, maxKeys = MAX_KEYS) {
    this.#rate = rate;
    this.#clock = clock;
    this.#maxKeys = maxKeys;
  }

  /** Number of keys that are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Counts one, unless it is beyond the limit. */
  take(key: string): RateState {
    const now = this.#clock.monotonic();
    const before = this.#levelOf(key, now);
    const isAllowed = before + ONE <= this.#rate.burst * ONE;
    const level = isAllowed ? before + ONE : before;
    this.#buckets.delete(key);
    this.#buckets.set(key, { level, at: now });
    this.#forget(now);
    return this.#state(level, isAllowed);
  }

  /** Whether one more would be allowed. */
  peek(key: string): RateState {
    const level = this.#levelOf(key, this.#clock.monotonic());
    return this.#state(level, level + ONE <= this.#rate.burst * ONE);
  }

  #levelOf(key: string, now: number): number {
    const bucket = this.#buckets.get(key);
    return bucket ? levelAt(bucket, this.#rate.perMinute, now) : 0;
  }

  #state(level: number, isAllowed: boolean): RateState {
    const { burst } = this.#rate;
    const retryAfterMs = untilRoom(level, this.#rate);
    return { ...this.#rate, isAllowed, remaining: Math.floor((burst * ONE - level) / ONE), retryAfterMs };
  }

  /** A bucket drains within a burst of its last use: the first that has not drained ends the scan. */
  #forget(now: number): void {
    for (const [key, bucket] of this.#buckets) {
      if (this.#buckets.size <= this.#maxKeys && levelAt(bucket, this.#rate.perMinute, now) > 0) return;
      this.#buckets.delete(key);
    }
  }
}
