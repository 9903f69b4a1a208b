import { setMaxListeners } from 'node:events';

/** An `AbortController` whose signal many wait on at once; Node's warning about listeners would be a false alarm. */
export function sharedAbort(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/**
 * Something that ends once, and whose `signal` is made only when somebody asks for it: most runs of a workflow never
 * do, and an `AbortController` costs more than everything else in a short run.
 */
export class LazyAbort {
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  /** Why; `undefined` until then. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  get signal(): AbortSignal {
    this.#controller ??= sharedAbort();
    if (this.#reason) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(this.#reason);
  }
}
