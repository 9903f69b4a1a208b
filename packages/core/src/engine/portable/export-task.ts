import type {
  CallRecord,
  DroppedCallRecord,
  JournalRecord,
  StepCallRecord,
  StepRecord,
  TaskRecord,
} from '../../storage/portable-records.js';
import { portions } from '../../storage/portable-pages.js';
import { isFinalState } from '../../protocol/task-state.js';
import { bytesOf, viewJson } from '../kept-json.js';
import { readOutcome } from '../journal/call-outcomes.js';
import type { CallEntry, StepEntry, TaskEntry } from '../tasks/task-entry.js';
import { jobKey, type TenantState } from '../tenants/tenant-state.js';
import { UNLIMITED } from '../unlimited.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Bytes of a step or a call besides its outcome, about. */
const STEP_BYTES = 512;

/** A task without its journal. Large values stay text. */
export function taskRecord({ tenantId }: TenantState, entry: TaskEntry): TaskRecord {
  const { spec } = entry;
  const record: Writable<TaskRecord> = {
    kind: 'task',
    tenant_id: tenantId,
    task_id: spec.task_id,
    sequence: entry.sequence,
    type: spec.type,
    priority: spec.priority,
    created_at: entry.createdAt,
    timeout_ms: spec.timeoutMs,
    max_attempts: spec.maxAttempts,
    metadata: spec.metadata,
    state: entry.state,
    since: entry.since,
    updated_at: entry.updatedAt,
    attempt: entry.attempt,
    rev: entry.rev,
    lost_leases: entry.lostLeases,
    failures: entry.failures,
    replayed_to: entry.replayedTo,
    inherited: entry.inherited,
    tokens: entry.tokens,
    ...(spec.budgetTokens !== undefined && { budget: spec.budgetTokens, drawn: entry.drawnTokens }),
    journal_rev: entry.journal.rev,
    ...originOf(entry),
    ...runOf(entry),
    ...groupsOf(entry),
    payload: null,
  };
  viewJson(record, 'payload', entry.payload);
  if (entry.result !== undefined) viewJson(record, 'result', entry.result);
  if (entry.error) record.error = entry.error;
  if (entry.diagnostic !== undefined) record.diagnostic = entry.diagnostic;
  return record;
}

function originOf({ spec, batch, redrivenFrom, redrivenTo, seed }: TaskEntry) {
  return {
    ...(spec.session_id !== undefined && { session_id: spec.session_id }),
    ...(spec.agent_id !== undefined && { agent_id: spec.agent_id }),
    ...(spec.parent_task_id !== undefined && { parent_task_id: spec.parent_task_id }),
    ...(spec.requested_by !== undefined && { requested_by: spec.requested_by }),
    ...(spec.runAt !== undefined && { run_at: spec.runAt }),
    ...(batch && { batch_id: batch.batchId }),
    ...(redrivenFrom !== undefined && { redriven_from: redrivenFrom }),
    ...(redrivenTo !== undefined && { redriven_to: redrivenTo }),
    ...(seed !== spec.task_id && { seed }),
  };
}

function runOf(entry: TaskEntry) {
  const { state, startedAt, finishedAt, dueAt, version, progress, cancelling, lease, resumes } = entry;
  return {
    ...(startedAt !== undefined && { started_at: startedAt }),
    ...(finishedAt !== undefined && { finished_at: finishedAt }),
    ...(state === 'scheduled' && { due_at: dueAt ?? entry.since }),
    ...(version !== undefined && { version }),
    ...(progress && { progress }),
    ...(cancelling && { cancel_reason: cancelling.reason }),
    ...(lease && { lease: { worker_id: lease.workerId, prefetched: lease.prefetched, resumes } }),
    ...((state === 'ready' || state === 'woken') && { queue_priority: entry.queuePriority }),
  };
}

function groupsOf(entry: TaskEntry) {
  const { groups, spec, state } = entry;
  if (isFinalState(state) || state === 'tracked') return {};
  const ofSession = groups.find(({ inOrder }) => inOrder);
  if (state !== 'waiting')
    return {
      ...(spec.session_id !== undefined && !ofSession && { parallel: true as const }),
      ...(groups.some(({ holders }) => holders.has(entry)) && { holds: true as const }),
    };
  const session = ofSession?.orderOf(entry);
  const batch = groups.find(({ inOrder }) => !inOrder)?.orderOf(entry);
  return {
    ...(spec.session_id !== undefined && !ofSession && { parallel: true as const }),
    waits: { ...(session !== undefined && { session }), ...(batch !== undefined && { batch }) },
  };
}

/** The journal of a task in pages. */
export function* journalRecords(tenant: TenantState, entry: TaskEntry): Generator<JournalRecord> {
  const page = { kind: 'journal', tenant_id: tenant.tenantId, task_id: entry.spec.task_id } as const;
  const { steps, mailbox, signalIds } = entry.journal;
  for (const some of portions(steps.values(), sizeOfStep))
    yield { ...page, steps: some.map((step) => stepRecord(tenant, step)) };
  for (const dropped of portions(entry.dropped, () => STEP_BYTES))
    yield { ...page, dropped: dropped.map((call) => droppedRecord(tenant, call)) };
  for (const some of portions(mailbox, ({ bytes }) => bytes))
    yield {
      ...page,
      mailbox: some.map(({ name, payload }) => {
        const kept = { name, payload: null };
        viewJson(kept, 'payload', payload);
        return kept;
      }),
    };
  const signals = [...(signalIds ?? [])].map(([id, fingerprint]) => ({
    id,
    ...(fingerprint !== '' && { fingerprint }),
  }));
  for (const some of portions(signals, () => STEP_BYTES)) yield { ...page, signals: some };
}

function sizeOfStep({ outcome, calls }: StepEntry): number {
  const bytes = outcome?.ok === true ? bytesOf(outcome.value) : 0;
  return bytes + STEP_BYTES * (1 + calls.length);
}

function stepRecord(tenant: TenantState, step: StepEntry): StepRecord {
  const { key, kind, name, maxTries, rev, era, signal, endedAt, retryAt, dueAt, outcome, calls } = step;
  return {
    key,
    step: kind,
    name,
    max_tries: maxTries,
    rev,
    era,
    ...(signal !== undefined && { signal }),
    ...(endedAt !== undefined && { ended_at: endedAt }),
    ...(retryAt !== undefined && { retry_at: retryAt }),
    ...(dueAt !== undefined && { due_at: dueAt }),
    ...(outcome && { outcome: readOutcome(outcome) }),
    ...(calls.length > 0 && { calls: calls.map((call) => stepCallRecord(tenant, call)) }),
  };
}

function stepCallRecord(tenant: TenantState, call: CallEntry): StepCallRecord {
  const { operation, retryDelayMs, silenceMs } = call;
  return {
    ...callRecord(tenant, call),
    operation,
    retry_delay_ms: retryDelayMs,
    ...(silenceMs < UNLIMITED && { silence_ms: silenceMs }),
  };
}

function droppedRecord(tenant: TenantState, call: CallEntry): DroppedCallRecord {
  const { operation, stepKey } = call;
  return { ...callRecord(tenant, call), ...(operation !== '' && { operation }), step_key: stepKey };
}

function callRecord({ jobs }: TenantState, call: CallEntry): CallRecord {
  const { callId, service, state, jobId, silentAt, ok, outcomeFingerprint, lastSeq, seenMessages } = call;
  const counted = call.counted && true;
  const isNamed = jobId !== undefined && jobs.get(jobKey(service, jobId)) === callId;
  return {
    call_id: callId,
    service,
    state,
    ...(jobId !== undefined && { job_id: jobId }),
    ...(isNamed && { named: true }),
    ...(silentAt !== undefined && { silent_at: silentAt }),
    ...(ok !== undefined && { ok }),
    ...(counted && { counted }),
    ...(outcomeFingerprint !== undefined && { fingerprint: outcomeFingerprint }),
    ...(lastSeq !== undefined && { last_seq: lastSeq }),
    ...(seenMessages && seenMessages.size > 0 && { seen_messages: [...seenMessages] }),
  };
}
