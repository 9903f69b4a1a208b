import type { Explanation, Storage, Task } from '@agent-orchestrator/core';

export interface QueueFront {
  readonly tasks: readonly Explanation[];
  /** Whether there are pending tasks beyond those scanned: they may wait longer than the last ones here. */
  readonly isPartial: boolean;
}

/** Scan size for tasks that are not ready. Small pages: others use the same storage. */
const PAGE = 100;
const MAX_PAGES = 10;

/** Tasks of a tenant in the order of their claims, then pending ones that are not ready. */
export async function queueFront(
  storage: Pick<Storage, 'tasks'>,
  { tenantId, max }: { readonly tenantId: string; readonly max: number },
): Promise<QueueFront> {
  const ready = await storage.tasks.firstReady({ tenantId, limit: max });
  const behind =
    ready.length < max ? await notReady(storage, tenantId, ready) : { tasks: [], isPartial: false };
  const shown = [...ready, ...behind.tasks].slice(0, max);
  const explained = await Promise.all(
    shown.map(({ task_id: taskId }) => storage.tasks.explain({ tenantId, taskId })),
  );
  const pending = explained.filter((found) => found !== undefined && isQueued(found)) as Explanation[];
  return { tasks: pending, isPartial: behind.isPartial };
}

/** Other pending tasks, by priority. */
async function notReady(
  storage: Pick<Storage, 'tasks'>,
  tenantId: string,
  ready: readonly Task[],
): Promise<{ readonly tasks: readonly Task[]; readonly isPartial: boolean }> {
  const known = new Set(ready.map(({ task_id }) => task_id));
  const tasks: Task[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const found = await storage.tasks.list({
      tenantId,
      filter: { status: 'pending' },
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    tasks.push(...found.tasks.filter(({ task_id }) => !known.has(task_id)));
    after = found.next;
    if (after === undefined) break;
  }
  return { tasks: tasks.toSorted(byUrgency), isPartial: after !== undefined };
}

function byUrgency(a: Task, b: Task): number {
  return b.priority - a.priority || (a.created_at < b.created_at ? -1 : Number(a.created_at > b.created_at));
}

function isQueued({ task, state }: Explanation): boolean {
  return task.status === 'pending' || state === 'woken';
}
