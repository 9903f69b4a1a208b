import { type Batch, type Explanation, type Task, type TaskStatus } from '@agent-orchestrator/core';
import { fieldText, TASK_TEXTS } from '@agent-orchestrator/core/protocol';
import {
  BoundedPage,
  explain,
  type TaskRecords,
  type WorkerDirectory,
  type CancelBatchParams,
  type CancelTaskParams,
  type CancelTaskResult,
  type CountTasksParams,
  type CountTasksResult,
  type DiscardParams,
  type DiscardResult,
  type ExplainParams,
  type FinishParams,
  type FinishResult,
  type FirstReadyParams,
  type GetBatchParams,
  type GetTaskParams,
  type GetTaskResult,
  type ListTasksParams,
  type ListTasksResult,
  type RedriveParams,
  type RedriveResult,
  type RegisterParams,
  type RegisterResult,
  type ReportProgressParams,
  type ReportProgressResult,
  type SignalParams,
  type SignalResult,
  type SubmitAnswer,
  type SubmitBatchParams,
  type SubmitBatchResult,
  type SubmitParams,
} from '@agent-orchestrator/core/storage';
import { BatchView } from './batch-view.js';
import type { SubmittedBatch } from './batch-submissions.js';
import { cursorOf } from '../scripts/epoch.js';
import { factsOf } from './explain.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Reply } from '../scripts/script-runner.js';
import type { Submissions } from './submissions.js';
import { codeText, errorText, readTask, TaskView } from './task-codec.js';

/** Maximum of tasks scanned by one script, so that none blocks the server for long. */
const SCANNED_PER_STEP = 250;

/** Submission of tasks and batches, by whichever path. */
interface Paths {
  submit(params: SubmitParams): Promise<SubmitAnswer>;
  submitBatch(params: SubmitBatchParams): Promise<SubmittedBatch>;
}

export class RedisTaskRecords implements TaskRecords {
  constructor(
    private readonly state: RedisState,
    private readonly paths: Paths,
    private readonly submissions: Submissions,
    private readonly workers: WorkerDirectory,
  ) {}

  submit(params: SubmitParams): Promise<SubmitAnswer> {
    return this.paths.submit(params);
  }

  async submitBatch(params: SubmitBatchParams): Promise<SubmitBatchResult> {
    const submitted = await this.paths.submitBatch(params);
    if (!('batchId' in submitted)) return submitted;
    const { answer, batchId, batch } = submitted;
    if (batch) return { answer, batch };
    return { answer, batch: (await this.getBatch({ tenantId: params.tenantId, batchId })) as Batch };
  }

  register(params: RegisterParams): Promise<RegisterResult> {
    return this.submissions.register(params);
  }

  redrive(params: RedriveParams): Promise<RedriveResult> {
    return this.submissions.redrive(params);
  }

  async getBatch({ tenantId, batchId, results = false, after }: GetBatchParams): Promise<Batch | undefined> {
    const { pageBytes } = this.state.parts.limits;
    const view = new BatchView(batchId, { from: Number(after ?? 0), results, pageBytes });
    for (;;) {
      const reply = await this.state.run(tenantId, 'getBatch', batchId, ...view.nextStretch);
      if (reply === null) return undefined;
      if (reply === 'creating') await this.state.createStaged(tenantId, batchId);
      else if (view.add(reply)) return view.batch;
    }
  }

  async cancelBatch({
    tenantId,
    batchId,
    reason,
    graceMs,
    signal,
  }: CancelBatchParams): Promise<Batch | undefined> {
    for (let further = false; ; further = true) {
      const request = JSON.stringify({ id: batchId, reason, grace: graceMs, further });
      const [answer, more] = (await this.state.change(tenantId, 'cancelBatch', request)) as
        | ['cancelled', 1 | null]
        | ['not_found'];
      if (answer === 'not_found') return undefined;
      if (more !== 1 || signal?.aborted === true) return this.getBatch({ tenantId, batchId });
    }
  }

  async discard({ tenantId, taskId }: DiscardParams): Promise<DiscardResult> {
    const answer = await this.state.change(tenantId, 'discard', taskId);
    return { answer: answer as DiscardResult['answer'] };
  }

  async finish({ tenantId, taskId, outcome }: FinishParams): Promise<FinishResult> {
    const completed = outcome.kind === 'completed';
    const reason = completed ? TASK_TEXTS.taskCompleted : outcome.error.message;
    const [answer, task] = (await this.state.change(
      tenantId,
      'finishTask',
      JSON.stringify({ id: taskId, state: outcome.kind, reason }),
      completed ? fieldText(outcome, 'result') : errorText(outcome.error),
    )) as ['finished' | 'already_final' | 'not_tracked', Reply] | ['not_found'];
    return answer === 'not_found' ? { answer } : { answer, task: new TaskView(tenantId, readTask(task)) };
  }

  async progress({ tenantId, taskId, token, progress }: ReportProgressParams): Promise<ReportProgressResult> {
    const { percent, message } = progress;
    const answer = await this.state.change(
      tenantId,
      'progress',
      JSON.stringify({ id: taskId, token, change: this.state.parts.random.uuid() }),
      JSON.stringify({
        ...(percent !== undefined && { percent }),
        ...(message !== undefined && { message }),
      }),
    );
    return { answer: answer as 'reported' | 'already_final' | 'lease_lost' | 'not_found' };
  }

  async get({ tenantId, taskId }: GetTaskParams): Promise<GetTaskResult> {
    const reply = await this.state.run(tenantId, 'get', taskId);
    const [found, seq, epochStart] = reply as [Reply, number, string];
    if (found === null) return undefined;
    const stored = readTask(found);
    const epoch = await this.state.epochs.of(tenantId, epochStart);
    return {
      task: new TaskView(tenantId, stored),
      cursor: cursorOf(epoch, seq),
      startCursor: cursorOf(epoch, stored.header.sequence - 1),
    };
  }

  async list(params: ListTasksParams): Promise<ListTasksResult> {
    const { tenantId, filter, limit, after } = params;
    const { pageBytes, scannedAtOnce } = this.state.parts.limits;
    const page = new BoundedPage<Task>(limit, pageBytes);
    const { items: tasks } = page;
    const { status, type, sessionId: session, code, since, idPrefix: prefix } = filter;
    const error = code === undefined ? undefined : codeText(code);
    let lastTaken = after;
    let before = after === undefined ? undefined : Number(after);
    for (let left = scannedAtOnce; ;) {
      const scans = Math.min(SCANNED_PER_STEP, left);
      const request = {
        before,
        limit: limit - tasks.length,
        scans,
        bytes: pageBytes,
        status,
        type,
        session,
        error,
        since,
        prefix,
      };
      const [found, next, scanned, isFull] = (await this.state.run(
        tenantId,
        'list',
        JSON.stringify(request),
      )) as [Reply[], string | null, number, 1 | null];
      for (const one of found) {
        const stored = readTask(one);
        if (!page.take(new TaskView(tenantId, stored))) return { tasks, ...nextOf(lastTaken) };
        lastTaken = String(stored.header.sequence);
      }
      left -= scanned;
      if (isFull === 1) return { tasks, ...nextOf(lastTaken) };
      if (next === null) return { tasks };
      if (left <= 0) return { tasks, next };
      before = Number(next);
    }
  }

  async counts({ tenantId }: CountTasksParams): Promise<CountTasksResult> {
    const { counts, seq, epoch } = readCounts(await this.state.run(tenantId, 'counts'));
    return { counts, cursor: cursorOf(epoch, seq) };
  }

  async cancel({ tenantId, taskId, reason, graceMs }: CancelTaskParams): Promise<CancelTaskResult> {
    const request = JSON.stringify({ id: taskId, reason, grace: graceMs });
    const [answer, task] = (await this.state.change(tenantId, 'cancel', request)) as
      | ['cancelled' | 'cancelling' | 'already_final', Reply]
      | ['not_found'];
    return answer === 'not_found' ? { answer } : { answer, task: new TaskView(tenantId, readTask(task)) };
  }

  async signal(params: SignalParams): Promise<SignalResult> {
    const { tenantId, taskId, name, signalId, fingerprint } = params;
    const request = JSON.stringify({ id: taskId, name, signal: signalId, fingerprint });
    const answer = await this.state.change(tenantId, 'signal', request, fieldText(params, 'payload'));
    return { answer } as SignalResult;
  }

  async firstReady({ tenantId, limit }: FirstReadyParams): Promise<readonly Task[]> {
    const { pageBytes } = this.state.parts.limits;
    const max = Math.min(limit, SCANNED_PER_STEP);
    const found = (await this.state.run(tenantId, 'firstReady', max, pageBytes)) as Reply[];
    const page = new BoundedPage<Task>(max, pageBytes);
    for (const one of found) if (!page.take(new TaskView(tenantId, readTask(one)))) break;
    return page.items;
  }

  async explain({ tenantId, taskId }: ExplainParams): Promise<Explanation | undefined> {
    const reply = await this.state.run(tenantId, 'explain', taskId);
    if (reply === null) return undefined;
    return explain(factsOf(tenantId, reply, await this.workers.list()));
  }
}

function nextOf(sequence: string | undefined): { readonly next?: string } {
  return sequence === undefined ? {} : { next: sequence };
}

/** Counters of a tenant, and its ready tasks. */
export function readCounts(reply: Reply) {
  const [flat, ready, oldestAt, epoch] = reply as [string[], number, string | null, string | null];
  const meta = new Map<string, string>();
  for (let at = 0; at < flat.length; at += 2) meta.set(flat[at] as string, flat[at + 1] as string);
  const number = (field: string) => Number(meta.get(field) ?? 0);
  const counts: Record<TaskStatus, number> = {
    pending: number('pending'),
    processing: number('processing'),
    completed: number('completed'),
    failed: number('failed'),
    cancelled: number('cancelled'),
  };
  return {
    meta,
    counts,
    ready,
    seq: number('seq'),
    epoch,
    oldestAt: oldestAt === null ? undefined : Number(oldestAt),
  };
}
