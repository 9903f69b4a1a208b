import { writeJson } from '../../protocol/known-text.js';
import { type BytesOwner, keepField, type KeptJson, viewJson } from '../kept-json.js';
import { fingerprintOf } from '../../protocol/fingerprint.js';
import type { JsonValue } from '../../protocol/json.js';
import type { Usage } from '../../protocol/service-call.js';
import type { StepAnswer, StepOutcome } from '../../storage/call-journal.js';
import { isFinalState } from '../../protocol/task-state.js';
import { taskText } from '../../protocol/task-texts.js';
import { type EngineState, noRoomError } from '../engine-state.js';
import type { TaskLife } from '../tasks/task-life.js';
import { UNLIMITED } from '../unlimited.js';
import { returnTokens } from '../tenants/call-rates.js';
import { addCallUsage } from '../tenants/usage.js';
import type { CallEntry, KeptOutcome, StepEntry, TaskEntry } from '../tasks/task-entry.js';
import { jobKey, type TenantState } from '../tenants/tenant-state.js';

/**
 * Effects of an answer, a notification or a timeout on a call and its step. Part of a caller's atomic step.
 */
export class CallOutcomes {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
  ) {}

  /**
   * Records the outcome of a step as the next change of the journal. Callers other than the task's own
   * worker, which gets it with the answer, also wake the task.
   */
  settleStep(entry: TaskEntry, step: StepEntry, outcome: StepOutcome): StepOutcome {
    const { stored, bytes } = this.fitting(entry, outcome);
    step.outcome = keepOutcome(stored, entry);
    step.outcomeBytes = bytes;
    entry.ownJournal.bytes += bytes;
    step.endedAt = this.state.now();
    step.retryAt = undefined;
    step.dueAt = undefined;
    step.rev = entry.ownJournal.rev += 1;
    // Progress clears the suspicion that this task kills its workers.
    // A task in the queue keeps its place among the suspects, or outside of them.
    if (entry.state === 'leased' || entry.state === 'parked') entry.lostLeases = 0;
    return stored;
  }

  /**
   * All outcomes of a task share one limit. An outcome that would exceed it becomes a failure with that
   * reason.
   */
  private fitting(
    { journal, tenant }: TaskEntry,
    outcome: StepOutcome,
  ): { stored: StepOutcome; bytes: number } {
    const most = this.state.limits.maxJournalBytes;
    const bytes = jsonBytes(outcome);
    const size = journal.bytes + bytes;
    const hasNoRoom = this.state.hasNoRoomFor(tenant, bytes);
    if (size <= most && !hasNoRoom) return { stored: outcome, bytes };
    const message = taskText('journalTooLarge', { maxBytes: most, bytes: size });
    const tooLarge = { code: 'result_too_large', message, retryable: false } as const;
    const stored: StepOutcome = { ok: false, error: hasNoRoom ? noRoomError() : tooLarge };
    return { stored, bytes: jsonBytes(stored) };
  }

  /**
   * The service has accepted the call with a job. A call with an outcome only learns its job id, to recognise
   * repeats.
   */
  accept(tenant: TenantState, entry: TaskEntry, call: CallEntry, jobId: string): void {
    const key = jobKey(call.service, jobId);
    const named = tenant.calls.get(tenant.jobs.get(key) ?? '');
    // A reused job id belongs to the newer call, once the older one has ended.
    if (!named || named.call.state === 'ended') tenant.jobs.set(key, call.callId);
    // A call has one job id: the previous one is forgotten.
    const before = call.jobId === undefined || call.jobId === jobId ? '' : jobKey(call.service, call.jobId);
    if (tenant.jobs.get(before) === call.callId) tenant.jobs.delete(before);
    call.jobId = jobId;
    if (call.state !== 'sending') return;
    this.life.settleSending(tenant, call);
    call.state = 'waiting';
    this.scheduleSilence(tenant, entry, call);
  }

  /** Any report on a call restarts its silence limit. */
  restartSilence(tenant: TenantState, entry: TaskEntry, call: CallEntry): void {
    if (call.state === 'waiting') this.scheduleSilence(tenant, entry, call);
  }

  private scheduleSilence(tenant: TenantState, entry: TaskEntry, call: CallEntry): void {
    if (call.silenceMs >= UNLIMITED) return;
    const first = call.silentAt === undefined;
    call.silentAt = this.state.now() + call.silenceMs;
    // The sweeper renews a timer that fires early, so one timer is enough for any number of reports.
    if (first) this.scheduleStep(tenant, entry, call.stepKey, call.silentAt);
  }

  scheduleStep(tenant: TenantState, entry: TaskEntry, step: string, at: number): void {
    this.state.schedule('step', at, { tenantId: tenant.tenantId, id: entry.spec.task_id, step });
  }

  /** Outcome of one try: ends the step or the task, or schedules the next try. */
  endCall(
    tenant: TenantState,
    entry: TaskEntry,
    call: CallEntry,
    outcome: StepOutcome,
    options: { readonly usage?: Usage | undefined; readonly by: 'answer' | 'notification' },
  ): void {
    const step = entry.journal.steps.get(call.stepKey) as StepEntry;
    this.life.settleSending(tenant, call);
    call.state = 'ended';
    call.ok = outcome.ok;
    call.outcomeFingerprint = fingerprintOf(writeJson(outcome));
    if (options.usage) this.count(tenant, entry, call, options.usage);
    else returnTokens(this.state, tenant, call);
    const notified = options.by === 'notification';
    if (notified && mayTryAgain(step, outcome)) {
      step.retryAt = this.state.now() + call.retryDelayMs;
      step.rev = entry.ownJournal.rev += 1;
      this.scheduleStep(tenant, entry, step.key, step.retryAt);
      this.emitRetry(tenant, entry, call, outcome, step.calls.length);
      this.life.wake(tenant, entry);
      return;
    }
    const onlyCall = entry.state === 'tracked' && entry.journal.steps.size === 1;
    const stored = this.settleStep(entry, step, outcome);
    call.ok = stored.ok;
    if (notified) this.life.wake(tenant, entry);
    if (!onlyCall) return;
    if (step.outcome?.ok === true)
      this.life.end(tenant, entry, { state: 'completed', result: step.outcome.value }, 'complete');
    else if (!stored.ok) {
      const { code, message, retryable } = stored.error;
      this.life.end(tenant, entry, { state: 'failed', error: { code, message, retryable } }, 'fail');
    }
  }

  /** A step begins later: its task waits, and the client sees why. */
  wait(
    tenant: TenantState,
    entry: TaskEntry,
    step: StepEntry,
    {
      service,
      operation,
      waitMs,
    }: { readonly service: string; readonly operation: string; readonly waitMs: number },
  ): void {
    step.retryAt = this.state.now() + waitMs;
    step.rev = entry.ownJournal.rev += 1;
    this.scheduleStep(tenant, entry, step.key, step.retryAt);
    const details: JsonValue = { service, operation, retry_after_ms: waitMs };
    this.life.emit(tenant, entry, 'task_status_update', { status: 'rate_limited', details });
  }

  /** Usage counts once for each call, whatever became of the call. */
  count(tenant: TenantState, entry: TaskEntry, call: CallEntry, usage: Usage | undefined): void {
    if (usage) addCallUsage(this.state, tenant, { entry, call }, usage);
  }

  private emitRetry(
    tenant: TenantState,
    entry: TaskEntry,
    call: CallEntry,
    outcome: StepOutcome,
    tried: number,
  ): void {
    const error = outcome.ok ? '' : outcome.error.message;
    const details: JsonValue = { service: call.service, operation: call.operation, try: tried + 1, error };
    this.life.emit(tenant, entry, 'task_status_update', { status: 'retrying', details });
  }

  /** Response of a service to a call. */
  answer(tenant: TenantState, entry: TaskEntry, call: CallEntry, answer: StepAnswer): 'recorded' | 'known' {
    if (answer.kind === 'accepted') {
      const wasSending = call.state === 'sending';
      this.accept(tenant, entry, call, answer.jobId);
      return wasSending ? 'recorded' : 'known';
    }
    if (call.state === 'ended' || isFinalState(entry.state)) {
      this.count(tenant, entry, call, answer.usage);
      return 'known';
    }
    this.endCall(tenant, entry, call, answer.outcome, { usage: answer.usage, by: 'answer' });
    return 'recorded';
  }
}

/** Size of a value as JSON, in bytes. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(writeJson(value));
}

export function keepOutcome(outcome: StepOutcome, owner: BytesOwner): KeptOutcome {
  return outcome.ok
    ? { ok: true, value: keepField(outcome, 'value', owner) }
    : { ok: false, error: structuredClone(outcome.error) };
}

export function readOutcome(outcome: KeptOutcome): StepOutcome {
  return outcome.ok ? readSuccess(outcome.value) : { ok: false, error: structuredClone(outcome.error) };
}

function readSuccess(kept: KeptJson): StepOutcome {
  const outcome: { ok: true; value: JsonValue } = { ok: true, value: null };
  viewJson(outcome, 'value', kept);
  return outcome;
}

/**
 * Only a reported outcome, or a missing report, leads to a new try: responses were already resent by the
 * caller.
 */
function mayTryAgain(step: StepEntry, outcome: StepOutcome): boolean {
  return !outcome.ok && outcome.error.retryable && step.calls.length < step.maxTries;
}
