import { isFinalEvent, type Storage, type TaskEvent } from '../../src/index.js';
import { formatCursor, parseCursor } from '../../src/protocol/index.js';

const PAGE = 1_000;

/** Every event of a tenant since its first one. */
export async function historyOf(storage: Storage, tenantId: string): Promise<TaskEvent[]> {
  const head = parseCursor(await storage.events.head({ tenantId }));
  if (!head) throw new Error('the log has no position');
  const events: TaskEvent[] = [];
  let after = formatCursor({ epoch: head.epoch, seq: 0 });
  for (;;) {
    const page = await storage.events.read({ tenantId, after, limit: PAGE });
    if (page.gap) throw new Error('the log does not go back to its beginning');
    if (page.events.length === 0) return events;
    events.push(...page.events);
    after = page.cursor;
  }
}

export interface Verdict {
  /** Tasks whose `rev` does not go 1, 2, 3, … */
  readonly gaps: readonly string[];
  /** Tasks that have another number of final events than one, or went on after it. */
  readonly notFinalOnce: readonly string[];
}

const isFinal = ({ event }: TaskEvent) => isFinalEvent(event);

/** What a log says of the tasks that were acknowledged; all others in it are looked at too. */
export function judge(events: readonly TaskEvent[], acknowledged: Iterable<string>): Verdict {
  const byTask = new Map<string, TaskEvent[]>([...acknowledged].map((id) => [id, []]));
  for (const event of events) {
    if (event.task_id === undefined) continue;
    const own = byTask.get(event.task_id) ?? [];
    if (own.length === 0) byTask.set(event.task_id, own);
    own.push(event);
  }
  const gaps: string[] = [];
  const notFinalOnce: string[] = [];
  for (const [taskId, own] of byTask) {
    if (own.length === 0 || own.some(({ rev }, index) => rev !== index + 1)) gaps.push(taskId);
    const last = own.at(-1);
    if (own.filter(isFinal).length !== 1 || !last || !isFinal(last)) notFinalOnce.push(taskId);
  }
  return { gaps, notFinalOnce };
}
