import type { Clock } from '../runtime/clock.js';
import { WakeSignal } from '../runtime/wake-signal.js';
import { isFinal, type Task } from '../protocol/task.js';
import type { Storage } from '../storage/storage.js';
import { TenantWatch } from './tenant-watch.js';

/** Maximum number and age of remembered submissions: they save a read for callers that wait at once. */
const MAX_REMEMBERED = 1_000;
const REMEMBERED_MS = 1_000;

/** A recent submission of this process. A class: see ADR 10. */
class Submitted {
  constructor(
    readonly tenantId: string,
    readonly cursor: string,
    readonly at: number,
  ) {}
}

/** Waits for tasks to end. One subscription to a tenant's completions serves all waits for its tasks. */
export class TaskWatch {
  readonly #tenants = new Map<string, TenantWatch>();
  /** By id. */
  #submitted = new Map<string, Submitted>();
  #stopped = false;

  constructor(private readonly ports: { readonly storage: Storage; readonly clock: Clock }) {}

  /**
   * Resolves with the final task, or its current state after `timeoutMs` or when `signal` fires; `undefined` if it does not exist.
   */
  async wait(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly timeoutMs?: number;
    readonly signal?: AbortSignal;
  }): Promise<Task | undefined> {
    const { tenantId, taskId, timeoutMs, signal } = params;
    let over = signal?.aborted === true;
    let ended: Task | undefined;
    const wake = new WakeSignal();
    const end = () => {
      over = true;
      wake.notify();
    };
    const cancelTimer = timeoutMs === undefined ? undefined : this.ports.clock.after(timeoutMs, end);
    signal?.addEventListener('abort', end, { once: true });
    const watch = this.#watchOf(tenantId);
    const submittedAt = watch.begun ? undefined : this.#submittedAt(tenantId, taskId);
    let mustRead = over || this.#stopped || !(watch.expects(taskId) || submittedAt !== undefined);
    const leave = watch.join(taskId, (task) => {
      ended = task;
      wake.notify();
    });
    // The task had not ended at that position: following from there includes its completion.
    if (!mustRead && submittedAt !== undefined) watch.begin(submittedAt);
    try {
      for (;;) {
        // Before the read: the task may end in between.
        const woken = wake.next;
        const wasBegun = watch.begun;
        if (mustRead) {
          const found = await this.ports.storage.tasks.get({ tenantId, taskId });
          if (!found || isFinal(found.task.status) || over || this.#stopped) return found?.task;
          // Another wait has begun it meanwhile, possibly after this task's completion.
          if (!wasBegun && watch.begun) continue;
          watch.begin(found.cursor);
        }
        mustRead = true;
        await woken;
        if (ended) return ended;
      }
    } finally {
      leave();
      cancelTimer?.();
      signal?.removeEventListener('abort', end);
    }
  }

  /** Call before storing a task: if the log is already followed, waits for this task need no read. */
  expect(tenantId: string, taskId: string): void {
    this.#tenants.get(tenantId)?.expect(taskId);
  }

  /** Call after a new task was stored, with the `cursor` of that. */
  confirm(tenantId: string, taskId: string, cursor: string): void {
    this.#tenants.get(tenantId)?.confirm(taskId);
    if (this.#submitted.size >= MAX_REMEMBERED) this.#submitted = new Map();
    this.#submitted.set(taskId, new Submitted(tenantId, cursor, this.ports.clock.now()));
  }

  #submittedAt(tenantId: string, taskId: string): string | undefined {
    const submitted = this.#submitted.get(taskId);
    if (submitted?.tenantId !== tenantId) return undefined;
    if (this.ports.clock.now() - submitted.at > REMEMBERED_MS) return undefined;
    return submitted.cursor;
  }

  /** Ends all pending waits. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    for (const watch of this.#tenants.values()) watch.stop();
  }

  #watchOf(tenantId: string): TenantWatch {
    const known = this.#tenants.get(tenantId);
    if (known) return known;
    const watch = new TenantWatch(tenantId, this.ports, () => {
      if (this.#tenants.get(tenantId) === watch) this.#tenants.delete(tenantId);
    });
    this.#tenants.set(tenantId, watch);
    return watch;
  }
}
