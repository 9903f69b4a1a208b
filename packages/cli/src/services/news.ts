/** Lets those go on who wait for something to happen. */
export class News {
  readonly #waiting = new Set<() => void>();

  /** Something has happened. */
  tell(): void {
    for (const goOn of this.#waiting) goOn();
  }

  /**
   * What `look` finds, now or after some news; `undefined` once `untilMs()`, on the clock of `performance`, has passed.
   *
   * @throws The reason of `signal`.
   */
  async until<T>(
    look: () => T | undefined,
    untilMs: () => number,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const found = look();
      const leftMs = untilMs() - performance.now();
      if (found !== undefined || leftMs <= 0) return found;
      await this.#next(leftMs, signal);
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
