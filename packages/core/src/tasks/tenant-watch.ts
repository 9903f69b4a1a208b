import { type Clock, pause } from '../runtime/clock.js';
import type { Task } from '../protocol/task.js';
import type { TaskEnd } from '../storage/event-log.js';
import type { Storage } from '../storage/storage.js';

const RETRY_MS = 1_000;
/** Time that a subscription without waits stays open, since further waits for the tenant are likely. */
const CLOSE_AFTER_MS = 10_000;
/** Maximum of expected tasks; beyond it, waits read the task first. */
const MAX_EXPECTED = 10_000;

/** Called with the task when it has ended, or without it when it may have ended. */
type Wake = (ended?: Task) => void;

/**
 * Follows one tenant's completions for all waits for its tasks. States: new; begun, from the position of the first wait's read;
 * over, after 10 s without waits, or when stopped.
 */
export class TenantWatch {
  readonly #stop = new AbortController();
  readonly #waiting = new Map<string, Set<Wake>>();
  /** Tasks submitted by this process since the subscription began, not completed yet; true once stored. */
  readonly #expected = new Map<string, boolean>();
  #begun = false;
  #cancelClose: (() => void) | undefined;

  constructor(
    private readonly tenantId: string,
    private readonly ports: { readonly storage: Storage; readonly clock: Clock },
    /** Called once over: the next wait creates another watch. */
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
      // A stopped watch has woken its waits: the last one to leave sets no timer.
      if (this.#stop.signal.aborted) return;
      if (this.#begun) this.#cancelClose = this.ports.clock.after(CLOSE_AFTER_MS, () => this.stop());
      else this.stop();
    };
  }

  /** Subscribes from a position on. */
  begin(cursor: string): void {
    if (this.#begun) return;
    this.#begun = true;
    void this.#follow(cursor);
  }

  /** Call before storing a task: its completion will be received. */
  expect(taskId: string): void {
    if (!this.#begun) return;
    if (this.#expected.size >= MAX_EXPECTED) this.#expected.clear();
    this.#expected.set(taskId, false);
  }

  /** Call after a new task was stored. */
  confirm(taskId: string): void {
    if (this.#expected.has(taskId)) this.#expected.set(taskId, true);
  }

  /** Whether the task is stored and its completion will be received. */
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

  /** Runs until over; retries while the storage is unavailable. */
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
        // Waits read the task themselves meanwhile, and reject if that fails too.
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
