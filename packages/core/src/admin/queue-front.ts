import { DEFAULTS } from '../protocol/settings.js';
import type { Task } from '../protocol/task.js';
import { BoundedPage } from '../storage/bounded-page.js';
import type { Storage } from '../storage/storage.js';
import type { Explanation } from '../storage/task-records.js';

interface QueueFront {
  readonly tasks: readonly Explanation[];
  /** Whether there are pending tasks beyond those scanned: they may come before the last ones here. */
  readonly isPartial: boolean;
}

/** Scan size for tasks that are not ready. Small pages: others use the same storage. */
const PAGE = 100;
const MAX_PAGES = 10;

/**
 * Tasks of a tenant in the order of their claims, then pending ones that are not ready. At most `max` and 1 MiB, unless the
 * first is larger.
 */
export async function queueFront(
  storage: Pick<Storage, 'tasks'>,
  { tenantId, max }: { readonly tenantId: string; readonly max: number },
): Promise<QueueFront> {
  const ready = await storage.tasks.firstReady({ tenantId, limit: max });
  const behind =
    ready.length < max ? await notReady(storage, { tenantId, max, ready }) : { tasks: [], isPartial: false };
  const ids = [...ready.map(({ task_id }) => task_id), ...behind.tasks].slice(0, max);
  const page = new BoundedPage<Explanation>(max, DEFAULTS.pageBytes);
  for (const taskId of ids) {
    const found = await storage.tasks.explain({ tenantId, taskId });
    if (found && isQueued(found) && !page.take(found)) return { tasks: page.items, isPartial: true };
  }
  return { tasks: page.items, isPartial: behind.isPartial };
}

type Place = Pick<Task, 'task_id' | 'priority' | 'created_at'>;

/** Ids of the first `max` other pending tasks, by priority. */
async function notReady(
  storage: Pick<Storage, 'tasks'>,
  {
    tenantId,
    max,
    ready,
  }: { readonly tenantId: string; readonly max: number; readonly ready: readonly Task[] },
): Promise<{ readonly tasks: readonly string[]; readonly isPartial: boolean }> {
  const known = new Set(ready.map(({ task_id }) => task_id));
  let first: readonly Place[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const found = await storage.tasks.list({
      tenantId,
      filter: { status: 'pending' },
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    const others = found.tasks
      .filter(({ task_id }) => !known.has(task_id))
      .map(({ task_id, priority, created_at }): Place => ({ task_id, priority, created_at }));
    first = [...first, ...others].toSorted(byUrgency).slice(0, max);
    after = found.next;
    if (after === undefined) break;
  }
  return { tasks: first.map(({ task_id }) => task_id), isPartial: after !== undefined };
}

function byUrgency(a: Place, b: Place): number {
  return b.priority - a.priority || (a.created_at < b.created_at ? -1 : Number(a.created_at > b.created_at));
}

function isQueued({ task, state }: Explanation): boolean {
  return task.status === 'pending' || state === 'woken';
}
