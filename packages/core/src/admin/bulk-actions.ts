import { OrchestratorError } from '../protocol/errors.js';
import type { DeadLetterFilter } from '../protocol/admin.js';
import type { Task } from '../protocol/task.js';
import type { GlobalTaskRegistry } from '../tasks/global-task-registry.js';
import { taskPageOf } from '../tasks/task-page.js';
import type { BulkOptions, BulkReport, TaskOfTenant } from './admin.js';

/** Page size of a scan for a bulk action. */
const SCAN = 100;
/** Maximum of tasks of one bulk action. */
const MAX_BULK = 1_000;
/** Maximum of pages of one bulk action: a page may have no task that fits. */
const MAX_SCANS = 100;

/** Whether the action was carried out on a task that was a dead letter a moment ago. */
type Action = (of: TaskOfTenant) => Promise<boolean>;

/** Redrives the dead letters that fit. Those that were redriven before match, and are not done. */
export function redriveAll(
  registry: GlobalTaskRegistry,
  filter: DeadLetterFilter,
  options: BulkOptions = {},
): Promise<BulkReport> {
  const redrive: Action = async (of) => !(await registry.redriveOnce(of)).replayed;
  return onEach(registry, filter, options, redrive);
}

/** Removes the dead letters that fit. */
export function discardAll(
  registry: GlobalTaskRegistry,
  filter: DeadLetterFilter,
  options: BulkOptions = {},
): Promise<BulkReport> {
  const discard: Action = async (of) => {
    await registry.discard(of);
    return true;
  };
  return onEach(registry, filter, options, discard);
}

async function onEach(
  registry: GlobalTaskRegistry,
  filter: DeadLetterFilter,
  { dryRun = false, cursor, signal }: BulkOptions,
  action: Action,
): Promise<BulkReport> {
  const { tenant: tenantId } = filter;
  let [matched, done, from] = [0, 0, cursor];
  for (let scan = 0; scan < MAX_SCANS; scan += 1) {
    const page = await pageOf(registry, filter, Math.min(SCAN, MAX_BULK - matched), from);
    for (const { task_id: taskId } of page.tasks) {
      signal?.throwIfAborted();
      matched += 1;
      try {
        if (!dryRun && (await action({ tenantId, taskId }))) done += 1;
      } catch (error) {
        if (isGone(error)) continue;
        // What was done is done: the caller gets its number, and where to continue.
        if (!(error instanceof OrchestratorError) || done === 0) throw error;
        const { code, message } = error;
        return { matched, done, stopped: { code, message }, ...(from !== undefined && { next: from }) };
      }
    }
    from = page.next;
    if (from === undefined || matched >= MAX_BULK) break;
  }
  return { matched, done, ...(from !== undefined && { next: from }) };
}

/** It has been discarded or redriven since it was listed, or has never begun. */
function isGone(error: unknown): boolean {
  return error instanceof OrchestratorError && ['conflict', 'not_found'].includes(error.code);
}

async function pageOf(
  registry: GlobalTaskRegistry,
  { tenant: tenantId, type, code, since, task_ids: taskIds }: DeadLetterFilter,
  limit: number,
  cursor: string | undefined,
): Promise<{ readonly tasks: readonly Task[]; readonly next?: string }> {
  const query = { tenantId, status: 'failed', type, code, since } as const;
  if (!taskIds) return registry.list({ ...query, limit, cursor });
  const { filter } = taskPageOf(query);
  const tasks: Task[] = [];
  for (const taskId of new Set(taskIds)) {
    const task = await registry.get({ tenantId, taskId }).catch((error: unknown) => {
      if (isGone(error)) return undefined;
      throw error;
    });
    if (task && isDeadLetter(task, filter)) tasks.push(task);
  }
  return { tasks };
}

function isDeadLetter(
  { status, type, error, updated_at: updatedAt }: Task,
  filter: ReturnType<typeof taskPageOf>['filter'],
): boolean {
  return (
    status === 'failed' &&
    (filter.type === undefined || type === filter.type) &&
    (filter.code === undefined || error?.code === filter.code) &&
    (filter.since === undefined || Date.parse(updatedAt) >= filter.since)
  );
}
