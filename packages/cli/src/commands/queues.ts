import { PAGE_SIZES } from '@agent-orchestrator/core/protocol';
import type { QueueReport } from '@agent-orchestrator/core/server';
import { printTenant, QUEUE_COLUMNS, queueRow } from '../print/tenant-report.js';
import { table } from '../print/table.js';
import { printable, type Terminal } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { pageSize } from './flag-numbers.js';
import { openAccess, validTenant } from './operator-context.js';
import { type ListFlags, listTenants } from './tenant-list.js';
import { localTime } from '../print/local-time.js';

export function list(context: CommandContext, flags: ListFlags): Promise<void> {
  return listTenants(context, flags, { head: QUEUE_COLUMNS, row: queueRow });
}

export async function inspect(context: CommandContext, tenant: string, flags: ListFlags): Promise<void> {
  const tenantId = validTenant(tenant);
  // One page over HTTP too.
  const limit = pageSize(flags.limit, 10, PAGE_SIZES.http.max);
  await using access = await openAccess(context, flags);
  const queue = await access.admin.queue(tenantId, { limit });
  const { terminal } = context;
  if (terminal.json) {
    terminal.record(queue);
    return;
  }
  printTenant(terminal, queue);
  printFront(terminal, queue);
}

function printFront(terminal: Terminal, { first_in_queue: tasks, partial }: QueueReport): void {
  if (tasks.length === 0) {
    terminal.talk('nothing is pending');
    return;
  }
  const rows = tasks.map(({ task, state, since, reason, position }) => [
    position === undefined ? '-' : String(position),
    task.task_id,
    task.type,
    String(task.priority),
    state,
    localTime(since),
    printable(reason),
  ]);
  const head = ['position', 'task', 'type', 'priority', 'state', 'since', 'why'];
  for (const line of table(head, rows, terminal)) terminal.data(line);
  if (partial)
    terminal.talk(
      'more is pending than was looked through: of what is not ready yet, others may come before these',
    );
}
