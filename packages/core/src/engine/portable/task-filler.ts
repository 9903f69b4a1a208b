import { isFinalState, statusOf } from '../../protocol/task-state.js';
import type { StepOutcome } from '../../storage/call-journal.js';
import {
  type CallRecord,
  type JournalRecord,
  type StepCallRecord,
  type StepRecord,
  reservedTokens,
  submittedPartOf,
  type TaskRecord,
} from '../../storage/portable-records.js';
import type { EngineState } from '../engine-state.js';
import { jsonBytes, keepOutcome } from '../journal/call-outcomes.js';
import { keepJson } from '../kept-json.js';
import type { ConcurrencyGroup } from '../queue/concurrency-group.js';
import { type CallEntry, type StepEntry, TaskEntry } from '../tasks/task-entry.js';
import type { TaskLife } from '../tasks/task-life.js';
import { jobKey, type TenantState } from '../tenants/tenant-state.js';
import { UNLIMITED } from '../unlimited.js';

/** Adds tasks with their journals to a new engine, their timers and what finds them. */
export class TaskFiller {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
    private readonly now: number,
    private readonly newToken: () => string,
  ) {}

  add(tenant: TenantState, record: TaskRecord): TaskEntry {
    const entry = newEntry(tenant, record);
    const { state } = record;
    tenant.tasks.set(record.task_id, entry);
    tenant.reservedTokens += entry.reservedTokens;
    tenant.tasksInOrder.add(entry.sequence, entry);
    tenant.counts[statusOf(state)] += 1;
    if (isFinalState(state)) {
      this.#keep(entry, record);
      return entry;
    }
    const deadlineAt = Math.max(record.created_at, record.run_at ?? 0) + record.timeout_ms;
    this.state.schedule('deadline', deadlineAt, entry);
    if (state !== 'tracked') enterGroups(tenant, entry, record);
    if (record.lease) this.#lease(tenant, entry, record.lease);
    if (record.due_at !== undefined) this.state.schedule('start', record.due_at, entry);
    if (record.queue_priority !== undefined) this.life.enqueue(tenant, entry, record.queue_priority);
    return entry;
  }

  #keep(
    entry: TaskEntry,
    { state, result, error, diagnostic, finished_at: at = this.now }: TaskRecord,
  ): void {
    if (result !== undefined) entry.result = keepJson(result, entry);
    entry.error = error;
    entry.diagnostic = diagnostic;
    const { retentionMs: byDefault, deadLetterRetentionMs } = this.state.limits;
    const { retentionMs = byDefault } = entry.tenant.settings;
    this.state.schedule('retention', at + (state === 'failed' ? deadLetterRetentionMs : retentionMs), entry);
  }

  /** Its worker is gone: the lease has expired. */
  #lease(tenant: TenantState, entry: TaskEntry, lease: NonNullable<TaskRecord['lease']>): void {
    const { worker_id: workerId, prefetched, resumes } = lease;
    entry.resumes = resumes;
    this.life.lease(tenant, entry, { token: this.newToken(), workerId, expiresAt: this.now, prefetched });
  }

  addJournal(
    entry: TaskEntry,
    { steps = [], dropped = [], mailbox = [], signals = [] }: JournalRecord,
  ): void {
    const { tenant } = entry;
    const journal = entry.ownJournal;
    for (const step of steps) this.#addStep(entry, step);
    const gone = dropped.map((call) => ({
      ...newCall(call),
      stepKey: call.step_key,
      operation: call.operation ?? '',
      silenceMs: UNLIMITED,
      retryDelayMs: 0,
    }));
    for (const [at, call] of gone.entries()) addCall(entry, call, dropped[at]?.named);
    if (gone.length > 0) entry.dropped = [...entry.dropped, ...gone];
    for (const { name, payload } of mailbox) {
      const bytes = jsonBytes({ ok: true, value: payload });
      journal.mailbox.push({ name, payload: keepJson(payload, entry), bytes });
      journal.mailBytes += bytes;
    }
    if (signals.length > 0) journal.signalIds ??= new Map();
    for (const { id, fingerprint = '' } of signals) journal.signalIds?.set(id, fingerprint);
    if (isFinalState(entry.state)) return;
    for (const { calls = [] } of steps)
      for (const { state, service } of calls)
        if (state === 'sending') tenant.sending.set(service, (tenant.sending.get(service) ?? 0) + 1);
  }

  #addStep(entry: TaskEntry, record: StepRecord): void {
    const { key, step: kind, name, max_tries, rev, era, signal, calls = [] } = record;
    const step: StepEntry = {
      key,
      kind,
      name,
      maxTries: max_tries,
      calls: [],
      rev,
      outcome: undefined,
      outcomeBytes: 0,
      endedAt: record.ended_at,
      retryAt: record.retry_at,
      dueAt: record.due_at,
      signal,
      era,
    };
    const journal = entry.ownJournal;
    journal.steps.set(key, step);
    if (record.outcome) {
      const outcome: StepOutcome = record.outcome;
      step.outcome = keepOutcome(outcome, entry);
      step.outcomeBytes = jsonBytes(outcome);
      journal.bytes += step.outcomeBytes;
    }
    for (const call of calls) {
      const made = stepCall(call, key);
      step.calls.push(made);
      addCall(entry, made, call.named);
    }
    if (!step.outcome && !isFinalState(entry.state)) this.#schedule(entry, step);
  }

  #schedule(entry: TaskEntry, { key, dueAt, retryAt, calls }: StepEntry): void {
    const open = calls.at(-1);
    const at = dueAt ?? retryAt ?? (open?.state === 'waiting' ? open.silentAt : undefined);
    if (at === undefined) return;
    const { tenantId } = entry.tenant;
    this.state.schedule('step', at, { tenantId, id: entry.spec.task_id, step: key });
  }
}

function newEntry(tenant: TenantState, record: TaskRecord): TaskEntry {
  const batch = record.batch_id === undefined ? undefined : tenant.batches.get(record.batch_id);
  const entry = new TaskEntry(
    tenant,
    { ...submittedPartOf(record), payload: record.payload },
    record.created_at,
    record.sequence,
    {
      ...(batch && { batch }),
      ...(record.redriven_from !== undefined && { redrivenFrom: record.redriven_from }),
      ...(record.seed !== undefined && { seed: record.seed }),
      version: record.version,
      ...(record.started_at !== undefined && { startedAt: record.started_at }),
    },
  );
  entry.state = record.state;
  entry.since = record.since;
  entry.updatedAt = record.updated_at;
  entry.attempt = record.attempt;
  entry.rev = record.rev;
  entry.lostLeases = record.lost_leases;
  entry.failures = record.failures;
  entry.replayedTo = record.replayed_to;
  entry.inherited = record.inherited;
  entry.tokens = record.tokens;
  entry.drawnTokens = record.drawn ?? 0;
  entry.reservedTokens = reservedTokens(record);
  entry.dueAt = record.due_at;
  entry.finishedAt = record.finished_at;
  entry.redrivenTo = record.redriven_to;
  entry.progress = record.progress;
  entry.cancelling = record.cancel_reason === undefined ? undefined : { reason: record.cancel_reason };
  if (record.journal_rev > 0) entry.ownJournal.rev = record.journal_rev;
  return entry;
}

function enterGroups(tenant: TenantState, entry: TaskEntry, record: TaskRecord): void {
  const { session_id: id, parallel, holds, waits = {} } = record;
  const session = id === undefined ? undefined : tenant.sessions.get(id);
  session?.live.add(entry);
  const groups: ConcurrencyGroup<TaskEntry>[] = [];
  if (session && !parallel) groups.push(session.group);
  if (entry.batch) groups.push(entry.batch.group);
  if (groups.length > 0) entry.groups = groups;
  for (const group of groups) {
    const order = group.inOrder ? waits.session : waits.batch;
    if (holds) group.enter(entry);
    else if (order !== undefined) group.wait(entry, order);
  }
}

function stepCall(record: StepCallRecord, stepKey: string): CallEntry {
  const { operation, retry_delay_ms: retryDelayMs, silence_ms: silenceMs = UNLIMITED } = record;
  return { ...newCall(record), stepKey, operation, retryDelayMs, silenceMs };
}

function newCall(record: CallRecord) {
  const { call_id, service, state, job_id, silent_at, ok, fingerprint, last_seq, seen_messages } = record;
  return {
    callId: call_id,
    service,
    state,
    ...(job_id !== undefined && { jobId: job_id }),
    ...(silent_at !== undefined && { silentAt: silent_at }),
    ...(ok !== undefined && { ok }),
    ...(record.counted && { counted: true }),
    ...(fingerprint !== undefined && { outcomeFingerprint: fingerprint }),
    ...(last_seq !== undefined && { lastSeq: last_seq }),
    ...(seen_messages && { seenMessages: new Set(seen_messages) }),
  };
}

function addCall(entry: TaskEntry, call: CallEntry, isNamed = false): void {
  const { calls, jobs } = entry.tenant;
  calls.set(call.callId, { entry, call });
  if (isNamed && call.jobId !== undefined) jobs.set(jobKey(call.service, call.jobId), call.callId);
}
