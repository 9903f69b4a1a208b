import { type Clock, pause } from '../clock.js';
import { isFinal, type Task } from '../protocol/task.js';
import type { Storage } from '../storage/storage.js';

const RETRY_MS = 1_000;

interface TenantWatch {
  readonly stop: AbortController;
  readonly waiting: Map<string, Set<() => void>>;
}

/** Waits for tasks to end. One follower of a tenant's log serves all who wait for a task of that tenant. */
export class TaskWatch {
  readonly #tenants = new Map<string, TenantWatch>();
  #stopped = false;

  constructor(private readonly ports: { readonly storage: Storage; readonly clock: Clock }) {}

  /**
   * The final task; or the task as it is when `timeoutMs` is over or `signal` fires; or `undefined` when there is none.
   */
  async wait(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly timeoutMs?: number;
    readonly signal?: AbortSignal;
  }): Promise<Task | undefined> {
    const { tenantId, taskId, timeoutMs, signal } = params;
    const look = async () => (await this.ports.storage.tasks.get({ tenantId, taskId }))?.task;
    const first = await look();
    if (!first || isFinal(first.status)) return first;
    let over = signal?.aborted === true;
    let wake = () => {};
    const end = () => {
      over = true;
      wake();
    };
    const cancelTimer = timeoutMs === undefined ? undefined : this.ports.clock.after(timeoutMs, end);
    signal?.addEventListener('abort', end, { once: true });
    const stopWatching = await this.#watch(tenantId, taskId, () => wake());
    try {
      for (;;) {
        // Listening before looking: it may end in between.
        const rung = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const task = await look();
        if (!task || isFinal(task.status) || over || this.#stopped) return task;
        await rung;
      }
    } finally {
      stopWatching();
      cancelTimer?.();
      signal?.removeEventListener('abort', end);
    }
  }

  /** Lets everybody go who waits. */
  stop(): void {
    this.#stopped = true;
    for (const watch of this.#tenants.values()) {
      watch.stop.abort();
      for (const waiters of watch.waiting.values()) for (const wake of waiters) wake();
    }
    this.#tenants.clear();
  }

  async #watch(tenantId: string, taskId: string, wake: () => void): Promise<() => void> {
    const after = await this.ports.storage.events.head({ tenantId });
    let watch = this.#tenants.get(tenantId);
    if (!watch) {
      watch = { stop: new AbortController(), waiting: new Map() };
      this.#tenants.set(tenantId, watch);
      void this.#follow(tenantId, after, watch);
    }
    const { waiting, stop } = watch;
    const waiters = waiting.get(taskId) ?? new Set();
    waiting.set(taskId, waiters.add(wake));
    return () => {
      waiters.delete(wake);
      if (waiters.size === 0) waiting.delete(taskId);
      if (waiting.size > 0) return;
      stop.abort();
      if (this.#tenants.get(tenantId)?.stop === stop) this.#tenants.delete(tenantId);
    };
  }

  /** Follows a tenant's log for as long as anybody waits; when the storage is away, tries again until it is back. */
  async #follow(tenantId: string, from: string, { stop, waiting }: TenantWatch): Promise<void> {
    const { signal } = stop;
    let after = from;
    const wakeAll = () => {
      for (const waiters of waiting.values()) for (const wake of waiters) wake();
    };
    while (!signal.aborted) {
      try {
        for await (const event of this.ports.storage.events.follow({ tenantId, after, signal })) {
          after = event.event === 'gap' ? event.to : event.cursor;
          if (event.event === 'gap') wakeAll();
          else if (event.event === 'task_completed' || event.event === 'task_failed') {
            for (const wake of waiting.get(event.task_id ?? '') ?? []) wake();
          }
        }
      } catch {
        // Whoever waits looks for himself meanwhile, and is told if that fails too.
        await pause(this.ports.clock, RETRY_MS, signal);
        wakeAll();
      }
    }
  }
}
