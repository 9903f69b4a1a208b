import { setImmediate as turn } from 'node:timers/promises';

/** Turns of the event loop in which a message that has arrived is read from its socket, and what it says passed on. */
const TURNS_TO_READ = 3;

/** Lets those go on who wait for something to happen. */
export class News {
  readonly #waiting = new Set<() => void>();

  /** Something has happened. */
  tell(): void {
    for (const pump of this.#waiting) pump();
  }

  /**
   * What `look` finds, now or after some news; `undefined` once `untilMs()`, on the clock of `performance`, has passed.
   * What had arrived by then counts, although this process may be slow to read it: a timer fires before sockets are read.
   *
   * @throws The reason of `signal`.
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
