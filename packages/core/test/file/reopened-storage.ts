import type { Storage } from '../../src/index.js';
import type { Wakeup } from '../../src/storage/index.js';
import { callOf, forwardingStorage, type Part } from '../forwarding-storage.js';

/**
 * Calls after each of which the storage is opened again; then after some of them only, since its log grows.
 * `REOPENED_CALLS=Infinity` for each of all.
 */
const EACH_OF_FIRST = Number(process.env['REOPENED_CALLS'] ?? 60);
const LATER_EACH = 40;

/** A storage that is closed and opened again after its calls. Followers hold it open. */
export class ReopenedStorage {
  readonly storage: Storage;
  #current: Storage;
  #followers = 0;
  #calls = 0;
  #running = 0;
  #isClosed = false;
  /** Calls one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Map<(wakeup: Wakeup) => void, () => void>();
  /** Number of times it was opened again. */
  reopened = 0;

  private constructor(
    first: Storage,
    private readonly open: () => Promise<Storage>,
    private readonly leave: (current: Storage) => Promise<void>,
  ) {
    this.#current = first;
    this.storage = forwardingStorage({
      call: (part, method, params) => this.#inTurn(() => this.#call(part, method, params)),
      publish: (params) => this.#current.systemEvents.publish(params),
      follow: (part, method, params) => this.#follow(part, method, params),
      subscribe: (listener) => this.#subscribe(listener),
      ping: () => this.#inTurn(() => this.#current.ping()),
      close: () => {
        this.#isClosed = true;
        return this.#inTurn(() => this.#current.close());
      },
    });
  }

  /** @param leave ends the storage that is open, in some way. */
  static async start(
    open: () => Promise<Storage>,
    leave: (current: Storage) => Promise<void>,
  ): Promise<ReopenedStorage> {
    return new ReopenedStorage(await open(), open, leave);
  }

  /** At once if nothing else runs: callers may change their params after the call. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#running === 0 ? work() : this.#last.then(work);
    this.#running += 1;
    this.#last = turn.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await turn;
    } finally {
      this.#running -= 1;
    }
  }

  async #call(part: Part, method: string, params: unknown): Promise<unknown> {
    try {
      return await callOf(this.#current, part, method, params);
    } finally {
      await this.#reopen();
    }
  }

  async *#follow(part: Part, method: string, params: unknown): AsyncGenerator {
    this.#followers += 1;
    try {
      yield* callOf(this.#current, part, method, params) as AsyncIterable<unknown>;
    } finally {
      this.#followers -= 1;
    }
  }

  async #reopen(): Promise<void> {
    this.#calls += 1;
    const isDue = this.#calls <= EACH_OF_FIRST || this.#calls % LATER_EACH === 0;
    if (this.#isClosed || this.#followers > 0 || !isDue) return;
    for (const unsubscribe of this.#listeners.values()) unsubscribe();
    await this.leave(this.#current);
    this.#current = await this.open();
    for (const listener of this.#listeners.keys())
      this.#listeners.set(listener, this.#current.wakeups.subscribe(listener));
    this.reopened += 1;
  }

  #subscribe(listener: (wakeup: Wakeup) => void): () => void {
    this.#listeners.set(listener, this.#current.wakeups.subscribe(listener));
    return () => {
      this.#listeners.get(listener)?.();
      this.#listeners.delete(listener);
    };
  }
}
