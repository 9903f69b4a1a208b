import { keepJson } from '../kept-json.js';
import { formatCursor } from '../../protocol/events.js';
import type { Task, Batch } from '../../protocol/task.js';
import { BoundedPage } from '../../storage/bounded-page.js';
import type {
  Explanation,
  TaskRecords,
  CancelBatchParams,
  CancelTaskParams,
  CancelTaskResult,
  CountTasksParams,
  CountTasksResult,
  ExplainParams,
  FinishParams,
  FinishResult,
  FirstReadyParams,
  GetBatchParams,
  GetTaskParams,
  GetTaskResult,
  ListTasksParams,
  ListTasksResult,
  RedriveParams,
  RedriveResult,
  RegisterParams,
  RegisterResult,
  ReportProgressParams,
  ReportProgressResult,
  SignalParams,
  SignalResult,
  SubmitAnswer,
  SubmitBatchParams,
  SubmitBatchResult,
  SubmitParams,
} from '../../storage/task-records.js';
import { isFinalState, statusOf } from '../../protocol/task-state.js';
import { viewBatch } from './batch-view.js';
import { batchKey } from './cancellations.js';
import type { MemoryState } from '../engine-state.js';
import { inPortions } from '../portions.js';
import { type CallOutcomes, jsonBytes } from '../journal/call-outcomes.js';
import { explain } from '../../storage/explain.js';
import { factsOf } from './explain.js';
import type { Submissions } from './submissions.js';
import type { TaskLife } from './task-life.js';
import { viewTask } from './task-view.js';

export class MemoryTaskRecords implements TaskRecords {
  constructor(
    private readonly state: MemoryState,
    private readonly life: TaskLife,
    private readonly submissions: Submissions,
    private readonly outcomes: CallOutcomes,
  ) {}

  async submit(params: SubmitParams): Promise<SubmitAnswer> {
    return this.submissions.submit(params);
  }

  async submitBatch(params: SubmitBatchParams): Promise<SubmitBatchResult> {
    return this.submissions.submitBatch(params);
  }

  async register(params: RegisterParams): Promise<RegisterResult> {
    return this.submissions.register(params);
  }

  async redrive(params: RedriveParams): Promise<RedriveResult> {
    return this.submissions.redrive(params);
  }

  async getBatch({ tenantId, batchId, results = false, after }: GetBatchParams): Promise<Batch | undefined> {
    const tenant = this.state.lookUp(tenantId);
    const batch = tenant.batches.get(batchId);
    const from = Number(after ?? 0);
    return batch && viewBatch(tenant, batch, this.state.limits.pageBytes, { results, from });
  }

  async cancelBatch(params: CancelBatchParams): Promise<Batch | undefined> {
    const tenant = this.state.lookUp(params.tenantId);
    const batch = tenant.batches.get(params.batchId);
    if (!batch) return undefined;
    const { cancellations } = this.life;
    cancellations.beginBatch(tenant, batch, params);
    await inPortions(() => cancellations.pump(tenant, batchKey(batch.batchId)), params.signal);
    return viewBatch(tenant, batch, this.state.limits.pageBytes);
  }

  async finish(params: FinishParams): Promise<FinishResult> {
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

  async progress(params: ReportProgressParams): Promise<ReportProgressResult> {
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

  async get({ tenantId, taskId }: GetTaskParams): Promise<GetTaskResult> {
    const tenant = this.state.lookUp(tenantId);
    const entry = tenant.tasks.get(taskId);
    if (!entry) return undefined;
    const startCursor = formatCursor({ epoch: tenant.events.epoch, seq: entry.sequence - 1 });
    return { task: viewTask(tenantId, entry), cursor: tenant.events.head, startCursor };
  }

  async list(params: ListTasksParams): Promise<ListTasksResult> {
    const { status, type, sessionId } = params.filter;
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
      if (status !== undefined && statusOf(entry.state) !== status) continue;
      if (type !== undefined && entry.spec.type !== type) continue;
      if (sessionId !== undefined && entry.spec.session_id !== sessionId) continue;
      if (page.isFull || !page.take(viewTask(params.tenantId, entry)))
        return { tasks, next: String(lastTaken) };
      lastTaken = last;
    }
    return { tasks };
  }

  async counts({ tenantId }: CountTasksParams): Promise<CountTasksResult> {
    const tenant = this.state.lookUp(tenantId);
    return { counts: { ...tenant.counts }, cursor: tenant.events.head };
  }

  async cancel(params: CancelTaskParams): Promise<CancelTaskResult> {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.tasks.get(params.taskId);
    if (!entry) return { answer: 'not_found' };
    const answer = this.life.cancel(tenant, entry, params.reason, params.graceMs);
    return { answer, task: viewTask(params.tenantId, entry) };
  }

  async signal(params: SignalParams): Promise<SignalResult> {
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

  async firstReady({ tenantId, limit }: FirstReadyParams): Promise<readonly Task[]> {
    const tenant = this.state.lookUp(tenantId);
    const heads = [...tenant.ready.values()].flatMap((levels) => levels.head(limit));
    const page = new BoundedPage<Task>(limit, this.state.limits.pageBytes);
    for (const entry of heads.toSorted(
      (a, b) => b.queuePriority - a.queuePriority || a.sequence - b.sequence,
    ))
      if (page.isFull || !page.take(viewTask(tenantId, entry))) break;
    return page.items;
  }

  async explain({ tenantId, taskId }: ExplainParams): Promise<Explanation | undefined> {
    const tenant = this.state.lookUp(tenantId);
    const entry = tenant.tasks.get(taskId);
    return entry && explain(factsOf(this.state, tenant, entry));
  }
}
