import type { Swept } from '../storage/task-queue.js';
import { isFinalState } from '../tasks/task-state.js';
import type { CallOutcomes } from './call-outcomes.js';
import type { Due } from './due-times.js';
import type { DutyPart, MemoryState, OtherDuty, TaskDuty } from './memory-state.js';
import { inPortions } from './portions.js';
import type { MemorySessions } from './sessions.js';
import { cancelledError, type TaskLife } from './task-life.js';
import { type StepEntry, TaskEntry } from './task-entry.js';
import { type BatchEntry, jobKey, type TenantState } from './tenant-state.js';

/** So many tenants are looked at for whether anything of them is still kept. */
const TENANTS_A_SWEEP = 100;
/** So many steps of a journal are gone through in the time that a duty takes. */
const STEPS_A_DUTY = 10;
/** So many items of a batch are looked at in a step, for whether their tasks are still kept. */
const ITEMS_AT_ONCE = 500;

/** What becomes due by itself: each duty is looked at again when its time has come, since much may have changed. */
export class Sweep {
  constructor(
    private readonly state: MemoryState,
    private readonly life: TaskLife,
    private readonly outcomes: CallOutcomes,
    private readonly sessions: MemorySessions,
  ) {}

  async sweep(max: number): Promise<Swept> {
    const now = this.state.now();
    const done: Record<string, number> = {};
    this.state.buryWorkers(now);
    this.state.forgetTypes(now);
    this.state.dropIdle(TENANTS_A_SWEEP);
    this.state.usage.forget(now, TENANTS_A_SWEEP);
    let left = max;
    await inPortions(() => {
      this.state.checkOpen();
      left -= this.performSome(now, left, done);
      return left > 0 && this.state.duties.earliest <= now;
    });
    const nextDueAt = this.state.duties.earliest;
    return { done, now, ...(Number.isFinite(nextDueAt) && { nextDueAt }) };
  }

  /** One step. Returns how many duties it has looked at. */
  private performSome(now: number, most: number, done: Record<string, number>): number {
    let count = 0;
    for (let cost = 0; count < most && cost < this.state.limits.dutiesAtOnce; count += 1) {
      const duty = this.state.duties.take(now);
      if (!duty) break;
      // Before it is performed: of a batch that goes, there is nothing left to count.
      cost += this.costOf(duty);
      if (this.perform(duty, now)) done[duty.kind] = (done[duty.kind] ?? 0) + 1;
    }
    return count;
  }

  /** Compared with a duty that looks at one thing. */
  private costOf({ kind, what }: Due<TaskDuty | OtherDuty, TaskEntry | DutyPart>): number {
    if (kind === 'cancel') return this.state.limits.cancelledAtOnce;
    if (what instanceof TaskEntry) return 1 + what.journal.steps.size / STEPS_A_DUTY;
    const batch = kind === 'batch' && this.state.tenants.get(what.tenantId)?.batches.get(what.id);
    return 1 + (batch ? portionOf(batch).length / STEPS_A_DUTY : 0);
  }

  private perform({ kind, what }: Due<TaskDuty | OtherDuty, TaskEntry | DutyPart>, now: number): boolean {
    return what instanceof TaskEntry
      ? this.performOnTask(kind as TaskDuty, what, now)
      : this.performOther(kind as OtherDuty, what, now);
  }

  private performOther(kind: OtherDuty, what: DutyPart, now: number): boolean {
    const tenant = this.state.tenants.get(what.tenantId);
    if (!tenant) return false;
    switch (kind) {
      case 'session':
        this.sessions.expire(tenant, what.id);
        return true;
      case 'idempotency':
        // A key that was used again since has a timer of its own.
        return (
          (tenant.idempotency.get(what.id)?.until ?? now + 1) <= now && tenant.idempotency.delete(what.id)
        );
      case 'batch':
        return this.removeBatch(tenant, what, now);
      case 'cancel':
        return this.life.cancellations.sweep(tenant, what.id);
      case 'held':
        return this.dismissHeld(tenant, what, now);
      case 'step': {
        const entry = tenant.tasks.get(what.id);
        return entry && !isFinalState(entry.state)
          ? this.endStep(tenant, entry, what.step ?? '', now)
          : false;
      }
      default:
        return kind satisfies never;
    }
  }

  private performOnTask(kind: TaskDuty, entry: TaskEntry, now: number): boolean {
    const { tenant } = entry;
    if (kind === 'retention') return this.remove(tenant, entry);
    if (isFinalState(entry.state)) return false;
    switch (kind) {
      case 'start':
        return this.start(tenant, entry, now);
      case 'deadline':
        return this.timeOut(tenant, entry);
      case 'lease':
        return this.loseLease(tenant, entry, now);
      case 'grace':
        return this.endGrace(tenant, entry);
      default:
        return kind satisfies never;
    }
  }

  /** The answer stays readable for as long again, for whoever waits for it. */
  private dismissHeld(tenant: TenantState, what: DutyPart, now: number): boolean {
    const held = tenant.held.get(what.id);
    if (held?.answer.answer !== 'held') return tenant.held.forget(what.id);
    tenant.held.decide(held, { answer: 'unknown_task' });
    this.state.owe('held', now + this.state.limits.heldFrameMs, what);
    return true;
  }

  private start(tenant: TenantState, entry: TaskEntry, now: number): boolean {
    if (entry.state !== 'scheduled') return false;
    if ((entry.dueAt ?? 0) > now) return this.later('start', entry, entry.dueAt);
    entry.dueAt = undefined;
    const to = this.life.standInLine(tenant, entry, 'due');
    this.life.move(tenant, entry, to, 'due');
    if (to === 'ready') this.life.enqueue(tenant, entry);
    return true;
  }

  private timeOut(tenant: TenantState, entry: TaskEntry): boolean {
    const message = `not ended within ${entry.spec.timeoutMs} ms`;
    this.life.end(
      tenant,
      entry,
      { state: 'failed', error: { code: 'timeout', message, retryable: false } },
      'time_out',
    );
    return true;
  }

  /** A worker that did not renew is taken for lost; its task is another's, unless it has cost too many workers. */
  private loseLease(tenant: TenantState, entry: TaskEntry, now: number): boolean {
    if (!entry.lease) return false;
    if (entry.lease.expiresAt > now) {
      this.state.owe('lease', entry.lease.expiresAt, entry);
      return false;
    }
    if (entry.cancelling) return this.endGrace(tenant, entry);
    // One that was only claimed ahead has done nothing to its worker.
    if (!entry.lease.prefetched) entry.lostLeases += 1;
    if (entry.lostLeases >= this.state.limits.maxLostWorkers) {
      const message = `${entry.lostLeases} workers were lost while they ran it`;
      this.life.end(
        tenant,
        entry,
        { state: 'failed', error: { code: 'worker_lost', message, retryable: false } },
        'lose_lease',
      );
      return true;
    }
    this.life.unlease(tenant, entry);
    this.life.move(tenant, entry, entry.resumes ? 'woken' : 'ready', 'lose_lease');
    this.life.enqueue(tenant, entry);
    return true;
  }

  /** Looked at too early: a timer is kept until its time has come. */
  private later(kind: TaskDuty, entry: TaskEntry, at = 0): false {
    this.state.owe(kind, at, entry);
    return false;
  }

  private endGrace(tenant: TenantState, entry: TaskEntry): boolean {
    if (!entry.cancelling) return false;
    const error = cancelledError(entry.cancelling.reason);
    this.life.end(tenant, entry, { state: 'cancelled', error }, 'cancel');
    return true;
  }

  /** A sleep is over, a signal did not come, a back-off ends, or a service has been silent for too long. */
  private endStep(tenant: TenantState, entry: TaskEntry, key: string, now: number): boolean {
    const step = entry.journal.steps.get(key);
    if (!step || step.outcome) return false;
    if (step.dueAt !== undefined && step.dueAt <= now) {
      const error = { code: 'timeout', message: `no ${step.name} in time`, retryable: false } as const;
      this.outcomes.settleStep(
        entry,
        step,
        step.kind === 'sleep' ? { ok: true, value: null } : { ok: false, error },
      );
      this.life.wake(tenant, entry);
      return true;
    }
    if (step.retryAt !== undefined && step.retryAt <= now) {
      step.retryAt = undefined;
      step.changed = entry.ownJournal.changed += 1;
      this.life.wake(tenant, entry);
      return true;
    }
    const next = step.dueAt ?? step.retryAt;
    if (next !== undefined) {
      // Looked at too early: a timer is kept until its time has come.
      this.outcomes.oweStep(tenant, entry, step.key, next);
      return false;
    }
    return this.endSilence(tenant, entry, step, now);
  }

  private endSilence(tenant: TenantState, entry: TaskEntry, step: StepEntry, now: number): boolean {
    const call = step.calls.at(-1);
    if (call?.state !== 'waiting' || call.silentAt === undefined) return false;
    if (call.silentAt > now) {
      this.outcomes.oweStep(tenant, entry, step.key, call.silentAt);
      return false;
    }
    const message = `${call.service} has not reported on job ${call.jobId} for ${call.silenceMs} ms`;
    const error = { code: 'timeout', message, retryable: true } as const;
    this.outcomes.endCall(tenant, entry, call, { ok: false, error }, { by: 'notification' });
    return true;
  }

  /** Removed once none of its tasks is kept: a portion of the items a step, beginning with the first that may be. */
  private removeBatch(tenant: TenantState, what: DutyPart, now: number): boolean {
    const batch = tenant.batches.get(what.id);
    if (!batch) return false;
    const portion = portionOf(batch);
    const kept = portion.findIndex((item) => 'spec' in item && tenant.tasks.has(item.spec.task_id));
    // What was gone once does not come back.
    batch.passed += kept < 0 ? portion.length : kept;
    if (kept < 0 && batch.passed === batch.items.length) return tenant.batches.delete(what.id);
    this.state.owe('batch', kept < 0 ? now : now + this.state.limits.retentionMs, what);
    return false;
  }

  private remove(tenant: TenantState, entry: TaskEntry): boolean {
    const inJournal = [...entry.journal.steps.values()].flatMap((step) => step.calls);
    for (const call of [...inJournal, ...entry.dropped]) {
      tenant.calls.delete(call.callId);
      const key = call.jobId === undefined ? undefined : jobKey(call.service, call.jobId);
      if (key !== undefined && tenant.jobs.get(key) === call.callId) tenant.jobs.delete(key);
    }
    tenant.counts[entry.state as 'completed' | 'failed' | 'cancelled'] -= 1;
    tenant.charge(-entry.bytes);
    const items = entry.batch?.items ?? [];
    const at = items.indexOf(entry);
    if (at >= 0) items[at] = { goneId: entry.spec.task_id, state: entry.state };
    tenant.tasksInOrder.remove(entry.place);
    return tenant.tasks.delete(entry.spec.task_id);
  }
}

function portionOf({ items, passed }: BatchEntry): BatchEntry['items'] {
  return items.slice(passed, passed + ITEMS_AT_ONCE);
}
