import type { Swept } from '../storage/task-queue.js';
import { isFinalState } from '../tasks/task-state.js';
import type { CallOutcomes } from './call-outcomes.js';
import type { Duty, MemoryState } from './memory-state.js';
import type { MemorySessions } from './sessions.js';
import { cancelledError, type TaskLife } from './task-life.js';
import { jobKey, type StepEntry, type TaskEntry, type TenantState } from './tenant-state.js';

/** What becomes due by itself: each duty is looked at again when its time has come, since much may have changed. */
export class Sweep {
  constructor(
    private readonly state: MemoryState,
    private readonly life: TaskLife,
    private readonly outcomes: CallOutcomes,
    private readonly sessions: MemorySessions,
  ) {}

  sweep(max: number): Swept {
    const now = this.state.now();
    const done: Record<string, number> = {};
    for (let count = 0; count < max; count += 1) {
      const duty = this.state.duties.peek();
      if (!duty || duty.at > now) break;
      this.state.duties.pop();
      const tenant = this.state.tenants.get(duty.tenantId);
      if (tenant && this.perform(tenant, duty, now)) done[duty.kind] = (done[duty.kind] ?? 0) + 1;
    }
    const next = this.state.duties.peek();
    return { done, ...(next && { nextDueAt: next.at }) };
  }

  private perform(tenant: TenantState, duty: Duty, now: number): boolean {
    if (duty.kind === 'session') {
      this.sessions.expire(tenant, duty.id);
      return true;
    }
    if (duty.kind === 'idempotency') return tenant.idempotency.delete(duty.id);
    if (duty.kind === 'batch') return this.removeBatch(tenant, duty, now);
    if (duty.kind === 'held') {
      // The answer stays readable for as long again, for whoever waits for it.
      const held = tenant.held.get(duty.id);
      if (held?.answer.answer !== 'held') return tenant.held.delete(duty.id);
      held.answer = { answer: 'unknown_task' };
      this.state.owe({ ...duty, at: now + this.state.limits.heldFrameMs });
      return true;
    }
    const entry = tenant.tasks.get(duty.id);
    if (!entry) return false;
    if (duty.kind === 'retention') return this.remove(tenant, entry);
    if (isFinalState(entry.state)) return false;
    switch (duty.kind) {
      case 'start':
        return this.start(tenant, entry, now);
      case 'deadline':
        return this.timeOut(tenant, entry);
      case 'lease':
        return this.loseLease(tenant, entry, now);
      case 'grace':
        return this.endGrace(tenant, entry);
      case 'step':
        return this.endStep(tenant, entry, duty.step ?? '', now);
      default:
        return duty.kind satisfies never;
    }
  }

  private start(tenant: TenantState, entry: TaskEntry, now: number): boolean {
    if (entry.state !== 'scheduled' || (entry.dueAt ?? 0) > now) return false;
    delete entry.dueAt;
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
      this.life.owe(tenant, 'lease', entry.spec.task_id, entry.lease.expiresAt);
      return false;
    }
    if (entry.cancelling) return this.endGrace(tenant, entry);
    entry.lostLeases += 1;
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
    this.life.unlease(entry);
    this.life.move(tenant, entry, entry.resumes ? 'woken' : 'ready', 'lose_lease');
    this.life.enqueue(tenant, entry);
    return true;
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
        tenant,
        entry,
        step,
        step.kind === 'sleep' ? { ok: true, value: null } : { ok: false, error },
      );
      return true;
    }
    if (step.retryAt !== undefined && step.retryAt <= now) {
      delete step.retryAt;
      step.changed = entry.journal.changed += 1;
      this.life.wake(tenant, entry);
      return true;
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
    this.outcomes.endCall(tenant, entry, call, { ok: false, error }, { mayTryAgain: true });
    return true;
  }

  private removeBatch(tenant: TenantState, duty: Duty, now: number): boolean {
    const batch = tenant.batches.get(duty.id);
    if (!batch) return false;
    const kept = batch.items.some((item) => 'spec' in item && tenant.tasks.has(item.spec.task_id));
    if (!kept) return tenant.batches.delete(duty.id);
    this.state.owe({ ...duty, at: now + this.state.limits.retentionMs });
    return false;
  }

  private remove(tenant: TenantState, entry: TaskEntry): boolean {
    for (const step of entry.journal.steps.values()) {
      for (const call of step.calls) {
        tenant.calls.delete(call.callId);
        tenant.usageIds.delete(call.callId);
        const key = call.jobId === undefined ? undefined : jobKey(call.service, call.jobId);
        if (key !== undefined && tenant.jobs.get(key) === call.callId) tenant.jobs.delete(key);
      }
    }
    tenant.counts[entry.state as 'completed' | 'failed' | 'cancelled'] -= 1;
    return tenant.tasks.delete(entry.spec.task_id);
  }
}
