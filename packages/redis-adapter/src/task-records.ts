import {
  type Batch,
  type BatchItem,
  type Explanation,
  type JsonValue,
  statusOf,
  type Task,
  type TaskError,
  type TaskRecords,
  type TaskState,
  type TaskStatus,
  type WorkerDirectory,
} from '@agent-orchestrator/core';
import type { BatchSubmissions } from './batch-submissions.js';
import { cursorOf } from './epoch.js';
import { explainTask, type Surroundings } from './explain.js';
import type { RedisState } from './redis-state.js';
import type { Reply } from './script-runner.js';
import type { Submissions } from './submissions.js';
import { readTask, stateOf, TaskView } from './task-view.js';

/** How much of the order of submission one script looks through, so that none keeps the server for long. */
const CHUNKS_A_LOOK = 100;

export class RedisTaskRecords implements TaskRecords {
  constructor(
    private readonly state: RedisState,
    private readonly submissions: Submissions,
    private readonly batches: BatchSubmissions,
    private readonly workers: WorkerDirectory,
  ) {}

  submit(params: Parameters<TaskRecords['submit']>[0]): ReturnType<TaskRecords['submit']> {
    return this.submissions.submit(params);
  }

  async submitBatch(
    params: Parameters<TaskRecords['submitBatch']>[0],
  ): ReturnType<TaskRecords['submitBatch']> {
    const submitted = await this.batches.submit(params);
    if (!('batchId' in submitted)) return submitted;
    const { answer, batchId, batch } = submitted;
    if (batch) return { answer, batch };
    return { answer, batch: (await this.getBatch({ tenantId: params.tenantId, batchId })) as Batch };
  }

  register(params: Parameters<TaskRecords['register']>[0]): ReturnType<TaskRecords['register']> {
    return this.submissions.register(params);
  }

  redrive(params: Parameters<TaskRecords['redrive']>[0]): ReturnType<TaskRecords['redrive']> {
    return this.submissions.redrive(params);
  }

  async getBatch({
    tenantId,
    batchId,
  }: Parameters<TaskRecords['getBatch']>[0]): ReturnType<TaskRecords['getBatch']> {
    const reply = await this.state.run(tenantId, 'getBatch', batchId);
    return reply === null ? undefined : viewBatch(batchId, reply);
  }

  async cancelBatch({
    tenantId,
    batchId,
    reason,
    graceMs,
  }: Parameters<TaskRecords['cancelBatch']>[0]): ReturnType<TaskRecords['cancelBatch']> {
    const request = JSON.stringify({ id: batchId, reason, grace: graceMs });
    const found = await this.state.change(tenantId, 'cancelBatch', request);
    return found === 1 ? this.getBatch({ tenantId, batchId }) : undefined;
  }

  async finish({
    tenantId,
    taskId,
    outcome,
  }: Parameters<TaskRecords['finish']>[0]): ReturnType<TaskRecords['finish']> {
    const completed = outcome.kind === 'completed';
    const reason = completed ? 'the task is completed' : outcome.error.message;
    const [answer, task] = (await this.state.change(
      tenantId,
      'finishTask',
      JSON.stringify({ id: taskId, state: outcome.kind, reason }),
      JSON.stringify(completed ? outcome.result : outcome.error),
    )) as ['finished' | 'already_final' | 'not_tracked', Reply] | ['not_found'];
    return answer === 'not_found' ? { answer } : { answer, task: new TaskView(tenantId, readTask(task)) };
  }

  async progress({
    tenantId,
    taskId,
    token,
    progress,
  }: Parameters<TaskRecords['progress']>[0]): ReturnType<TaskRecords['progress']> {
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
    return { answer: answer as 'told' | 'already_final' | 'lease_lost' | 'not_found' };
  }

  async get({ tenantId, taskId }: Parameters<TaskRecords['get']>[0]): ReturnType<TaskRecords['get']> {
    const reply = await this.state.run(tenantId, 'get', taskId);
    const [found, seq, began] = reply as [Reply, number, string];
    if (found === null) return undefined;
    const stored = readTask(found);
    const epoch = await this.state.epochs.of(tenantId, began);
    return {
      task: new TaskView(tenantId, stored),
      cursor: cursorOf(epoch, seq),
      born: cursorOf(epoch, stored.head.place - 1),
    };
  }

  async list(params: Parameters<TaskRecords['list']>[0]): ReturnType<TaskRecords['list']> {
    const { tenantId, filter, limit, after } = params;
    const found: { readonly task: Task; readonly place: number }[] = [];
    for await (const each of this.#newestFirst(tenantId, after)) {
      const { task } = each;
      if (filter.status !== undefined && task.status !== filter.status) continue;
      if (filter.type !== undefined && task.type !== filter.type) continue;
      if (filter.sessionId !== undefined && task.session_id !== filter.sessionId) continue;
      if (found.length === limit)
        return { tasks: found.map(({ task: one }) => one), next: String(found.at(-1)?.place ?? 0) };
      found.push(each);
    }
    return { tasks: found.map(({ task }) => task) };
  }

  async *#newestFirst(
    tenantId: string,
    after: string | undefined,
  ): AsyncGenerator<{ readonly task: Task; readonly place: number }> {
    let before = after === undefined ? undefined : Number(after);
    let old = false;
    for (let skip = 0; ;) {
      const request = JSON.stringify({ before, skip, chunks: CHUNKS_A_LOOK, old });
      const [found, looked] = (await this.state.run(tenantId, 'list', request)) as [Reply[], number];
      for (const one of found) {
        const stored = readTask(one);
        yield { task: new TaskView(tenantId, stored), place: stored.head.place };
        if (old) before = stored.head.place;
      }
      skip += looked;
      if (looked > 0) continue;
      if (old) return;
      old = true;
    }
  }

  async counts({ tenantId }: Parameters<TaskRecords['counts']>[0]): ReturnType<TaskRecords['counts']> {
    const { counts, seq, epoch } = readCounts(await this.state.run(tenantId, 'counts'));
    return { counts, cursor: cursorOf(epoch, seq) };
  }

  async cancel({
    tenantId,
    taskId,
    reason,
    graceMs,
  }: Parameters<TaskRecords['cancel']>[0]): ReturnType<TaskRecords['cancel']> {
    const request = JSON.stringify({ id: taskId, reason, grace: graceMs });
    const [answer, task] = (await this.state.change(tenantId, 'cancel', request)) as
      | ['cancelled' | 'cancelling' | 'already_final', Reply]
      | ['not_found'];
    return answer === 'not_found' ? { answer } : { answer, task: new TaskView(tenantId, readTask(task)) };
  }

  async signal(params: Parameters<TaskRecords['signal']>[0]): ReturnType<TaskRecords['signal']> {
    const { tenantId, taskId, name, payload, signalId, fingerprint } = params;
    const request = JSON.stringify({ id: taskId, name, signal: signalId, fingerprint });
    const answer = await this.state.change(tenantId, 'signal', request, JSON.stringify(payload));
    return { answer } as Awaited<ReturnType<TaskRecords['signal']>>;
  }

  async explain({
    tenantId,
    taskId,
  }: Parameters<TaskRecords['explain']>[0]): Promise<Explanation | undefined> {
    const reply = await this.state.run(tenantId, 'explain', taskId);
    if (reply === null) return undefined;
    const [found, position, inside, inBatch, maxInBatch, paused, running, maxRunning] =
      reply as readonly Reply[];
    const surroundings: Surroundings = {
      position: position === null ? undefined : Number(position),
      sessionTask: inside as string | null,
      inBatch: Number(inBatch),
      maxInBatch: Number(maxInBatch),
      paused: paused === '1',
      running: Number(running),
      maxRunning: maxRunning === null ? undefined : Number(maxRunning),
      workers: await this.workers.list(),
    };
    return explainTask(tenantId, readTask(found ?? null), surroundings);
  }
}

/** The counters of a tenant, and what is ready. */
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

/** An item is its error, or a task: id, state, and how it ended when it is no longer kept. */
function viewBatch(batchId: string, reply: Reply): Batch {
  const [created, entries] = reply as [string, (string | BatchTask)[]];
  const counts = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
  const items = entries.map((entry, index): BatchItem => {
    const item = viewItem(entry, index);
    if (item.status) counts[item.status] += 1;
    return item;
  });
  return {
    batch_id: batchId,
    total: items.length,
    created_at: new Date(Number(created)).toISOString(),
    counts,
    items,
  };
}

type BatchTask = readonly [taskId: string, state: string, gone: string | null];

function viewItem(entry: string | BatchTask, index: number): BatchItem {
  if (typeof entry === 'string') return { index, status: 'failed', error: JSON.parse(entry) as TaskError };
  const [task_id, text, gone] = entry;
  if (gone !== null) return { index, task_id, ...(gone !== '' && { status: statusOf(gone as TaskState) }) };
  const [head = '', outcome] = text.split('\n', 2);
  const { state } = head === '' ? { state: 'ready' as const } : stateOf(head);
  const status = statusOf(state);
  const value = outcome === undefined ? undefined : (JSON.parse(outcome) as JsonValue);
  return {
    index,
    task_id,
    status,
    ...(value !== undefined && status === 'completed' && { result: value }),
    ...(value !== undefined && status !== 'completed' && { error: value as unknown as TaskError }),
  };
}
