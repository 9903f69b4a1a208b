import { bytesOf, compactJson, keepField, type KeptJson } from '../kept-json.js';
import { LoggedEvent } from '../events/event-ring.js';
import type { EventName } from '../../protocol/events.js';
import type { TaskError } from '../../protocol/errors.js';
import type { JsonValue } from '../../protocol/json.js';
import { DEFAULTS } from '../../protocol/settings.js';
import type { Diagnostic } from '../../protocol/thrown.js';
import { isFinalState, isLegal, statusOf, type TaskState, type TaskVerb } from '../../protocol/task-state.js';
import { TASK_TEXTS } from '../../protocol/task-texts.js';
import { storageEvents } from '../../storage/system-events.js';
import type { Wakeup } from '../../storage/wakeups.js';
import { Cancellations } from './cancellations.js';
import type { ConcurrencyGroup } from '../queue/concurrency-group.js';
import { type EngineState, noRoomError } from '../engine-state.js';
import { ReadyQueue } from '../queue/ready-queue.js';
import type { CallEntry, Lease, TaskEntry } from './task-entry.js';
import { returnBudget } from '../tenants/budgets.js';
import type { TenantState } from '../tenants/tenant-state.js';

const NO_CALLS: readonly CallEntry[] = [];
const READY: Wakeup = { kind: 'ready' };

/** Final state of a task with its outcome. */
export type Ending =
  | { readonly state: 'completed'; readonly result: KeptJson }
  | {
      readonly state: 'failed' | 'cancelled';
      readonly error: TaskError;
      readonly diagnostic?: Diagnostic | undefined;
    };

/**
 * State transitions shared by several commands: the state, the queue, the groups, and the event. Everything
 * here is part of a caller's atomic step.
 */
export class TaskLife {
  readonly cancellations: Cancellations;

  constructor(private readonly state: EngineState) {
    this.cancellations = new Cancellations(state, this);
  }

  /** Changes the state and nothing else. `now` saves a clock read. */
  move(
    tenant: TenantState,
    entry: TaskEntry,
    to: TaskState,
    by: TaskVerb,
    now: number = this.state.now(),
  ): void {
    if (!isLegal(entry.state, to, by))
      throw new Error(`illegal transition: ${entry.state} to ${to} by ${by}`);
    tenant.counts[statusOf(entry.state)] -= 1;
    tenant.counts[statusOf(to)] += 1;
    entry.state = to;
    entry.since = now;
    entry.updatedAt = now;
  }

  emit(
    tenant: TenantState,
    entry: TaskEntry,
    event: EventName,
    data: KeptJson,
    now: number = this.state.now(),
    from?: { readonly service: string; readonly metadata?: KeptJson },
  ): void {
    entry.rev += 1;
    entry.updatedAt = now;
    const source = from?.metadata === undefined ? from : { ...from, metadata: compactJson(from.metadata) };
    this.state.log(tenant, new LoggedEvent(event, entry, source, now, compactJson(data), entry.rev));
    tenant.events.trim(this.state.limits, now - this.state.limits.maxEventAgeMs);
  }

  /** Whether every group admits the task; if so, it holds a slot in each. */
  private admitted(entry: TaskEntry): boolean {
    if (!entry.groups.every((group) => group.holders.has(entry) || group.admits(entry))) return false;
    for (const group of entry.groups) group.enter(entry);
    return true;
  }

  /** A due task joins its groups: `ready` if all admit it, else `waiting`. */
  joinGroups(tenant: TenantState, entry: TaskEntry, by: 'submit' | 'due'): TaskState {
    if (this.admitted(entry)) return 'ready';
    tenant.lined += 1;
    for (const group of entry.groups) {
      group.wait(entry, tenant.lined);
      if (!group.inOrder) continue;
      for (const head of group.holders) this.reprioritise(tenant, head);
      // Groups are entered in order, session first: a task that its session keeps waiting does not wait in
      // the batch.
      if (!group.admits(entry)) break;
    }
    if (by === 'submit') this.state.publish(READY);
    return 'waiting';
  }

  private reprioritise(tenant: TenantState, entry: TaskEntry): void {
    if (!entry.queued || queuePriorityOf(entry) === entry.queuePriority) return;
    this.dequeue(tenant, entry);
    this.enqueue(tenant, entry);
  }

  /** Enqueues a `ready` or `woken` task for claims. */
  enqueue(tenant: TenantState, entry: TaskEntry, priority = queuePriorityOf(entry)): void {
    entry.queuePriority = priority;
    const group = groupOf(entry);
    let levels = tenant.ready.get(group);
    if (!levels) {
      levels = new ReadyQueue();
      tenant.ready.set(group, levels);
    }
    levels.insert(entry);
    entry.queued = levels;
    tenant.queued += 1;
    this.joinRotation(tenant);
  }

  /** A tenant with claimable tasks is in the rotation; a claim removes a tenant without any. */
  joinRotation(tenant: TenantState): void {
    if (tenant.queued === 0 || tenant.room <= 0) return;
    if (!tenant.inRotation) {
      tenant.inRotation = true;
      tenant.virtualTime = Math.max(tenant.virtualTime, this.state.virtualTime);
      this.state.rotation.push(tenant);
    }
    this.state.publish(READY);
  }

  dequeue(tenant: TenantState, entry: TaskEntry): void {
    if (!entry.queued) return;
    entry.queued.remove(entry);
    entry.queued = undefined;
    tenant.queued -= 1;
  }

  /**
   * An event that the task waits for: a parked task becomes claimable, the worker of a leased one gets a
   * wake-up.
   */
  wake(tenant: TenantState, entry: TaskEntry): void {
    if (entry.state === 'parked') {
      this.move(tenant, entry, 'woken', 'wake');
      this.enqueue(tenant, entry);
    } else if (entry.state === 'leased') {
      this.state.publish({ kind: 'task', tenantId: tenant.tenantId, taskId: entry.spec.task_id });
    }
  }

  lease(tenant: TenantState, entry: TaskEntry, lease: Lease): void {
    entry.lease = lease;
    tenant.leased.set(entry.spec.task_id, entry);
    this.state.schedule('lease', lease.expiresAt, entry);
  }

  /** Clears the lease; the caller moves the task on. */
  unlease(tenant: TenantState, entry: TaskEntry): void {
    if (!entry.lease) return;
    const worker = this.state.workers.get(entry.lease.workerId);
    if (worker?.suspect === entry.spec.task_id) worker.suspect = undefined;
    entry.lease = undefined;
    const wasFull = tenant.room <= 0;
    tenant.leased.delete(entry.spec.task_id);
    if (wasFull) this.joinRotation(tenant);
  }

  /** Stores the result of a task that is about to complete. Fails the task instead for want of memory. */
  keepResult(
    tenant: TenantState,
    entry: TaskEntry,
    from: { readonly result: JsonValue },
  ): KeptJson | undefined {
    const result = keepField(from, 'result', entry);
    const bytes = bytesOf(result);
    entry.charge(-bytes);
    if (this.state.hasNoRoomFor(tenant, bytes)) {
      this.end(tenant, entry, { state: 'failed', error: noRoomError() }, 'fail');
      return undefined;
    }
    entry.charge(bytes);
    return result;
  }

  /** Ends the task: final event, `task_cancel` to services, the next members of its groups admitted. */
  end(tenant: TenantState, entry: TaskEntry, ending: Ending, by: TaskVerb): void {
    const wasLeased = entry.state === 'leased';
    this.dequeue(tenant, entry);
    this.unlease(tenant, entry);
    const now = this.state.now();
    this.move(tenant, entry, ending.state, by, now);
    entry.finishedAt = now;
    entry.cancelling = undefined;
    returnBudget(tenant, entry);
    if (ending.state === 'completed') {
      entry.result = ending.result;
      this.emit(tenant, entry, 'task_completed', ending.result, now);
    } else {
      entry.error = { ...ending.error };
      entry.diagnostic = structuredClone(ending.diagnostic);
      this.emit(tenant, entry, 'task_failed', { ...ending.error }, now);
    }
    if (wasLeased)
      this.state.publish({ kind: 'task', tenantId: tenant.tenantId, taskId: entry.spec.task_id });
    this.forgetCalls(
      tenant,
      entry,
      ending.state === 'completed' ? TASK_TEXTS.taskCompleted : ending.error.message,
    );
    const { retentionMs, deadLetterRetentionMs } = this.state.limits;
    const keepMs =
      ending.state === 'failed' ? deadLetterRetentionMs : (tenant.settings.retentionMs ?? retentionMs);
    this.state.schedule('retention', now + keepMs, entry);
    if (ending.state === 'failed')
      this.state.publishSystemEvent(storageEvents.deadLetter(tenant.tenantId, entry.spec.task_id));
    if (ending.state === 'failed' && entry.batch?.failFast)
      this.cancellations.failBatch(tenant, entry.batch, entry.spec.task_id);
    this.leaveGroups(tenant, entry);
  }

  /** Cancels a task without a lease at once. A leased one gets a wake-up and a grace period. */
  cancel(
    tenant: TenantState,
    entry: TaskEntry,
    reason: string,
    graceMs: number,
  ): 'cancelled' | 'cancelling' | 'already_final' {
    if (isFinalState(entry.state)) return 'already_final';
    if (entry.state !== 'leased') {
      this.end(tenant, entry, { state: 'cancelled', error: cancelledError(reason) }, 'cancel');
      return 'cancelled';
    }
    if (entry.cancelling) return 'cancelling';
    entry.cancelling = { reason };
    this.state.schedule('grace', this.state.now() + graceMs, entry);
    this.notifyServices(tenant, entry, reason);
    this.state.publish({ kind: 'task', tenantId: tenant.tenantId, taskId: entry.spec.task_id });
    return 'cancelling';
  }

  /** The call has its response: early reports for its service may now be undecidable. */
  settleSending(tenant: TenantState, call: CallEntry): void {
    if (call.state !== 'sending') return;
    const left = (tenant.sending.get(call.service) ?? 1) - 1;
    if (left > 0) {
      tenant.sending.set(call.service, left);
      return;
    }
    tenant.sending.delete(call.service);
  }

  /**
   * Without an unanswered call of the service, its early reports can never be matched: they are dismissed.
   */
  dismissHeld(tenant: TenantState, service: string): void {
    if (tenant.sending.has(service)) return;
    for (const held of tenant.held.waiting(service)) tenant.held.decide(held, { answer: 'unknown_task' });
  }

  private forgetCalls(tenant: TenantState, entry: TaskEntry, reason: string): void {
    this.notifyServices(tenant, entry, reason);
    for (const call of openCalls(entry)) {
      this.settleSending(tenant, call);
      call.state = 'ended';
      this.dismissHeld(tenant, call.service);
    }
  }

  private notifyServices(tenant: TenantState, entry: TaskEntry, reason: string): void {
    for (const call of openCalls(entry)) {
      this.state.publish({
        kind: 'call_cancelled',
        service: call.service,
        frame: {
          event: 'task_cancel',
          task_id: call.jobId ?? call.callId,
          call_id: call.callId,
          global_task_id: entry.spec.task_id,
          tenant_id: tenant.tenantId,
          reason,
        },
      });
    }
  }

  private leaveGroups(tenant: TenantState, entry: TaskEntry): void {
    for (const group of entry.groups) group.leave(entry);
    for (const group of entry.groups) this.admitNext(tenant, group);
    if (entry.spec.session_id !== undefined) tenant.sessions.get(entry.spec.session_id)?.live.delete(entry);
  }

  /**
   * Admits waiting members while there is room. A member of a session and a batch waits for its session
   * first, and for the batch once it is first in its session and only the batch is full.
   */
  admitNext(tenant: TenantState, group: ConcurrencyGroup<TaskEntry>): void {
    for (let next = group.first; next && group.hasRoom; next = group.first) {
      if (this.admitted(next)) {
        this.move(tenant, next, 'ready', 'admit');
        this.enqueue(tenant, next);
      } else if (group.inOrder) {
        const order = group.orderOf(next) as number;
        for (const other of next.groups) other.wait(next, order);
        return;
      } else {
        // Its session does not admit it: it joins the batch again when the session does.
        group.stopWaiting(next);
      }
    }
  }
}

export function cancelledError(reason: string): TaskError {
  return { code: 'cancelled', message: reason, retryable: false };
}

/** Calls without an outcome. */
export function openCalls({ journal }: TaskEntry): readonly CallEntry[] {
  if (journal.steps.size === 0) return NO_CALLS;
  const open: CallEntry[] = [];
  for (const step of journal.steps.values()) {
    for (const call of step.calls) if (call.state !== 'ended') open.push(call);
  }
  return open;
}

/**
 * A suspect has cost several workers in a row: a worker runs one at a time, so that no other task is lost
 * with it.
 */
export function isSuspect({ lostLeases }: TaskEntry): boolean {
  return lostLeases >= DEFAULTS.suspectFromLosses;
}

/** Key of the ready queue: tasks that the same workers can run (type, pinned version, suspect or not). */
function groupOf(entry: TaskEntry): string {
  const { spec, version } = entry;
  const suspect = isSuspect(entry);
  // Fast case, nearly all tasks: no string is built.
  if (version === undefined && !suspect) return spec.type;
  return `${spec.type}@${version ?? ''}${suspect ? '!' : ''}`;
}

function queuePriorityOf(entry: TaskEntry): number {
  return entry.groups.reduce((most, group) => group.urgency(most), entry.spec.priority);
}
