import type { Batch, BatchItem } from '../../protocol/task.js';
import { BoundedPage } from '../../storage/bounded-page.js';
import { statusOf } from '../../protocol/task-state.js';
import { readJson } from '../kept-json.js';
import type { BatchEntry, TenantState } from '../tenants/tenant-state.js';

/** @param from index of the first item. */
export function viewBatch(
  tenant: TenantState,
  { batchId, createdAt, items }: BatchEntry,
  pageBytes: number,
  { results = false, from = 0 }: { readonly results?: boolean; readonly from?: number } = {},
): Batch {
  const counts = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
  for (const item of items) counts['state' in item ? statusOf(item.state) : 'failed'] += 1;
  const page = new BoundedPage<BatchItem>(items.length, pageBytes);
  let next = from;
  while (next < items.length && page.take(viewItem(tenant, items[next] as Item, next, results))) next += 1;
  return {
    batch_id: batchId,
    total: items.length,
    created_at: new Date(createdAt).toISOString(),
    counts,
    items: page.items,
    ...(next < items.length && { next: String(next) }),
  };
}

type Item = BatchEntry['items'][number];

/** A task that is no longer kept still has its status, but neither result nor error. */
function viewItem(tenant: TenantState, item: Item, index: number, results: boolean): BatchItem {
  if (!('state' in item)) return { index, status: 'failed', error: { ...item } };
  const status = statusOf(item.state);
  if ('goneId' in item) return { index, task_id: item.goneId, status };
  const { task_id } = item.spec;
  const { result, error } = item;
  return {
    index,
    task_id,
    status,
    ...(results && result !== undefined && { result: readJson(result) }),
    ...(error && { error: { ...error } }),
  };
}
