import type { Explanation, Storage, Task } from '@agent-orchestrator/core';

export interface FirstInLine {
  readonly tasks: readonly Explanation[];
  /** Whether the queue is longer than what was looked through: then others may come before these. */
  readonly isPartial: boolean;
}

/** Small pages: others use the same Redis. */
const PAGE = 100;
const MAX_PAGES = 100;

/** The pending tasks of a tenant that are claimed next, in their order; what is not ready yet comes behind. */
export async function firstInLine(
  storage: Pick<Storage, 'tasks'>,
  { tenantId, max }: { readonly tenantId: string; readonly max: number },
): Promise<FirstInLine> {
  let candidates: Task[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { tasks, next } = await storage.tasks.list({
      tenantId,
      filter: { status: 'pending' },
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    // Those that wait for their session or their time take no place of one that is ready.
    candidates = [...candidates, ...tasks].toSorted(byUrgency).slice(0, max * 4);
    after = next;
    if (after === undefined) break;
  }
  const explained = await Promise.all(
    candidates.map(({ task_id: taskId }) => storage.tasks.explain({ tenantId, taskId })),
  );
  const waiting = explained.filter((found) => found !== undefined && found.task.status === 'pending');
  const inOrder = (waiting as Explanation[]).toSorted((a, b) => placeOf(a) - placeOf(b));
  return { tasks: inOrder.slice(0, max), isPartial: after !== undefined };
}

function byUrgency(a: Task, b: Task): number {
  return b.priority - a.priority || (a.created_at < b.created_at ? -1 : Number(a.created_at > b.created_at));
}

function placeOf({ position = Number.MAX_SAFE_INTEGER }: Explanation): number {
  return position;
}
