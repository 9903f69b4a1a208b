import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import { sharedAbort } from '../runtime/abort.js';
import { abortable } from '../runtime/abortable.js';
import type { Clock } from '../runtime/clock.js';
import type { ComputedValue } from './cached-value.js';

/** A computation may take as long as a task without a limit of its own. */
const MAX_COMPUTATION_MS = DEFAULTS.taskTimeoutMs;

/** What a computation leads to. */
export interface Computed<T> {
  /** For the caller whose computation it is. */
  readonly result: T;
  /** For all others. Absent: they get nothing of it, such as of a failure. */
  readonly shared?: ComputedValue | undefined;
}

export type Compute<T> = (signal: AbortSignal) => Promise<Computed<T>>;

/**
 * A computation in this process, with the callers that wait for it. It ends when it has a result, when no caller waits any more, or
 * after fifteen minutes.
 */
export class Computation<T> {
  readonly #work: Promise<Computed<T>>;
  readonly #abort = sharedAbort();
  readonly #stopClock: () => void;
  #waiting = 0;
  #hasEnded = false;

  /** @param finish stores what the callers share, before they get it. Never rejects. */
  constructor(
    clock: Clock,
    compute: Compute<T>,
    finish: (shared: ComputedValue | undefined) => Promise<void>,
  ) {
    this.#stopClock = clock.after(MAX_COMPUTATION_MS, () => {
      const message = `the computation of a cached value has not ended within ${MAX_COMPUTATION_MS} ms`;
      this.#abort.abort(new OrchestratorError('timeout', message));
    });
    this.#work = this.#run(compute, finish);
    // Callers may all have left.
    this.#work.catch(() => undefined);
  }

  /** The result, for the caller whose computation it is. Rejects as the computation does. */
  async result(signal: AbortSignal | undefined): Promise<T> {
    const { result } = await this.#wait(signal);
    return result;
  }

  /** What the computation has for others: nothing after a failure. Rejects only when `signal` fires. */
  async shared(signal: AbortSignal | undefined): Promise<ComputedValue | undefined> {
    try {
      return (await this.#wait(signal)).shared;
    } catch (error) {
      if (signal?.aborted === true) throw error;
      return undefined;
    }
  }

  async #wait(signal: AbortSignal | undefined): Promise<Computed<T>> {
    this.#waiting += 1;
    try {
      return await abortable(signal, () => this.#work);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#hasEnded)
        this.#abort.abort(new OrchestratorError('cancelled', 'nothing waits for the cached value any more'));
    }
  }

  async #run(
    compute: Compute<T>,
    finish: (shared: ComputedValue | undefined) => Promise<void>,
  ): Promise<Computed<T>> {
    const { signal } = this.#abort;
    let shared: ComputedValue | undefined;
    try {
      // A computation that does not follow its signal holds no caller.
      const computed = await abortable(signal, () => compute(signal));
      shared = computed.shared;
      return computed;
    } finally {
      this.#hasEnded = true;
      this.#stopClock();
      await finish(shared);
    }
  }
}
