import type { TenantStats } from '@agent-orchestrator/core';
import { printPage } from '../print/page.js';
import { printTenantStats, QUEUE_COLUMNS, queueRow, tenantStatsRecord } from '../print/tenant-stats.js';
import { table } from '../print/table.js';
import type { SettingFlags } from '../settings/settings.js';
import { type QueueFront, queueFront } from '../operators/queue-front.js';
import { printable, type Terminal } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { pageSize } from './flag-numbers.js';
import { validTenant, withOperatorStorage } from './operator-context.js';
import { localTime } from '../print/local-time.js';

export interface ListFlags extends SettingFlags {
  readonly limit?: string;
  readonly cursor?: string;
}

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const limit = pageSize(flags.limit, 100);
  const { cursor: after } = flags;
  await withOperatorStorage(context, flags, async (storage) => {
    const page = await storage.tenants.list({ limit, ...(after !== undefined && { after }) });
    printPage<TenantStats>(context.terminal, {
      none: 'no tenants',
      head: QUEUE_COLUMNS,
      items: page.tenants,
      row: queueRow,
      record: tenantStatsRecord,
      next: page.next,
    });
  });
}

export async function inspect(context: CommandContext, tenant: string, flags: ListFlags): Promise<void> {
  const tenantId = validTenant(tenant);
  const max = pageSize(flags.limit, 10);
  await withOperatorStorage(context, flags, async (storage) => {
    const stats = await storage.tenants.get({ tenantId });
    const line = await queueFront(storage, { tenantId, max });
    const { terminal } = context;
    if (terminal.json) {
      terminal.record({ ...tenantStatsRecord(stats), first_in_queue: line.tasks, partial: line.isPartial });
      return;
    }
    printTenantStats(terminal, stats);
    printLine(terminal, line);
  });
}

function printLine(terminal: Terminal, { tasks, isPartial }: QueueFront): void {
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
  if (isPartial)
    terminal.talk(
      'more is pending than was looked through: of what is not ready yet, others may come before these',
    );
}
