import { type Batch, OrchestratorError } from '@agent-orchestrator/core';
import { fieldText } from '@agent-orchestrator/core/protocol';
import {
  type BatchSubmission,
  ITEM_REFUSALS,
  type NewTask,
  refusedItem,
  type SubmitBatchParams,
} from '@agent-orchestrator/core/storage';
import { keyOf } from './idempotency.js';
import { itemOf } from './new-items.js';
import type { RedisState } from '../scripts/tenant-steps.js';

type Params = SubmitBatchParams;
type Item = BatchSubmission['items'][number];

/** Id of the batch, and the batch itself where it is known without a read. */
export type SubmittedBatch =
  | { readonly answer: 'submitted' | 'replayed'; readonly batchId: string; readonly batch?: Batch }
  | { readonly answer: 'idempotency_conflict' | 'queue_full' };

export type ScriptAnswer =
  | readonly ['submitted' | 'replayed', string]
  | readonly ['idempotency_conflict' | 'queue_full'];

/** Maximum of items staged by one script, see lib/batches.lua. */
const STAGED_PER_STEP = 250;
/** Maximum of attempts to stage a batch whose items expired before all were staged. */
const MAX_STAGINGS = 3;

/**
 * Submission of batches, item by item. A large batch is staged first, one step takes all of it over, and its tasks
 * are created a portion a step: by the submitter, by a reader of the batch, or by a sweeper. For a small one the
 * storing step stages what exceeds its budget. See `fast/` for batches that need none of that.
 */
export class BatchSubmissions {
  constructor(private readonly state: RedisState) {}

  async submit(params: Params): Promise<SubmittedBatch> {
    const submitted = await this.#submit(params);
    if (submitted.answer === 'queue_full') this.state.publishAtLimit(params.tenantId);
    return submitted;
  }

  async #submit(params: Params): Promise<SubmittedBatch> {
    const { tenantId, batch } = params;
    const { pageBytes, cancelledAtOnce } = this.state.parts.limits;
    const text = batch.items.reduce((sum, item) => sum + lengthOf(item), 0);
    const isStaged = batch.items.length > cancelledAtOnce || text > pageBytes;
    const all = JSON.stringify({ ...requestOf(params), items: batch.items.length, staged: isStaged });
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

/** Fields of a batch that the scripts use. */
export function requestOf({ batch, idempotency, maxWaiting }: Params) {
  return {
    id: batch.batchId,
    max: batch.maxInFlight,
    fail_fast: batch.failFast,
    ...keyOf(idempotency),
    max_waiting: Math.min(maxWaiting, Number.MAX_SAFE_INTEGER),
  };
}

export function submittedOf([answer, batchId]: ScriptAnswer): SubmittedBatch {
  return answer === 'submitted' || answer === 'replayed' ? { answer, batchId: batchId ?? '' } : { answer };
}

function lengthOf(item: Item): number {
  return 'task' in item ? fieldText(item.task, 'payload').length : 0;
}

/** An item for the script: JSON, and the payload in a line of its own. */
function textOf(item: Item, batchId: string): string {
  if ('error' in item) return JSON.stringify({ error: JSON.stringify(item.error) });
  const json = JSON.stringify({ ...itemOf(item, { batchId }), refusals: refusalsOf(item.task) });
  return `${json}\n${fieldText(item.task, 'payload')}`;
}

/** Errors of a refused item, by reason. */
function refusalsOf(task: NewTask) {
  return Object.fromEntries(
    ITEM_REFUSALS.map((refusal) => [refusal, JSON.stringify(refusedItem(refusal, task))]),
  );
}
