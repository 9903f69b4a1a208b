import type { MemoryState } from '../engine-state.js';
import type { ConcurrencyGroup } from '../queue/concurrency-group.js';
import type { TaskEntry } from './task-entry.js';
import type { TaskLife } from './task-life.js';
import type { BatchEntry, SessionEntry, TenantState } from '../tenants/tenant-state.js';

/** Tasks that are cancelled together, a portion a step. Until the last of them is, their group admits nobody in. */
export interface Cancellation {
  /** The newest is cancelled first. */
  readonly tasks: TaskEntry[];
  readonly group: ConcurrencyGroup<TaskEntry>;
  readonly reason: string;
  readonly graceMs: number;
  /** When whoever asked for it took the last step; the sweeper goes on in its stead once that is long ago. */
  askedAt: number;
  /** Whether the sweeper knows of it: once something is left after the first step. */
  isScheduled: boolean;
}

/** So long after its last step, whoever asked for a cancellation counts as gone. */
const CANCELLER_SILENT_MS = 1_000;

/**
 * Cancels the tasks of a session or a batch in portions. What is left after a portion is a timer: if nobody goes on, the
 * sweeper does.
 */
export class Cancellations {
  constructor(
    private readonly state: MemoryState,
    private readonly life: TaskLife,
  ) {}

  beginSession(tenant: TenantState, { session, live, group }: SessionEntry, graceMs: number): void {
    const reason = 'the session was closed';
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

  /** A task of the batch has failed, and that is to end the others. The first step is taken at once, the sweeper takes the rest. */
  failBatch(tenant: TenantState, batch: BatchEntry, failedId: string): void {
    const key = batchKey(batch.batchId);
    if (tenant.cancellations.has(key)) return;
    const reason = `task ${failedId} of the batch failed`;
    this.beginBatch(tenant, batch, { reason, graceMs: this.state.limits.cancelGraceMs });
    if (!this.pump(tenant, key)) return;
    (tenant.cancellations.get(key) as Cancellation).askedAt = Number.NEGATIVE_INFINITY;
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

  /** Takes one step. Returns whether some are left. */
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

  /** The sweeper's step. Returns whether it has done anything. */
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
