import {
  type Batch,
  type BatchItem,
  type BatchSubmission,
  OrchestratorError,
  type Submission,
  type TaskError,
  type TaskRecords,
  fieldText,
} from '@agent-orchestrator/core';
import { keyOf } from './idempotency.js';
import { isPlain, itemOf } from './new-items.js';
import type { RedisState } from './redis-state.js';
import type { Reply } from './script-runner.js';
import { NO_KIND, TaskKinds } from './task-kinds.js';
import { recordOf } from './task-view.js';

type Params = Parameters<TaskRecords['submitBatch']>[0];
type Item = BatchSubmission['items'][number];

/** Whose batch it is, and where the adapter knows it without asking, the batch itself. */
type Submitted =
  | { readonly answer: 'submitted' | 'replayed'; readonly batchId: string; readonly batch?: Batch }
  | { readonly answer: 'idempotency_conflict' | 'queue_full' };

type ScriptAnswer =
  | readonly ['submitted' | 'replayed', string]
  | readonly ['idempotency_conflict' | 'queue_full'];

/** So many tasks at most are stored with a command for all: a script can hand over 7,000 values at once. */
const MOST_AT_ONCE = 3_000;

const TAKEN = JSON.stringify({
  code: 'conflict',
  message: 'the task_id is that of another task',
  retryable: false,
} satisfies TaskError);

/** How batches come to be: in one script, which is a short one where their tasks stand in no line but that of the batch. */
export class BatchSubmissions {
  constructor(private readonly state: RedisState) {}

  async submit(params: Params): Promise<Submitted> {
    const { batch, idempotency, maxWaiting } = params;
    const request = {
      id: batch.batchId,
      max: batch.maxInFlight,
      fail_fast: batch.failFast,
      ...keyOf(idempotency),
      max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
    };
    const submitted =
      (isPlainBatch(batch) ? await this.#submitPlain(params, request) : undefined) ??
      (await this.#submitAny(params, request));
    if (submitted.answer === 'queue_full') this.state.tellAtLimit(params.tenantId);
    return submitted;
  }

  /** Nothing when there is a task with one of the ids: which items are refused then is for the other script to say. */
  async #submitPlain({ tenantId, batch }: Params, request: object): Promise<Submitted | undefined> {
    const { common, args, values } = plainArguments(batch, (taskId) =>
      this.state.keys.task(tenantId, taskId),
    );
    const asked = this.state.storeMany('submitPlainBatch', values, [
      { tenantId, args: [JSON.stringify({ ...request, ...common }), ...args] },
    ]);
    // Redis is at work meanwhile.
    const items = newItems(batch);
    const [reply] = (await asked) ?? [];
    if (reply === undefined) return undefined;
    if (reply instanceof OrchestratorError) throw reply;
    const { at } = reply;
    const answer = reply.outcome as unknown as ScriptAnswer;
    if (answer[0] === 'submitted') {
      return { answer: 'submitted', batchId: batch.batchId, batch: justStored(batch.batchId, items, at) };
    }
    if (answer[0] === 'replayed') await this.state.tellAgain(tenantId);
    return submittedOf(answer);
  }

  async #submitAny({ tenantId, batch }: Params, request: object): Promise<Submitted> {
    const payloads = batch.items.map((item) => ('task' in item ? fieldText(item.task, 'payload') : ''));
    const items = batch.items.map((item) => batchItem(item, batch.batchId));
    const all = JSON.stringify({ ...request, items, taken: TAKEN });
    const answer: Reply = await this.state.change(tenantId, 'submitBatch', all, ...payloads);
    return submittedOf(answer as unknown as ScriptAnswer);
  }
}

function submittedOf([answer, batchId]: ScriptAnswer): Submitted {
  return answer === 'submitted' || answer === 'replayed' ? { answer, batchId: batchId ?? '' } : { answer };
}

/** Whether its tasks are stored with a command for all: each is plain, and no two have the same id. */
function isPlainBatch({ items }: BatchSubmission): boolean {
  const ids = new Set<string>();
  let tasks = 0;
  for (const item of items) {
    if ('error' in item) continue;
    if (!isPlain(item)) return false;
    ids.add(item.task.task_id);
    tasks += 1;
  }
  return tasks > 0 && ids.size === tasks && items.length <= MOST_AT_ONCE;
}

/** What tasks have in common is said once: kinds first, then of which kind each item is, then the items. */
function plainArguments({ items, batchId }: BatchSubmission, keyOfTask: (taskId: string) => string) {
  const kinds = new TaskKinds(batchId);
  const rest: string[] = [];
  const values: string[] = [];
  let kindOf = '';
  for (const item of items) {
    if ('error' in item) {
      kindOf += NO_KIND;
      rest.push(JSON.stringify(item.error));
    } else {
      const { label, tail } = kinds.of(item.task);
      kindOf += label;
      rest.push(item.task.task_id);
      values.push(keyOfTask(item.task.task_id), recordOf(tail, fieldText(item.task, 'payload')));
    }
  }
  const common = { kinds: kinds.count, type: kinds.type };
  return { common, args: [...kinds.args, kindOf, ...rest], values };
}

/** The items of a batch before anybody could claim a task of it. */
function newItems({ items }: BatchSubmission): readonly BatchItem[] {
  return items.map((item, index) =>
    'error' in item
      ? { index, status: 'failed', error: { ...item.error } }
      : { index, task_id: item.task.task_id, status: 'pending' },
  );
}

function justStored(batchId: string, items: readonly BatchItem[], at: number): Batch {
  const failed = items.filter(({ status }) => status === 'failed').length;
  return {
    batch_id: batchId,
    total: items.length,
    created_at: new Date(at).toISOString(),
    counts: { pending: items.length - failed, processing: 0, completed: 0, failed, cancelled: 0 },
    items,
  };
}

function batchItem(item: Item, batchId: string) {
  if ('error' in item) return { error: JSON.stringify(item.error) };
  return { ...itemOf(item, { batchId }), ...refusalsOf(item) };
}

/** What is said of an item whose session does not take it. */
function refusalsOf({ task: { session_id } }: Submission) {
  if (session_id === undefined) return {};
  const refusal = (code: string, state: string) =>
    JSON.stringify({ code, message: `session "${session_id}" is ${state}`, retryable: false });
  return {
    refusals: {
      session_closed: refusal('session_closed', 'closed'),
      session_busy: refusal('session_busy', 'busy with another task'),
    },
  };
}
