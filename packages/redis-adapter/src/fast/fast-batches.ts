import { type Batch, OrchestratorError } from '@agent-orchestrator/core';
import { type BatchItem } from '@agent-orchestrator/core/protocol';
import { fieldText } from '@agent-orchestrator/core/protocol';
import type { BatchSubmission, SubmitBatchParams } from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import {
  type BatchSubmissions,
  requestOf,
  type ScriptAnswer,
  type SubmittedBatch,
  submittedOf,
} from '../tasks/batch-submissions.js';
import { recordOf } from '../tasks/task-codec.js';
import { NO_KIND, TaskKinds } from './batch-templates.js';
import { isFastBatch } from './is-fast.js';

/** Submission of batches: a fast one is stored by one command and one short script, others item by item. */
export class FastBatches {
  constructor(
    private readonly state: RedisState,
    private readonly oneByOne: BatchSubmissions,
  ) {}

  async submit(params: SubmitBatchParams): Promise<SubmittedBatch> {
    const submitted = isFastBatch(params.batch) ? await this.#submitFast(params) : undefined;
    // One of the ids is taken, or the tenant has limits: only the full step decides which items to refuse.
    if (!submitted) return this.oneByOne.submit(params);
    if (submitted.answer === 'queue_full') this.state.publishAtLimit(params.tenantId);
    return submitted;
  }

  /** Nothing when one of the ids is taken, or the tenant has limits. */
  async #submitFast(params: SubmitBatchParams): Promise<SubmittedBatch | undefined> {
    const { tenantId, batch } = params;
    const { common, args, values } = fastArguments(batch, (taskId) => this.state.keys.task(tenantId, taskId));
    const sent = this.state.storeMany('submitFastBatch', values, [
      { tenantId, args: [JSON.stringify({ ...requestOf(params), ...common }), ...args] },
    ]);
    // Meanwhile Redis works.
    const items = newItems(batch);
    const [reply] = (await sent) ?? [];
    if (reply === undefined) return undefined;
    if (reply instanceof OrchestratorError) throw reply;
    const { at } = reply;
    const answer = reply.outcome as unknown as ScriptAnswer | readonly ['not_fast'];
    if (answer[0] === 'not_fast') return undefined;
    if (answer[0] === 'submitted') {
      return { answer: 'submitted', batchId: batch.batchId, batch: justStored(batch.batchId, items, at) };
    }
    if (answer[0] === 'replayed') await this.state.resync(tenantId);
    return submittedOf(answer);
  }
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
