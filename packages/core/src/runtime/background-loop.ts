/**
 * Something that goes on until it is stopped. `start` and `stop` may be called twice, early and at the same time: they
 * take effect in the order of the calls, and never do two runs overlap.
 */
export class Loop {
  readonly #run: (signal: AbortSignal) => Promise<void>;
  #current: AbortController | undefined;
  #ended: Promise<void> = Promise.resolve();

  /** @param run goes on until `signal` fires; must not reject. */
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
