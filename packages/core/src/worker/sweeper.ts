import type { Clock } from '../runtime/clock.js';
import { WakeSignal } from '../runtime/wake-signal.js';
import type { Logger } from '../runtime/logger.js';
import { messageOf } from '../protocol/thrown.js';
import type { SweeperStats } from './worker-stats.js';
import type { Storage } from '../storage/storage.js';
import { Loop } from '../runtime/background-loop.js';

const TIMERS_PER_SWEEP = 1_000;

/**
 * Fires due timers: deadlines, lost leases, sleeps, silences, retention. Every process runs one, without a leader: each timer
 * is checked again inside the storage's atomic step.
 */
export class Sweeper {
  readonly #loop = new Loop((signal) => this.#sweepLoop(signal));
  readonly #wake = new WakeSignal();
  #lastSweepAt = 0;
  #sweeps = 0;
  readonly #fired: Record<string, number> = {};
  /** Storage clock minus process clock, ms. */
  #clockSkewMs = 0;

  constructor(
    private readonly ports: { readonly storage: Storage; readonly clock: Clock; readonly logger: Logger },
    private readonly settings: { readonly sweepMs: number },
  ) {}

  /** Time since the last successful sweep, ms. */
  get behindMs(): number {
    return this.ports.clock.now() - this.#lastSweepAt;
  }

  get stats(): SweeperStats {
    return { sweeps: this.#sweeps, timersFired: { ...this.#fired }, sinceSweepMs: this.behindMs };
  }

  start(): void {
    this.#lastSweepAt = this.ports.clock.now();
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #sweepLoop(signal: AbortSignal): Promise<void> {
    const { clock, storage } = this.ports;
    let nextAt = Number.NEGATIVE_INFINITY;
    let scheduledAt = Number.POSITIVE_INFINITY;
    const unsubscribe = storage.wakeups.subscribe((wakeup) => {
      if (wakeup.kind !== 'timer') return;
      const at = wakeup.at - this.#clockSkewMs;
      scheduledAt = Math.min(scheduledAt, at);
      if (at < nextAt) this.#wake.notify();
    });
    while (!signal.aborted) {
      // Timers scheduled during a sweep may be due earlier than the next one it finds.
      nextAt = Number.NEGATIVE_INFINITY;
      scheduledAt = Number.POSITIVE_INFINITY;
      const next = await this.#sweep();
      nextAt = Math.min(next ?? Number.POSITIVE_INFINITY, scheduledAt, clock.now() + this.settings.sweepMs);
      await this.#wake.wait({ clock, limitMs: Math.max(1, nextAt - clock.now()), signal });
    }
    unsubscribe();
  }

  async #sweep(): Promise<number | undefined> {
    try {
      const { done, now, nextDueAt } = await this.ports.storage.queue.sweep({ max: TIMERS_PER_SWEEP });
      this.#sweeps += 1;
      for (const timer of Object.keys(done))
        this.#fired[timer] = (this.#fired[timer] ?? 0) + (done[timer] ?? 0);
      this.#lastSweepAt = this.ports.clock.now();
      this.#clockSkewMs = now - this.#lastSweepAt;
      return nextDueAt === undefined ? undefined : nextDueAt - this.#clockSkewMs;
    } catch (error) {
      this.ports.logger.error('sweeper: sweep failed', { error: messageOf(error) });
      return undefined;
    }
  }
}
