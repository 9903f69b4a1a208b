import { systemClock } from '@agent-orchestrator/core/storage';
import { WakeSignal } from '@agent-orchestrator/core/server';
import { setImmediate as turn } from 'node:timers/promises';

/** Turns of the event loop until a received message is read from its socket and passed on. */
const TURNS_TO_READ = 3;

/** Wakes waiting checks after an event. */
export class EventWaiter {
  readonly #wake = new WakeSignal();

  /** Wakes all waiters. */
  notify(): void {
    this.#wake.notify();
  }

  /**
   * First result of `look`, now or after a later event; `undefined` after `untilMs()` (by
   * `performance.now()`). Messages received by then count even if this process is slow: a timer fires before
   * sockets are read.
   *
   * @throws the reason of `signal`.
   */
  async until<T>(
    look: () => T | undefined,
    untilMs: () => number,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    for (let turns = 0; ;) {
      signal.throwIfAborted();
      const found = look();
      const leftMs = untilMs() - performance.now();
      if (found !== undefined) return found;
      if (leftMs > 0) {
        turns = 0;
        await this.#wake.wait({ clock: systemClock, limitMs: Math.ceil(leftMs), signal });
      } else if (turns < TURNS_TO_READ) {
        turns += 1;
        await turn();
      } else return undefined;
    }
  }
}
