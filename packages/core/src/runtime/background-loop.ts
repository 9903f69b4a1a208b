/**
 * A background loop. `start` and `stop` are idempotent and may be called early and concurrently: they take effect in call
 * order, and runs never overlap.
 */
export class Loop {
  readonly #run: (signal: AbortSignal) => Promise<void>;
  #current: AbortController | undefined;
  #ended: Promise<void> = Promise.resolve();

  /** @param run runs until `signal` fires; must not reject. */
  constructor(run: (signal: AbortSignal) => Promise<void>) {
    this.#run = run;
  }

  get running(): boolean {
    return this.#current !== undefined;
  }

  start(): void {
    if (this.#current) return;
    const { signal } = (this.#current = new AbortController());
    this.#ended = this.#ended.then(() => (signal.aborted ? undefined : this.#run(signal)));
  }

  /** Resolves once the run has ended. */
  async stop(): Promise<void> {
    this.#current?.abort();
    this.#current = undefined;
    await this.#ended;
  }
}
