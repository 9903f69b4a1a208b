import { setImmediate as turn } from 'node:timers/promises';

/** Turns of the event loop until a received message is read from its socket and passed on. */
const TURNS_TO_READ = 3;

/** Wakes waiting checks after an event. */
export class EventWaiter {
  readonly #waiting = new Set<() => void>();

  /** Wakes all waiters. */
  notify(): void {
    for (const pump of this.#waiting) pump();
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
        await this.#next(leftMs, signal);
      } else if (turns < TURNS_TO_READ) {
        turns += 1;
        await turn();
      } else return undefined;
    }
  }

  #next(withinMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.ceil(withinMs));
      signal.addEventListener('abort', done, { once: true });
      this.#waiting.add(done);
    });
  }
}
