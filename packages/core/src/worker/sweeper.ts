import { type Clock, pause } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { messageOf } from '../protocol/thrown.js';
import type { SweeperStats } from '../orchestrator-stats.js';
import type { Storage } from '../storage/storage.js';
import { Loop } from '../runtime/background-loop.js';

const TIMERS_PER_SWEEP = 1_000;
/** Why a pause is over. An abort without a reason would make an error with a stack each time. */
const STOPPED = 'woken';

/**
 * Does what becomes due by itself: deadlines, lost leases, timers, silences, retention. Every process has one and
 * none leads: each timer is looked at again inside the storage's atomic step.
 */
export class Sweeper {
  readonly #loop = new Loop((signal) => this.#sweepOnAndOn(signal));
  #wake: () => void = () => {};
  #lastSweepAt = 0;
  #sweeps = 0;
  readonly #done: Record<string, number> = {};
  /** The clock of the storage less that of this process, in milliseconds. */
  #clockSkewMs = 0;

  constructor(
    private readonly ports: { readonly storage: Storage; readonly clock: Clock; readonly logger: Logger },
    private readonly settings: { readonly sweepMs: number },
  ) {}

  /** Milliseconds since the last sweep that went through. */
  get behindMs(): number {
    return this.ports.clock.now() - this.#lastSweepAt;
  }

  get stats(): SweeperStats {
    return { sweeps: this.#sweeps, timersFired: { ...this.#done }, sinceSweepMs: this.behindMs };
  }

  start(): void {
    this.#lastSweepAt = this.ports.clock.now();
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #sweepOnAndOn(signal: AbortSignal): Promise<void> {
    const { clock, storage } = this.ports;
    let nextAt = Number.NEGATIVE_INFINITY;
    let heardAt = Number.POSITIVE_INFINITY;
    const unsubscribe = storage.wakeups.subscribe((wakeup) => {
      if (wakeup.kind !== 'timer') return;
      const at = wakeup.at - this.#clockSkewMs;
      heardAt = Math.min(heardAt, at);
      if (at < nextAt) this.#wake();
    });
    const onAbort = () => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    while (!signal.aborted) {
      const woken = new AbortController();
      this.#wake = () => woken.abort(STOPPED);
      // What is said to be due while a sweep is under way may be earlier than what the sweep itself finds.
      nextAt = Number.NEGATIVE_INFINITY;
      heardAt = Number.POSITIVE_INFINITY;
      const next = await this.#sweep();
      nextAt = Math.min(next ?? Number.POSITIVE_INFINITY, heardAt, clock.now() + this.settings.sweepMs);
      if (!signal.aborted) await pause(clock, Math.max(1, nextAt - clock.now()), woken.signal);
    }
    unsubscribe();
  }

  async #sweep(): Promise<number | undefined> {
    try {
      const { done, now, nextDueAt } = await this.ports.storage.queue.sweep({ max: TIMERS_PER_SWEEP });
      this.#sweeps += 1;
      for (const timer of Object.keys(done))
        this.#done[timer] = (this.#done[timer] ?? 0) + (done[timer] ?? 0);
      this.#lastSweepAt = this.ports.clock.now();
      this.#clockSkewMs = now - this.#lastSweepAt;
      return nextDueAt === undefined ? undefined : nextDueAt - this.#clockSkewMs;
    } catch (error) {
      this.ports.logger.error('sweeper: a sweep failed', { error: messageOf(error) });
      return undefined;
    }
  }
}
