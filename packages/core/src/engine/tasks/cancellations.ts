import { TASK_TEXTS, taskText } from '../../protocol/task-texts.js';
import type { EngineState } from '../engine-state.js';
import type { ConcurrencyGroup } from '../queue/concurrency-group.js';
import type { TaskEntry } from './task-entry.js';
import type { TaskLife } from './task-life.js';
import type { BatchEntry, SessionEntry, TenantState } from '../tenants/tenant-state.js';

/**
 * Tasks that are cancelled together, in portions. Their group admits no member until the last one is
 * cancelled.
 */
export interface Cancellation {
  /** Cancelled from the end: newest first. */
  readonly tasks: TaskEntry[];
  readonly group: ConcurrencyGroup<TaskEntry>;
  readonly reason: string;
  readonly graceMs: number;
  /** Time of the caller's last step; the sweeper continues when it is too long ago. */
  askedAt: number;
  /** Whether a timer exists: set once tasks are left after the first step. */
  isScheduled: boolean;
}

/** A caller without a step for this long counts as gone. */
const CANCELLER_SILENT_MS = 1_000;

/**
 * Cancels the tasks of a session or a batch in portions. The rest of a portion is a timer, so that the
 * sweeper continues if the caller dies.
 */
export class Cancellations {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
  ) {}

  beginSession(tenant: TenantState, { session, live, group }: SessionEntry, graceMs: number): void {
    const reason = TASK_TEXTS.sessionClosed;
    this.begin(tenant, sessionKey(session.session_id), [...live], { group, reason, graceMs });
  }

  beginBatch(
    tenant: TenantState,
    { batchId, items, group }: BatchEntry,
    how: { readonly reason: string; readonly graceMs: number },
  ): void {
    const tasks = items.filter((item) => 'spec' in item);
    this.begin(tenant, batchKey(batchId), tasks, { group, ...how });
  }

  /**
   * `fail_fast`: the first failure cancels the rest of the batch. The first step happens at once, the sweeper
   * does the others.
   */
  failBatch(tenant: TenantState, batch: BatchEntry, failedId: string): void {
    const key = batchKey(batch.batchId);
    if (tenant.cancellations.has(key)) return;
    const reason = taskText('batchFailed', { taskId: failedId });
    this.beginBatch(tenant, batch, { reason, graceMs: this.state.limits.cancelGraceMs });
    if (!this.pump(tenant, key)) return;
    (tenant.cancellations.get(key) as Cancellation).askedAt = -CANCELLER_SILENT_MS;
    this.state.schedule('cancel', this.state.now(), { tenantId: tenant.tenantId, id: key });
  }

  /** A cancellation that another storage had begun: the sweeper goes on with it, from its first task again. */
  restore(
    tenant: TenantState,
    of: SessionEntry | BatchEntry,
    how: { readonly reason: string; readonly graceMs: number },
  ): void {
    const key = 'live' in of ? sessionKey(of.session.session_id) : batchKey(of.batchId);
    const tasks = 'live' in of ? [...of.live] : of.items.filter((item) => 'spec' in item);
    this.begin(tenant, key, tasks, { group: of.group, ...how });
    const cancellation = tenant.cancellations.get(key) as Cancellation;
    cancellation.askedAt = -CANCELLER_SILENT_MS;
    cancellation.isScheduled = true;
    this.state.schedule('cancel', this.state.now(), { tenantId: tenant.tenantId, id: key });
  }

  private begin(
    tenant: TenantState,
    key: string,
    tasks: TaskEntry[],
    how: { readonly group: ConcurrencyGroup<TaskEntry>; readonly reason: string; readonly graceMs: number },
  ): void {
    if (tenant.cancellations.has(key)) return;
    how.group.shut = true;
    const askedAt = this.state.now();
    tenant.cancellations.set(key, { ...how, tasks, askedAt, isScheduled: false });
  }

  /** Takes one step; returns whether tasks are left. */
  pump(tenant: TenantState, key: string): boolean {
    const cancellation = tenant.cancellations.get(key);
    if (!cancellation) return false;
    cancellation.askedAt = this.state.now();
    const isLeft = this.cancelSome(tenant, key, cancellation);
    if (isLeft && !cancellation.isScheduled) {
      cancellation.isScheduled = true;
      this.state.schedule('cancel', cancellation.askedAt + CANCELLER_SILENT_MS, {
        tenantId: tenant.tenantId,
        id: key,
      });
    }
    return isLeft;
  }

  /** The sweeper's step; returns whether it changed anything. */
  sweep(tenant: TenantState, key: string): boolean {
    const cancellation = tenant.cancellations.get(key);
    if (!cancellation) return false;
    const now = this.state.now();
    const mayGoOnAt = cancellation.askedAt + CANCELLER_SILENT_MS;
    const isLeft = mayGoOnAt > now || this.cancelSome(tenant, key, cancellation);
    if (isLeft)
      this.state.schedule('cancel', Math.max(now, mayGoOnAt), { tenantId: tenant.tenantId, id: key });
    return mayGoOnAt <= now;
  }

  private cancelSome(tenant: TenantState, key: string, cancellation: Cancellation): boolean {
    const { tasks, group, reason, graceMs } = cancellation;
    for (let left = this.state.limits.cancelledAtOnce; left > 0; left -= 1) {
      const task = tasks.pop();
      if (!task) break;
      this.life.cancel(tenant, task, reason, graceMs);
    }
    if (tasks.length > 0) return true;
    tenant.cancellations.delete(key);
    group.shut = false;
    this.life.admitNext(tenant, group);
    return false;
  }
}

export function sessionKey(sessionId: string): string {
  return `session\n${sessionId}`;
}

export function batchKey(batchId: string): string {
  return `batch\n${batchId}`;
}
