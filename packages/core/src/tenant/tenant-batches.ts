import type { JsonArgument } from '../protocol/json.js';
import type { Batch } from '../protocol/task.js';
import { untilAborted } from '../runtime/abortable.js';
import type { GlobalTaskRegistry } from '../tasks/global-task-registry.js';
import type { RequestOptions } from './submit-options.js';

/** Batches of one tenant: many requests under one id. */
export class TenantBatches {
  constructor(
    private readonly registry: GlobalTaskRegistry,
    private readonly tenantId: string,
  ) {}

  /** Submits many requests as one batch. `requests`: bodies of `POST /v1/tasks` or `POST /v1/chat`; an invalid one fails alone. */
  submit(
    body: {
      readonly requests: readonly JsonArgument[];
      readonly max_in_flight?: number | undefined;
      readonly fail_fast?: boolean | undefined;
    },
    { idempotencyKey, signal }: RequestOptions = {},
  ): Promise<{ readonly batch: Batch; readonly replayed: boolean }> {
    const submitted = this.registry.submitBatch({ tenantId: this.tenantId, body, idempotencyKey });
    return untilAborted(submitted, signal);
  }

  /** Counts, and a page of items from `cursor` (the `next` of the previous page) on. `results` (default `false`): include results. */
  get(
    batchId: string,
    { results, cursor }: { readonly results?: boolean; readonly cursor?: string } = {},
  ): Promise<Batch> {
    return this.registry.getBatch({ tenantId: this.tenantId, batchId, results, cursor });
  }

  /** Cancels its tasks. If `signal` fires, the rest is left to the sweeper. */
  cancel(
    batchId: string,
    options: { readonly reason?: string | undefined; readonly signal?: AbortSignal } = {},
  ): Promise<Batch> {
    return this.registry.cancelBatch({ tenantId: this.tenantId, batchId, ...options });
  }
}
