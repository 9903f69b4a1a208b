import { fingerprintOf } from '../../protocol/fingerprint.js';
import { writeJson } from '../../protocol/known-text.js';
import type {
  JournalChanges,
  Report,
  ReportAnswer,
  StepRequest,
  BeginStepParams,
  BeginStepResult,
  ChangesSinceParams,
  ChangesSinceResult,
  HeldReportParams,
  ReadJournalParams,
  ReadJournalResult,
  RunOrigin,
  RecordAnswerParams,
  RecordAnswerResult,
} from '../../storage/call-journal.js';
import { isFinalState } from '../../protocol/task-state.js';
import type { CallOutcomes } from './call-outcomes.js';
import { bytesOf, readJson } from '../kept-json.js';
import { copyJson } from '../../protocol/bounded-json.js';
import type { EngineState } from '../engine-state.js';
import type { TaskLife } from '../tasks/task-life.js';
import { changesAfter, viewStep } from '../tasks/task-view.js';
import type { CallEntry, StepEntry, TaskEntry } from '../tasks/task-entry.js';
import type { TaskError } from '../../protocol/errors.js';
import { TASK_TEXTS, taskText } from '../../protocol/task-texts.js';
import { takeCall } from '../tenants/call-rates.js';
import { isBudgetSpent } from '../tenants/budgets.js';
import { jobKey, mayUse, type TenantState } from '../tenants/tenant-state.js';

const LEASE_LOST = { answer: 'lease_lost' } as const;
/** Message ids remembered for each call, to recognise repeated progress. */
const REMEMBERED_MESSAGES = 100;

/** Steps of tasks, their calls, and the notifications about them. */
export class Journals {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
    private readonly outcomes: CallOutcomes,
  ) {}

  begin(params: BeginStepParams): BeginStepResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = leased(tenant, params.taskId, params.token);
    if (!entry) return LEASE_LOST;
    const { steps } = entry.ownJournal;
    let step = steps.get(params.step.key);
    const inFlight =
      step && (step.outcome || step.retryAt !== undefined || openCall(step) || !params.step.call);
    if (step && inFlight)
      return {
        answer: 'known',
        step: viewStep(step, entry),
        ...changesSince(entry, params.journalRev, this.state.limits.pageBytes),
      };
    if (!step) {
      if (steps.size >= params.maxSteps) return { answer: 'too_many_steps' };
      step = newStep(params.step, entry.failures);
      steps.set(step.key, step);
    }
    const hasBegun = this.admit(tenant, entry, step, params.step);
    if (hasBegun) this.start(tenant, entry, step, params.step);
    return {
      answer: hasBegun ? 'begun' : 'known',
      step: viewStep(step, entry),
      ...changesSince(entry, params.journalRev, this.state.limits.pageBytes),
    };
  }

  /** Whether a step may begin now. A call may be refused, which is its outcome, or has to wait for a rate. */
  private admit(tenant: TenantState, entry: TaskEntry, step: StepEntry, { call }: StepRequest): boolean {
    if (!call) return true;
    const refusal = refusalOf(tenant, entry, call.service);
    if (refusal) {
      this.outcomes.settleStep(entry, step, { ok: false, error: refusal });
      return false;
    }
    if (step.admitted || !hasRates(tenant)) return true;
    const { maxRateWaitMs } = this.state.limits;
    const { waitMs, taken } = takeCall(this.state, tenant, call, maxRateWaitMs);
    if (waitMs > maxRateWaitMs) {
      const message = taskText('rateExceeded', { waitMs: maxRateWaitMs });
      this.outcomes.settleStep(entry, step, {
        ok: false,
        error: { code: 'rate_limited', message, retryable: true },
      });
      return false;
    }
    step.admitted = { ...(taken && { taken }) };
    if (waitMs === 0) return true;
    this.outcomes.wait(tenant, entry, step, { ...call, waitMs });
    return false;
  }

  private start(tenant: TenantState, entry: TaskEntry, step: StepEntry, request: StepRequest): void {
    if (request.call) {
      const { callId, service, operation, silenceMs, retryDelayMs } = request.call;
      const call: CallEntry = {
        callId,
        stepKey: step.key,
        service,
        operation,
        silenceMs,
        retryDelayMs,
        state: 'sending',
        ...(step.admitted?.taken && { taken: step.admitted.taken }),
      };
      step.admitted = undefined;
      step.calls.push(call);
      tenant.calls.set(callId, { entry, call });
      tenant.sending.set(service, (tenant.sending.get(service) ?? 0) + 1);
      return;
    }
    const kept = entry.journal.mailbox.findIndex((signal) => signal.name === step.signal);
    if (kept >= 0) {
      const [signal] = entry.journal.mailbox.splice(kept, 1);
      if (!signal) return;
      entry.ownJournal.mailBytes -= signal.bytes;
      entry.charge(-bytesOf(signal.payload));
      this.outcomes.settleStep(entry, step, { ok: true, value: readJson(signal.payload) });
    } else if (request.dueInMs !== undefined) {
      step.dueAt = this.state.now() + request.dueInMs;
      this.outcomes.scheduleStep(tenant, entry, step.key, step.dueAt);
    }
  }

  record(params: RecordAnswerParams): RecordAnswerResult {
    const tenant = this.state.lookUp(params.tenantId);
    const found =
      params.token === undefined
        ? tracked(tenant, params.taskId)
        : leased(tenant, params.taskId, params.token);
    if (!found) {
      this.countLost(tenant, params);
      return LEASE_LOST;
    }
    const { key, create } = params;
    let step = found.journal.steps.get(key);
    if (create && step && (step.kind !== 'run' || step.name !== create.name))
      return { answer: 'step_mismatch', name: step.name };
    if (create && !step) {
      const { steps } = found.ownJournal;
      if (steps.size >= create.maxSteps) return { answer: 'too_many_steps' };
      step = newStep({ key, kind: 'run', name: create.name }, found.failures);
      steps.set(key, step);
    }
    if (!step) return LEASE_LOST;
    const answer = this.recordStep(tenant, found, step, params);
    return { answer, ...changesSince(found, params.journalRev, this.state.limits.pageBytes) };
  }

  /** What a call has used counts, though its worker has lost the task. */
  private countLost(tenant: TenantState, { taskId, callId, answer }: RecordAnswerParams): void {
    const known = callId === undefined ? undefined : tenant.calls.get(callId);
    if (known?.entry.spec.task_id !== taskId || answer.kind !== 'outcome') return;
    this.outcomes.count(tenant, known.entry, known.call, answer.usage);
  }

  private recordStep(
    tenant: TenantState,
    entry: TaskEntry,
    step: StepEntry,
    params: RecordAnswerParams,
  ): 'recorded' | 'known' {
    if (params.callId === undefined) {
      if (step.outcome || params.answer.kind !== 'outcome') return 'known';
      const { outcome } = params.answer;
      this.outcomes.settleStep(entry, step, outcome);
      return 'recorded';
    }
    const call = step.calls.find((candidate) => candidate.callId === params.callId);
    if (!call) return 'known';
    const answer = this.outcomes.answer(tenant, entry, call, params.answer);
    if (params.answer.kind === 'accepted') this.applyHeld(tenant, call, params.answer.jobId);
    this.life.dismissHeld(tenant, call.service);
    return answer;
  }

  changesSince(params: ChangesSinceParams): ChangesSinceResult {
    const entry = leased(this.state.lookUp(params.tenantId), params.taskId, params.token);
    return entry
      ? { answer: 'changes', ...changesSince(entry, params.journalRev, this.state.limits.pageBytes) }
      : LEASE_LOST;
  }

  read(params: ReadJournalParams): ReadJournalResult {
    const { tenantId, taskId, token, after } = params;
    const tenant = this.state.lookUp(tenantId);
    const entry = token === undefined ? tenant.tasks.get(taskId) : leased(tenant, taskId, token);
    if (!entry) return token === undefined ? { answer: 'not_found' } : LEASE_LOST;
    const origin = token === undefined ? { origin: originOf(entry) } : undefined;
    const { changes, journalRev, more } = changesAfter(entry, after, this.state.limits.pageBytes);
    if (more) return { answer: 'page', steps: changes, journalRev, next: journalRev, ...origin };
    const unchanged = [...entry.journal.steps.values()].filter(({ rev }) => rev === 0);
    return {
      answer: 'page',
      steps: [...changes, ...unchanged.map((step) => viewStep(step, entry))],
      journalRev,
      ...origin,
    };
  }

  report(report: Report): ReportAnswer {
    const tenant = this.state.lookUp(report.tenantId);
    const found = find(tenant, report);
    if (found) {
      const answer = this.apply(tenant, found.entry, found.call, report);
      this.life.dismissHeld(tenant, report.service);
      return answer;
    }
    // Calls are stored before they are sent: an unknown `call_id` stays unknown.
    const mayComeUp = report.callId === undefined && tenant.sending.has(report.service);
    if (!mayComeUp) return { answer: 'unknown_task' };
    const known = tenant.held.find(report);
    if (known) return known.answer;
    const text = writeJson(report);
    const bytes = Buffer.byteLength(text);
    if (!this.mayHold(tenant, report, bytes)) return { answer: 'retry_later' };
    const id = this.state.seededId();
    const at = this.state.now() + this.state.limits.heldFrameMs;
    this.state.schedule('held', at, { tenantId: tenant.tenantId, id });
    return tenant.held.hold(id, report, text, bytes);
  }

  private mayHold({ held }: TenantState, { service, jobId }: Report, bytes: number): boolean {
    const { maxHeldFrames, maxHeldBytes, maxHeldFramesOfJob, maxHeldBytesOfJob } = this.state.limits;
    const { all, ofJob } = held.sizeOf(service, jobId);
    const fitsJob = ofJob.frames === 0 || ofJob.bytes + bytes <= maxHeldBytesOfJob;
    const isRoom = all.frames < maxHeldFrames && all.bytes + bytes <= maxHeldBytes;
    return isRoom && fitsJob && ofJob.frames < maxHeldFramesOfJob;
  }

  heldReport(params: HeldReportParams): ReportAnswer {
    return this.state.lookUp(params.tenantId).held.get(params.heldId)?.answer ?? { answer: 'unknown_task' };
  }

  /** Applies early notifications for the job that the service has named now, in order of arrival. */
  private applyHeld(tenant: TenantState, call: CallEntry, jobId: string): void {
    for (const held of tenant.held.waiting(call.service)) {
      if (held.jobId !== jobId || held.report === undefined) continue;
      const report = JSON.parse(held.report) as Report;
      const found = find(tenant, report);
      if (found) tenant.held.decide(held, this.apply(tenant, found.entry, found.call, report));
    }
  }

  private apply(tenant: TenantState, entry: TaskEntry, call: CallEntry, report: Report): ReportAnswer {
    const taskId = entry.spec.task_id;
    if (isRepeated(call, report)) return { answer: 'duplicate', taskId };
    // The current attempt begins the step anew if its failure ended the previous attempt: reports on the old
    // calls are late.
    const step = entry.journal.steps.get(call.stepKey);
    const isStale = step?.calls.at(-1) !== call;
    if (isStale || call.state === 'ended' || isFinalState(entry.state)) {
      if (report.body.kind === 'outcome') this.outcomes.count(tenant, entry, call, report.body.usage);
      return { answer: isStale ? 'stale' : 'late', taskId };
    }
    if (report.body.kind === 'outcome') {
      if (call.jobId === undefined) this.outcomes.accept(tenant, entry, call, report.jobId);
      const { outcome, usage } = report.body;
      this.outcomes.endCall(tenant, entry, call, outcome, { usage, by: 'notification' });
    } else {
      rememberMessage(call, report);
      this.outcomes.restartSilence(tenant, entry, call);
      const { status, details } = report.body;
      const { service, metadata } = report;
      const from = { service, ...(metadata && { metadata: copyJson(metadata) }) };
      const data = { status, details: copyJson(details) };
      this.life.emit(tenant, entry, 'task_status_update', data, this.state.now(), from);
    }
    return { answer: 'applied', taskId };
  }
}

/** Why a task may not call a service. */
function refusalOf(tenant: TenantState, entry: TaskEntry, service: string): TaskError | undefined {
  if (!mayUse(tenant.settings.services, service))
    return { code: 'forbidden', message: taskText('serviceForbidden', { service }), retryable: false };
  if (!isBudgetSpent(tenant, entry)) return undefined;
  return { code: 'budget_exceeded', message: TASK_TEXTS.budgetSpent, retryable: false };
}

function hasRates({ settings: { rates } }: TenantState): boolean {
  return rates?.callsPerMinute !== undefined || rates?.tokensPerMinute !== undefined;
}

function leased(tenant: TenantState, taskId: string, token: string): TaskEntry | undefined {
  const entry = tenant.leased.get(taskId);
  return entry?.lease?.token === token ? entry : undefined;
}

function tracked(tenant: TenantState, taskId: string): TaskEntry | undefined {
  const entry = tenant.tasks.get(taskId);
  return entry?.state === 'tracked' ? entry : undefined;
}

function changesSince(entry: TaskEntry, journalRev: number, bytes: number): JournalChanges {
  return {
    ...changesAfter(entry, journalRev, bytes),
    ...(entry.cancelling && { cancelReason: entry.cancelling.reason }),
  };
}

function openCall(step: StepEntry): boolean {
  const last = step.calls.at(-1);
  return last !== undefined && last.state !== 'ended';
}

function newStep(request: StepRequest, era: number): StepEntry {
  return {
    key: request.key,
    kind: request.kind,
    name: request.name,
    maxTries: request.call?.maxTries ?? 1,
    calls: [],
    rev: 0,
    outcome: undefined,
    outcomeBytes: 0,
    endedAt: undefined,
    retryAt: undefined,
    dueAt: undefined,
    signal: request.signal,
    era,
  };
}

/**
 * Finds a call by `call_id`, else by the service's job id, else as the only open call of that service in that
 * task.
 */
function find(tenant: TenantState, report: Report): { entry: TaskEntry; call: CallEntry } | undefined {
  const byCall = report.callId === undefined ? undefined : tenant.calls.get(report.callId);
  if (byCall) return byCall.call.service === report.service ? byCall : undefined;
  const callId = tenant.jobs.get(jobKey(report.service, report.jobId));
  if (callId !== undefined) return tenant.calls.get(callId);
  const entry = report.taskId === undefined ? undefined : tenant.tasks.get(report.taskId);
  if (!entry) return undefined;
  const open: CallEntry[] = [];
  for (const step of entry.journal.steps.values()) {
    for (const call of step.calls)
      if (call.service === report.service && call.state !== 'ended') open.push(call);
  }
  const [only] = open;
  return only && open.length === 1 ? { entry, call: only } : undefined;
}

function isRepeated(call: CallEntry, report: Report): boolean {
  if (report.body.kind === 'outcome')
    return call.outcomeFingerprint === fingerprintOf(writeJson(report.body.outcome));
  if (report.seq !== undefined && call.lastSeq !== undefined && report.seq <= call.lastSeq) return true;
  return report.messageId !== undefined && call.seenMessages?.has(report.messageId) === true;
}

function rememberMessage(call: CallEntry, report: Report): void {
  if (report.seq !== undefined) call.lastSeq = report.seq;
  if (report.messageId === undefined) return;
  call.seenMessages ??= new Set();
  call.seenMessages.add(report.messageId);
  if (call.seenMessages.size > REMEMBERED_MESSAGES) {
    const [oldest] = call.seenMessages;
    if (oldest !== undefined) call.seenMessages.delete(oldest);
  }
}

function originOf({ seed, startedAt, version, inherited }: TaskEntry): RunOrigin {
  return {
    seed,
    ...(startedAt !== undefined && { startedAt }),
    ...(version !== undefined && { version }),
    inherited,
  };
}
