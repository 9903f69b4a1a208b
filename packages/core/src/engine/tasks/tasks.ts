import { keepJson } from '../kept-json.js';
import { formatCursor } from '../../protocol/events.js';
import type { Task, Batch } from '../../protocol/task.js';
import { BoundedPage } from '../../storage/bounded-page.js';
import type {
  Explanation,
  CancelBatchParams,
  CancelTaskParams,
  CancelTaskResult,
  CountTasksParams,
  CountTasksResult,
  DiscardParams,
  DiscardResult,
  ExplainParams,
  FinishParams,
  FinishResult,
  FirstReadyParams,
  GetBatchParams,
  GetTaskParams,
  GetTaskResult,
  ListTasksParams,
  ListTasksResult,
  ReportProgressParams,
  ReportProgressResult,
  SignalParams,
  SignalResult,
  TaskFilter,
} from '../../storage/task-records.js';
import { isFinalState, statusOf } from '../../protocol/task-state.js';
import { viewBatch } from './batch-view.js';
import { batchKey, sessionKey } from './cancellations.js';
import type { EngineState } from '../engine-state.js';
import { type CallOutcomes, jsonBytes } from '../journal/call-outcomes.js';
import { explain } from '../../storage/explain.js';
import { factsOf } from './explain.js';
import { removeTask } from './removal.js';
import type { TaskEntry } from './task-entry.js';
import type { TaskLife } from './task-life.js';
import { viewTask } from './task-view.js';

/** Which tasks are cancelled together. */
export type CancelGroup = { readonly batchId: string } | { readonly sessionId: string };

/** Whether tasks are left to cancel, in further commands. */
export interface CancelPortion {
  readonly more: boolean;
}

/** Stored tasks and batches: reads, signals, and endings other than a worker's. */
export class Tasks {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
    private readonly outcomes: CallOutcomes,
  ) {}

  getBatch({ tenantId, batchId, results = false, after }: GetBatchParams): Batch | undefined {
    const tenant = this.state.lookUp(tenantId);
    const batch = tenant.batches.get(batchId);
    const from = Number(after ?? 0);
    return batch && viewBatch(tenant, batch, this.state.limits.pageBytes, { results, from });
  }

  /** The first portion. `undefined`: no such batch. */
  cancelBatch(params: Omit<CancelBatchParams, 'signal'>): CancelPortion | undefined {
    const tenant = this.state.lookUp(params.tenantId);
    const batch = tenant.batches.get(params.batchId);
    if (!batch) return undefined;
    const { cancellations } = this.life;
    cancellations.beginBatch(tenant, batch, params);
    return { more: cancellations.pump(tenant, batchKey(batch.batchId)) };
  }

  /** A further portion. */
  cancelMore({ tenantId, group }: { readonly tenantId: string; readonly group: CancelGroup }): CancelPortion {
    const key = 'batchId' in group ? batchKey(group.batchId) : sessionKey(group.sessionId);
    return { more: this.life.cancellations.pump(this.state.lookUp(tenantId), key) };
  }

  finish(params: FinishParams): FinishResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.tasks.get(params.taskId);
    if (!entry) return { answer: 'not_found' };
    const { outcome } = params;
    const view = () => viewTask(params.tenantId, entry);
    if (isFinalState(entry.state)) return { answer: 'already_final', task: view() };
    if (entry.state !== 'tracked') return { answer: 'not_tracked', task: view() };
    if (outcome.kind === 'completed') {
      const result = this.life.keepResult(tenant, entry, outcome);
      if (result !== undefined) this.life.end(tenant, entry, { state: 'completed', result }, 'complete');
    } else {
      this.life.end(tenant, entry, { state: 'failed', error: outcome.error }, 'fail');
    }
    return { answer: 'finished', task: view() };
  }

  progress(params: ReportProgressParams): ReportProgressResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.tasks.get(params.taskId);
    if (!entry) return { answer: 'not_found' };
    if (params.token !== undefined && entry.lease?.token !== params.token) return { answer: 'lease_lost' };
    if (isFinalState(entry.state)) return { answer: 'already_final' };
    const { percent, message } = params.progress;
    const progress = { ...(percent !== undefined && { percent }), ...(message !== undefined && { message }) };
    entry.progress = progress;
    this.life.emit(tenant, entry, 'task_status_update', { status: 'progress', details: { ...progress } });
    return { answer: 'reported' };
  }

  get({ tenantId, taskId }: GetTaskParams): GetTaskResult {
    const tenant = this.state.lookUp(tenantId);
    const entry = tenant.tasks.get(taskId);
    if (!entry) return undefined;
    const startCursor = formatCursor({ epoch: tenant.events.epoch, seq: entry.sequence - 1 });
    return { task: viewTask(tenantId, entry), cursor: tenant.events.head, startCursor };
  }

  list(params: ListTasksParams): ListTasksResult {
    const before = params.after === undefined ? Number.POSITIVE_INFINITY : Number(params.after);
    const page = new BoundedPage<Task>(params.limit, this.state.limits.pageBytes);
    const { items: tasks } = page;
    let scanned = 0;
    let last = 0;
    let lastTaken = 0;
    for (const entry of this.state.lookUp(params.tenantId).tasksInOrder.before(before)) {
      if (scanned === this.state.limits.scannedAtOnce) return { tasks, next: String(last) };
      scanned += 1;
      last = entry.sequence;
      if (!fits(entry, params.filter)) continue;
      if (page.isFull || !page.take(viewTask(params.tenantId, entry)))
        return { tasks, next: String(lastTaken) };
      lastTaken = last;
    }
    return { tasks };
  }

  counts({ tenantId }: CountTasksParams): CountTasksResult {
    const tenant = this.state.lookUp(tenantId);
    return { counts: { ...tenant.counts }, cursor: tenant.events.head };
  }

  cancel(params: CancelTaskParams): CancelTaskResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.tasks.get(params.taskId);
    if (!entry) return { answer: 'not_found' };
    const answer = this.life.cancel(tenant, entry, params.reason, params.graceMs);
    return { answer, task: viewTask(params.tenantId, entry) };
  }

  discard({ tenantId, taskId }: DiscardParams): DiscardResult {
    const tenant = this.state.lookUp(tenantId);
    const entry = tenant.tasks.get(taskId);
    if (!entry) return { answer: 'not_found' };
    if (entry.state !== 'failed') return { answer: 'not_failed' };
    removeTask(tenant, entry);
    return { answer: 'discarded' };
  }

  signal(params: SignalParams): SignalResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.tasks.get(params.taskId);
    if (!entry) return { answer: 'not_found' };
    if (isFinalState(entry.state)) return { answer: 'already_final' };
    const signalIds = (entry.ownJournal.signalIds ??= new Map());
    const { signalId, fingerprint = '' } = params;
    const used = signalIds.get(signalId);
    if (used !== undefined) {
      const isSame = fingerprint === '' || fingerprint === used;
      return { answer: isSame ? 'repeated' : 'idempotency_conflict' };
    }
    if (this.state.holdsTooMuch(tenant)) return { answer: 'queue_full' };
    const { payload } = params;
    const { journal } = entry;
    const room = this.state.limits.maxJournalBytes - journal.bytes - journal.mailBytes;
    const needed = jsonBytes({ ok: true, value: payload });
    for (const step of entry.journal.steps.values()) {
      if (step.signal !== params.name || step.outcome) continue;
      if (needed > room) return { answer: 'journal_full' };
      this.outcomes.settleStep(entry, step, { ok: true, value: payload });
      this.life.wake(tenant, entry);
      signalIds.set(signalId, fingerprint);
      return { answer: 'delivered' };
    }
    if (entry.journal.mailbox.length >= this.state.limits.maxSignals) return { answer: 'too_many' };
    if (needed > room) return { answer: 'journal_full' };
    entry.ownJournal.mailbox.push({ name: params.name, payload: keepJson(payload, entry), bytes: needed });
    entry.ownJournal.mailBytes += needed;
    signalIds.set(signalId, fingerprint);
    return { answer: 'kept' };
  }

  firstReady({ tenantId, limit }: FirstReadyParams): readonly Task[] {
    const tenant = this.state.lookUp(tenantId);
    const heads = [...tenant.ready.values()].flatMap((levels) => levels.head(limit));
    const page = new BoundedPage<Task>(limit, this.state.limits.pageBytes);
    for (const entry of heads.toSorted(
      (a, b) => b.queuePriority - a.queuePriority || a.sequence - b.sequence,
    ))
      if (page.isFull || !page.take(viewTask(tenantId, entry))) break;
    return page.items;
  }

  explain({ tenantId, taskId }: ExplainParams): Explanation | undefined {
    const tenant = this.state.lookUp(tenantId);
    const entry = tenant.tasks.get(taskId);
    return entry && explain(factsOf(this.state, tenant, entry));
  }
}

function fits(entry: TaskEntry, { status, type, sessionId, code, since, idPrefix }: TaskFilter): boolean {
  return (
    (status === undefined || statusOf(entry.state) === status) &&
    (type === undefined || entry.spec.type === type) &&
    (sessionId === undefined || entry.spec.session_id === sessionId) &&
    (code === undefined || entry.error?.code === code) &&
    (since === undefined || entry.updatedAt >= since) &&
    (idPrefix === undefined || entry.spec.task_id.startsWith(idPrefix))
  );
}
