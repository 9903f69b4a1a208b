interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (outcome: O) => void;
  readonly reject: (error: unknown) => void;
}

/** So many go together at most: more would keep the server from others for too long. */
const MOST = 64;

/**
 * What arrives for one tenant within one turn of the event loop goes to the server together: a script for many tasks costs
 * little more than one for a single task.
 */
export class MicroBatch<I, O> {
  readonly #waiting = new Map<string, Waiting<I, O>[]>();
  readonly #send: (tenantId: string, items: readonly I[]) => Promise<readonly O[]>;

  /** @param send answers for each item, in their order. */
  constructor(send: (tenantId: string, items: readonly I[]) => Promise<readonly O[]>) {
    this.#send = send;
  }

  add(tenantId: string, item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(tenantId);
      if (waiting) waiting.push({ item, resolve, reject });
      else {
        if (this.#waiting.size === 0) setImmediate(() => this.#flush());
        this.#waiting.set(tenantId, [{ item, resolve, reject }]);
      }
    });
  }

  #flush(): void {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const [tenantId, waiting] of all) {
      for (let from = 0; from < waiting.length; from += MOST) {
        void this.#sendOne(tenantId, waiting.slice(from, from + MOST));
      }
    }
  }

  async #sendOne(tenantId: string, waiting: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const outcomes = await this.#send(
        tenantId,
        waiting.map(({ item }) => item),
      );
      for (const [at, { resolve }] of waiting.entries()) resolve(outcomes[at] as O);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}
