import type { Claim } from '../storage/task-queue.js';
import type { NewTask } from '../storage/task-records.js';
import type { CaseTools } from './conformance-case.js';

/** Text above the inline size of a storage. */
export const LARGE = 'x'.repeat(10_000);

export function submitAtOnce(
  t: CaseTools,
  tasks: readonly NewTask[],
  maxWaiting = 1_000,
  tenantId = t.tenantId,
) {
  return Promise.all(
    tasks.map((task) =>
      t.storage.tasks.submit({ tenantId, submission: { task, onBusy: 'enqueue' }, maxWaiting }),
    ),
  );
}

export function tasksOf(t: CaseTools, count: number, more: Partial<NewTask> = {}): NewTask[] {
  return Array.from({ length: count }, () => t.newTask(more));
}

export const idsOf = (claims: readonly Claim[]) => claims.map(({ task }) => task.task_id);

/** Counts of the case's tenant: pending, processing, completed, failed, running and ready. */
export async function numbersOf(t: CaseTools) {
  const { counts, running, ready } = await t.storage.tenants.get({ tenantId: t.tenantId });
  return [counts.pending, counts.processing, counts.completed, counts.failed, running, ready];
}
