import { type Clock, pause } from '../runtime/clock.js';
import type { Task } from '../protocol/task.js';
import type { TaskEnd } from '../storage/event-log.js';
import type { Storage } from '../storage/storage.js';

const RETRY_MS = 1_000;
/** So long a log is followed on though nobody waits: who has waited for a task of a tenant soon does so again. */
const CLOSE_AFTER_MS = 10_000;
/** So many tasks are expected at once; those of more are looked at. */
const MOST_EXPECTED = 10_000;

/** Called with the task when it has ended, and with nothing when that may be. */
export type Wake = (ended?: Task) => void;

/**
 * Follows the ends in the log of one tenant for all who wait for a task of it. States: new; begun, from the position at which the
 * first of them has looked; over, when nobody has waited for a while, or when it is stopped.
 */
export class TenantWatch {
  readonly #stop = new AbortController();
  readonly #waiting = new Map<string, Set<Wake>>();
  /** Tasks whose end was not told of yet, because they are submitted here since this follows; true once they are stored. */
  readonly #expected = new Map<string, boolean>();
  #begun = false;
  #cancelClose: (() => void) | undefined;

  constructor(
    private readonly tenantId: string,
    private readonly ports: { readonly storage: Storage; readonly clock: Clock },
    /** Called once it is over: the next one who waits begins another. */
    private readonly over: () => void,
  ) {}

  get begun(): boolean {
    return this.#begun;
  }

  /** Calls `wake` until the returned function is called. */
  join(taskId: string, wake: Wake): () => void {
    this.#cancelClose?.();
    this.#cancelClose = undefined;
    const waiters = this.#waiting.get(taskId) ?? new Set();
    this.#waiting.set(taskId, waiters.add(wake));
    return () => {
      waiters.delete(wake);
      if (waiters.size === 0) this.#waiting.delete(taskId);
      if (this.#waiting.size > 0) return;
      if (this.#begun) this.#cancelClose = this.ports.clock.after(CLOSE_AFTER_MS, () => this.stop());
      else this.stop();
    };
  }

  /** Follows from a position on. */
  begin(cursor: string): void {
    if (this.#begun) return;
    this.#begun = true;
    void this.#follow(cursor);
  }

  /** A task is about to be stored: from now on its end is told of. */
  expect(taskId: string): void {
    if (!this.#begun) return;
    if (this.#expected.size >= MOST_EXPECTED) this.#expected.clear();
    this.#expected.set(taskId, false);
  }

  /** It is stored, and was not there before. */
  confirm(taskId: string): void {
    if (this.#expected.has(taskId)) this.#expected.set(taskId, true);
  }

  /** Whether a task is there, and its end will be told of. */
  expects(taskId: string): boolean {
    return this.#expected.get(taskId) === true;
  }

  stop(): void {
    this.#cancelClose?.();
    this.#stop.abort();
    this.over();
    this.#wakeAll();
  }

  #wakeAll(): void {
    this.#expected.clear();
    for (const waiters of this.#waiting.values()) for (const wake of waiters) wake();
  }

  /** For as long as it is not over; when the storage is away, tries again until it is back. */
  async #follow(from: string): Promise<void> {
    const { tenantId } = this;
    const { signal } = this.#stop;
    let after = from;
    while (!signal.aborted) {
      try {
        for await (const event of this.ports.storage.events.followCompletions({ tenantId, after, signal })) {
          after = event.event === 'gap' ? event.to : event.cursor;
          if (event.event === 'gap') this.#wakeAll();
          else this.#ended(event);
        }
      } catch {
        // Whoever waits looks for himself meanwhile, and is told if that fails too.
        await pause(this.ports.clock, RETRY_MS, signal);
        this.#wakeAll();
      }
    }
  }

  #ended({ task_id: taskId, task }: TaskEnd): void {
    this.#expected.delete(taskId);
    for (const wake of this.#waiting.get(taskId) ?? []) wake(task?.());
  }
}
