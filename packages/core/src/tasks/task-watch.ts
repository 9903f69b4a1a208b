import type { Clock } from '../runtime/clock.js';
import { isFinal, type Task } from '../protocol/task.js';
import type { Storage } from '../storage/storage.js';
import { TenantWatch, type Wake } from './tenant-watch.js';

/** So many submissions are remembered, for so long: who submits a task waits for it at once, or looks first. */
const REMEMBERED = 1_000;
const REMEMBERED_MS = 1_000;

/** Whose task it is, at which position it was submitted here, and when. A class: see ADR 10. */
class Submitted {
  constructor(
    readonly tenantId: string,
    readonly cursor: string,
    readonly at: number,
  ) {}
}

/** Waits for tasks to end. One follower of a tenant's log serves all who wait for a task of that tenant. */
export class TaskWatch {
  readonly #tenants = new Map<string, TenantWatch>();
  /** By id. */
  #submitted = new Map<string, Submitted>();
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
    let over = signal?.aborted === true;
    let wake: Wake = () => {};
    const end = () => {
      over = true;
      wake();
    };
    const cancelTimer = timeoutMs === undefined ? undefined : this.ports.clock.after(timeoutMs, end);
    signal?.addEventListener('abort', end, { once: true });
    const watch = this.#watchOf(tenantId);
    const submittedAt = watch.begun ? undefined : this.#submittedAt(tenantId, taskId);
    let mustLook = over || this.#stopped || !(watch.expects(taskId) || submittedAt !== undefined);
    const leave = watch.join(taskId, (ended) => wake(ended));
    // It had not ended then: who follows from there hears of its end.
    if (!mustLook && submittedAt !== undefined) watch.begin(submittedAt);
    try {
      for (;;) {
        // Listening before looking: it may end in between.
        const published = new Promise<Task | undefined>((resolve) => {
          wake = resolve;
        });
        const wasBegun = watch.begun;
        if (mustLook) {
          const found = await this.ports.storage.tasks.get({ tenantId, taskId });
          if (!found || isFinal(found.task.status) || over || this.#stopped) return found?.task;
          // Another one has begun it meanwhile, perhaps behind the end of this task.
          if (!wasBegun && watch.begun) continue;
          watch.begin(found.cursor);
        }
        mustLook = true;
        const ended = await published;
        if (ended) return ended;
      }
    } finally {
      leave();
      cancelTimer?.();
      signal?.removeEventListener('abort', end);
    }
  }

  /** A task is about to be submitted here. Whoever waits for it needs not look first, if the log is followed already. */
  expect(tenantId: string, taskId: string): void {
    this.#tenants.get(tenantId)?.expect(taskId);
  }

  /** It is stored, and was not there before; `cursor` is the position of that. */
  confirm(tenantId: string, taskId: string, cursor: string): void {
    this.#tenants.get(tenantId)?.confirm(taskId);
    if (this.#submitted.size >= REMEMBERED) this.#submitted = new Map();
    this.#submitted.set(taskId, new Submitted(tenantId, cursor, this.ports.clock.now()));
  }

  #submittedAt(tenantId: string, taskId: string): string | undefined {
    const submitted = this.#submitted.get(taskId);
    if (submitted?.tenantId !== tenantId) return undefined;
    if (this.ports.clock.now() - submitted.at > REMEMBERED_MS) return undefined;
    return submitted.cursor;
  }

  /** Lets everybody go who waits. */
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
