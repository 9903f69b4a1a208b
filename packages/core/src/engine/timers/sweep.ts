import { isFinalState } from '../../protocol/task-state.js';
import { taskText } from '../../protocol/task-texts.js';
import type { Caches } from '../cache/caches.js';
import type { CallOutcomes } from '../journal/call-outcomes.js';
import type { Timer } from './timer-queue.js';
import type { TimerTarget, EngineState, OtherTimer, TaskTimer } from '../engine-state.js';
import type { Sessions } from '../sessions/sessions.js';
import { cancelledError, type TaskLife } from '../tasks/task-life.js';
import { removeTask } from '../tasks/removal.js';
import { type StepEntry, TaskEntry } from '../tasks/task-entry.js';
import type { BatchEntry, TenantState } from '../tenants/tenant-state.js';

/** Tenants checked for emptiness in each sweep. */
const TENANTS_A_SWEEP = 100;
/** Journal steps that cost as much as one timer. */
const STEPS_PER_TIMER = 10;
/** Batch items checked in one step. */
const ITEMS_AT_ONCE = 500;

/** A portion of the timers due by `dueBy`, at most `max`. */
export interface FireParams {
  readonly dueBy: number;
  readonly max: number;
}

export interface Fired {
  /** Timers taken. */
  readonly taken: number;
  /** Number of those that changed something, by kind. */
  readonly done: Readonly<Record<string, number>>;
  /** Time of the earliest timer left, epoch ms. */
  readonly nextDueAt?: number;
}

/** Fires due timers. Each timer checks its condition again: much may have changed since it was scheduled. */
export class Sweep {
  private readonly life: TaskLife;
  private readonly outcomes: CallOutcomes;
  private readonly sessions: Sessions;
  private readonly cache: Caches;

  constructor(
    private readonly state: EngineState,
    parts: {
      readonly life: TaskLife;
      readonly outcomes: CallOutcomes;
      readonly sessions: Sessions;
      readonly cache: Caches;
    },
  ) {
    this.life = parts.life;
    this.outcomes = parts.outcomes;
    this.sessions = parts.sessions;
    this.cache = parts.cache;
  }

  /** Drops what has expired and has no timer of its own: workers, types, empty tenants, old usage, cached values. */
  expire(): { readonly now: number } {
    const now = this.state.now();
    this.state.buryWorkers(now);
    this.state.forgetTypes(now);
    this.state.dropIdle(TENANTS_A_SWEEP);
    this.state.usage.forget(now, TENANTS_A_SWEEP);
    this.cache.forgetExpired(now);
    return { now };
  }

  fire({ dueBy, max }: FireParams): Fired {
    const done: Record<string, number> = {};
    let taken = 0;
    for (let cost = 0; taken < max && cost < this.state.limits.timersAtOnce; taken += 1) {
      const timer = this.state.timers.take(dueBy);
      if (!timer) break;
      // Before the timer fires: nothing is left to count of a removed batch.
      cost += this.costOf(timer);
      if (this.perform(timer, dueBy)) done[timer.kind] = (done[timer.kind] ?? 0) + 1;
    }
    const nextDueAt = this.state.timers.earliest;
    return { taken, done, ...(Number.isFinite(nextDueAt) && { nextDueAt }) };
  }

  /** In units of a timer that looks at one thing. */
  private costOf({ kind, target }: Timer<TaskTimer | OtherTimer, TaskEntry | TimerTarget>): number {
    if (kind === 'cancel') return this.state.limits.cancelledAtOnce;
    if (target instanceof TaskEntry) return 1 + target.journal.steps.size / STEPS_PER_TIMER;
    const batch = kind === 'batch' && this.state.tenants.get(target.tenantId)?.batches.get(target.id);
    return 1 + (batch ? portionOf(batch).length / STEPS_PER_TIMER : 0);
  }

  private perform(
    { kind, target }: Timer<TaskTimer | OtherTimer, TaskEntry | TimerTarget>,
    now: number,
  ): boolean {
    return target instanceof TaskEntry
      ? this.performOnTask(kind as TaskTimer, target, now)
      : this.performOther(kind as OtherTimer, target, now);
  }

  private performOther(kind: OtherTimer, target: TimerTarget, now: number): boolean {
    const tenant = this.state.tenants.get(target.tenantId);
    if (!tenant) return false;
    switch (kind) {
      case 'session':
        this.sessions.expire(tenant, target.id);
        return true;
      case 'idempotency':
        // A key that was used again has a timer of its own.
        return (
          (tenant.idempotency.get(target.id)?.until ?? now + 1) <= now && tenant.idempotency.delete(target.id)
        );
      case 'batch':
        return this.removeBatch(tenant, target, now);
      case 'cancel':
        return this.life.cancellations.sweep(tenant, target.id);
      case 'held':
        return this.dismissHeld(tenant, target, now);
      case 'step': {
        const entry = tenant.tasks.get(target.id);
        return entry && !isFinalState(entry.state)
          ? this.endStep(tenant, entry, target.step ?? '', now)
          : false;
      }
      default:
        return kind satisfies never;
    }
  }

  private performOnTask(kind: TaskTimer, entry: TaskEntry, now: number): boolean {
    const { tenant } = entry;
    if (kind === 'retention') return removeTask(tenant, entry);
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

  /** The answer stays readable for another `heldFrameMs`. */
  private dismissHeld(tenant: TenantState, target: TimerTarget, now: number): boolean {
    const held = tenant.held.get(target.id);
    if (held?.answer.answer !== 'held') return tenant.held.forget(target.id);
    tenant.held.decide(held, { answer: 'unknown_task' });
    this.state.schedule('held', now + this.state.limits.heldFrameMs, target);
    return true;
  }

  private start(tenant: TenantState, entry: TaskEntry, now: number): boolean {
    if (entry.state !== 'scheduled') return false;
    if ((entry.dueAt ?? 0) > now) return this.later('start', entry, entry.dueAt);
    entry.dueAt = undefined;
    const to = this.life.joinGroups(tenant, entry, 'due');
    this.life.move(tenant, entry, to, 'due');
    if (to === 'ready') this.life.enqueue(tenant, entry);
    return true;
  }

  private timeOut(tenant: TenantState, entry: TaskEntry): boolean {
    const message = taskText('taskTimedOut', { timeoutMs: entry.spec.timeoutMs });
    this.life.end(
      tenant,
      entry,
      { state: 'failed', error: { code: 'timeout', message, retryable: false } },
      'time_out',
    );
    return true;
  }

  /**
   * Lease expired: the worker counts as lost, and another may claim the task, unless it has cost too many
   * workers.
   */
  private loseLease(tenant: TenantState, entry: TaskEntry, now: number): boolean {
    if (!entry.lease) return false;
    if (entry.lease.expiresAt > now) {
      this.state.schedule('lease', entry.lease.expiresAt, entry);
      return false;
    }
    if (entry.cancelling) return this.endGrace(tenant, entry);
    // A task that was only prefetched cannot have harmed its worker.
    if (!entry.lease.prefetched) entry.lostLeases += 1;
    if (entry.lostLeases >= this.state.limits.maxLostWorkers) {
      const message = taskText('workersLost', { lost: entry.lostLeases });
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

  /** Fired early: the timer is scheduled again for its real time. */
  private later(kind: TaskTimer, entry: TaskEntry, at = 0): false {
    this.state.schedule(kind, at, entry);
    return false;
  }

  private endGrace(tenant: TenantState, entry: TaskEntry): boolean {
    if (!entry.cancelling) return false;
    const error = cancelledError(entry.cancelling.reason);
    this.life.end(tenant, entry, { state: 'cancelled', error }, 'cancel');
    return true;
  }

  /** End of a sleep, a signal timeout, a back-off or the silence limit of a service. */
  private endStep(tenant: TenantState, entry: TaskEntry, key: string, now: number): boolean {
    const step = entry.journal.steps.get(key);
    if (!step || step.outcome) return false;
    if (step.dueAt !== undefined && step.dueAt <= now) {
      const message = taskText('stepTimedOut', { step: step.name });
      const error = { code: 'timeout', message, retryable: false } as const;
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
      step.rev = entry.ownJournal.rev += 1;
      this.life.wake(tenant, entry);
      return true;
    }
    const next = step.dueAt ?? step.retryAt;
    if (next !== undefined) {
      // Fired early: scheduled again for its real time.
      this.outcomes.scheduleStep(tenant, entry, step.key, next);
      return false;
    }
    return this.endSilence(tenant, entry, step, now);
  }

  private endSilence(tenant: TenantState, entry: TaskEntry, step: StepEntry, now: number): boolean {
    const call = step.calls.at(-1);
    if (call?.state !== 'waiting' || call.silentAt === undefined) return false;
    if (call.silentAt > now) {
      this.outcomes.scheduleStep(tenant, entry, step.key, call.silentAt);
      return false;
    }
    const { service, jobId: job = '', silenceMs } = call;
    const message = taskText('serviceSilent', { service, job, silenceMs });
    const error = { code: 'timeout', message, retryable: true } as const;
    this.outcomes.endCall(tenant, entry, call, { ok: false, error }, { by: 'notification' });
    return true;
  }

  /**
   * Removes a batch without stored tasks. Checks a portion of the items in each step, from the first that may
   * still be stored.
   */
  private removeBatch(tenant: TenantState, target: TimerTarget, now: number): boolean {
    const batch = tenant.batches.get(target.id);
    if (!batch) return false;
    const portion = portionOf(batch);
    const kept = portion.findIndex((item) => 'spec' in item && tenant.tasks.has(item.spec.task_id));
    // A removed task does not come back.
    batch.passed += kept < 0 ? portion.length : kept;
    if (kept < 0 && batch.passed === batch.items.length) return tenant.batches.delete(target.id);
    this.state.schedule('batch', kept < 0 ? now : now + this.state.limits.retentionMs, target);
    return false;
  }
}

function portionOf({ items, passed }: BatchEntry): BatchEntry['items'] {
  return items.slice(passed, passed + ITEMS_AT_ONCE);
}
