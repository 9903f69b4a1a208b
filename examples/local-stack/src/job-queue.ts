import { OrchestratorError } from '@agent-orchestrator/core';

export interface JobQueueOptions {
  /** Maximum of concurrent jobs. Default 8. */
  readonly maxRunning?: number;
  /** Maximum of waiting jobs. Default 200. */
  readonly maxWaiting?: number;
}

/** FIFO of background work, with limits on running and waiting jobs. */
export class JobQueue {
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;
  #whenIdle: (() => void)[] = [];

  constructor(options: JobQueueOptions = {}) {
    this.#maxRunning = options.maxRunning ?? 8;
    this.#maxWaiting = options.maxWaiting ?? 200;
  }

  /**
   * Adds a job, which must not reject.
   *
   * @throws {OrchestratorError} `rate_limited`, retryable, if too many jobs wait.
   */
  add(job: () => Promise<void>): void {
    if (this.#running >= this.#maxRunning && this.#waiting.length >= this.#maxWaiting) {
      const message = `expected at most ${this.#maxWaiting} waiting jobs, there are as many`;
      throw new OrchestratorError('rate_limited', message, { retryable: true, retryAfterMs: 1_000 });
    }
    this.#waiting.push(job);
    this.#startNext();
  }

  /** Resolves once no job runs or waits. */
  async idle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #startNext(): void {
    while (this.#running < this.#maxRunning) {
      const job = this.#waiting.shift();
      if (job === undefined) break;
      this.#running += 1;
      void job().finally(() => {
        this.#running -= 1;
        this.#startNext();
      });
    }
    if (this.#running > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
