import { type Batch, type BatchItem, OrchestratorError, type TaskError } from '@agent-orchestrator/core';
import { fieldText, TASK_TEXTS, taskText } from '@agent-orchestrator/core/protocol';
import {
  type BatchSubmission,
  type Submission,
  type SubmitBatchParams,
} from '@agent-orchestrator/core/storage';
import { keyOf } from './idempotency.js';
import { isFast, itemOf } from './new-items.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import { NO_KIND, TaskKinds } from './batch-templates.js';
import { recordOf } from './task-codec.js';

type Params = SubmitBatchParams;
type Item = BatchSubmission['items'][number];

/** Id of the batch, and the batch itself where it is known without a read. */
type Submitted =
  | { readonly answer: 'submitted' | 'replayed'; readonly batchId: string; readonly batch?: Batch }
  | { readonly answer: 'idempotency_conflict' | 'queue_full' };

type ScriptAnswer =
  | readonly ['submitted' | 'replayed', string]
  | readonly ['idempotency_conflict' | 'queue_full'];

/** Limits of tasks, and of characters in their payloads, for storing a batch in one command. */
const MAX_FAST_TASKS = 1_000;
const MAX_FAST_TEXT = 4 * 1024 * 1024;
/** Maximum of items staged by one script, see lib/batches.lua. */
const STAGED_PER_STEP = 250;
/** Maximum of attempts to stage a batch whose items expired before all were staged. */
const MAX_STAGINGS = 3;

const TAKEN = JSON.stringify({
  code: 'conflict',
  message: TASK_TEXTS.taskIdUsed,
  retryable: false,
} satisfies TaskError);

/**
 * Submission of batches. Tasks without another concurrency group are stored by one short script; others are
 * created one by one. A large batch is staged first, one step takes all of it over, and its tasks are created
 * a portion a step: by the submitter, by a reader of the batch, or by a sweeper. For a small one the storing
 * step stages what exceeds its budget.
 */
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
      (isFastBatch(batch) ? await this.#submitFast(params, request) : undefined) ??
      (await this.#submitAny(params, request));
    if (submitted.answer === 'queue_full') this.state.publishAtLimit(params.tenantId);
    return submitted;
  }

  /** Nothing when one of the ids is taken: then the other script decides which items to refuse. */
  async #submitFast({ tenantId, batch }: Params, request: object): Promise<Submitted | undefined> {
    const { common, args, values } = fastArguments(batch, (taskId) => this.state.keys.task(tenantId, taskId));
    const sent = this.state.storeMany('submitFastBatch', values, [
      { tenantId, args: [JSON.stringify({ ...request, ...common }), ...args] },
    ]);
    // Meanwhile Redis works.
    const items = newItems(batch);
    const [reply] = (await sent) ?? [];
    if (reply === undefined) return undefined;
    if (reply instanceof OrchestratorError) throw reply;
    const { at } = reply;
    const answer = reply.outcome as unknown as ScriptAnswer;
    if (answer[0] === 'submitted') {
      return { answer: 'submitted', batchId: batch.batchId, batch: justStored(batch.batchId, items, at) };
    }
    if (answer[0] === 'replayed') await this.state.resync(tenantId);
    return submittedOf(answer);
  }

  async #submitAny(params: Params, request: object): Promise<Submitted> {
    const { tenantId, batch } = params;
    const { pageBytes, cancelledAtOnce } = this.state.parts.limits;
    const text = batch.items.reduce((sum, item) => sum + lengthOf(item), 0);
    const isStaged = batch.items.length > cancelledAtOnce || text > pageBytes;
    const all = JSON.stringify({ ...request, items: batch.items.length, staged: isStaged });
    const items = isStaged ? [] : batch.items.map((item) => textOf(item, batch.batchId));
    for (let left = MAX_STAGINGS; left > 0; left -= 1) {
      if (isStaged) await this.#stage(params);
      const answer = await this.state.change(tenantId, 'submitBatch', all, ...items);
      const [word] = answer as readonly string[];
      if (word !== 'not_staged') return submittedOf(answer as unknown as ScriptAnswer);
    }
    throw new OrchestratorError(
      'storage_unavailable',
      'the items of the batch expired before all were staged',
    );
  }

  async #stage({ tenantId, batch: { items, batchId } }: Params): Promise<void> {
    const { pageBytes } = this.state.parts.limits;
    for (let at = 0; at < items.length;) {
      const portion: string[] = [];
      for (let length = 0; at + portion.length < items.length && portion.length < STAGED_PER_STEP;) {
        const text = textOf(items[at + portion.length] as Item, batchId);
        length += text.length;
        if (length > pageBytes && portion.length > 0) break;
        portion.push(text);
      }
      await this.state.run(tenantId, 'stageBatch', batchId, at + 1, ...portion);
      at += portion.length;
    }
  }
}

function submittedOf([answer, batchId]: ScriptAnswer): Submitted {
  return answer === 'submitted' || answer === 'replayed' ? { answer, batchId: batchId ?? '' } : { answer };
}

/** Whether its tasks can be stored in one command: all are fast, and their ids differ. */
function isFastBatch({ items }: BatchSubmission): boolean {
  if (items.length > MAX_FAST_TASKS) return false;
  const ids = new Set<string>();
  let tasks = 0;
  let text = 0;
  for (const item of items) {
    if ('error' in item) continue;
    if (!isFast(item)) return false;
    ids.add(item.task.task_id);
    tasks += 1;
    text += lengthOf(item);
  }
  return tasks > 0 && ids.size === tasks && text <= MAX_FAST_TEXT;
}

function lengthOf(item: Item): number {
  return 'task' in item ? fieldText(item.task, 'payload').length : 0;
}

/** Common parts are sent once: kinds first, then the kind of each item, then the items. */
function fastArguments({ items, batchId }: BatchSubmission, keyOfTask: (taskId: string) => string) {
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

/** Items of a new batch, before the first claim. */
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

/** An item for the script: JSON, and the payload in a line of its own. */
function textOf(item: Item, batchId: string): string {
  if ('error' in item) return JSON.stringify({ error: JSON.stringify(item.error) });
  const json = JSON.stringify({ ...itemOf(item, { batchId }), refusals: refusalsOf(item) });
  return `${json}\n${fieldText(item.task, 'payload')}`;
}

/** Errors of a refused item, by reason. */
function refusalsOf({ task: { session_id } }: Submission) {
  if (session_id === undefined) return { taken: TAKEN };
  const refusal = (code: string, message: string) => JSON.stringify({ code, message, retryable: false });
  const named = { sessionId: session_id };
  return {
    taken: TAKEN,
    session_closed: refusal('session_closed', taskText('sessionIsClosed', named)),
    session_busy: refusal('session_busy', taskText('sessionIsBusy', named)),
  };
}
