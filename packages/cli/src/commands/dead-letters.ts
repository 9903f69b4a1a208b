import { OrchestratorError } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';
import { wholePage } from '../client/whole-page.js';
import { UsageError } from '../errors/errors.js';
import type { OperatorAccess } from '../operators/operator-access.js';
import { printPage } from '../print/page.js';
import { printTask } from '../print/task-report.js';
import { printable } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { pageSize } from './flag-numbers.js';
import { openAccess, type OperatorFlags, taskOf, tenantOf } from './operator-context.js';
import { localTime } from '../print/local-time.js';

export interface RedriveFlags extends OperatorFlags {
  readonly all?: boolean;
  readonly type?: string;
  readonly dryRun?: boolean;
}

export interface ListFlags extends OperatorFlags {
  readonly type?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

const LONGEST = 80;

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const limit = pageSize(flags.limit, 20);
  const { cursor, type } = flags;
  await using access = await openAccess(context, flags);
  const tenantId = tenantOf(flags.tenant, access.tenant);
  const { items: tasks, next } = await wholePage(
    (count, from) =>
      access.admin.tasks({ tenantId, status: 'failed', type, limit: Number(count), cursor: from }),
    { limit: String(limit), cursor, signal: context.signal },
  );
  printPage(context.terminal, {
    none: 'no dead letters',
    head: ['task', 'type', 'attempts', 'failed', 'code', 'message'],
    items: tasks,
    next,
    row: ({ task_id, type, attempt, finished_at = '', error }) => [
      task_id,
      type,
      String(attempt),
      localTime(finished_at),
      error?.code ?? '',
      cutText(printable(error?.message ?? ''), LONGEST),
    ],
  });
}

export async function show(context: CommandContext, taskId: string, flags: OperatorFlags): Promise<void> {
  await using access = await openAccess(context, flags);
  const task = await access.admin.task(taskOf(access, flags, taskId));
  if (task.status !== 'failed') {
    throw new OrchestratorError(
      'not_found',
      `task ${task.task_id} is not a dead letter: its status is ${task.status}`,
    );
  }
  printTask(context.terminal, task);
}

export async function redrive(
  context: CommandContext,
  taskId: string | undefined,
  flags: RedriveFlags,
): Promise<void> {
  if ((taskId === undefined) !== (flags.all === true))
    throw new UsageError(
      'expected a task id, or --all for all dead letters of the tenant, got neither or both',
    );
  await using access = await openAccess(context, flags);
  if (taskId === undefined) {
    await redriveAll(context, access, flags);
    return;
  }
  if (flags.type !== undefined || flags.dryRun === true)
    throw new UsageError('--type and --dry-run choose among all: expected them with --all');
  const task = await access.admin.redrive(taskOf(access, flags, taskId));
  if (context.terminal.json) context.terminal.record(task);
  else context.terminal.data(task.task_id);
}

/** In portions of the server, until none is left. */
async function redriveAll(
  { terminal, signal }: CommandContext,
  { admin, tenant: usual }: OperatorAccess,
  { tenant, type, dryRun = false }: RedriveFlags,
): Promise<void> {
  const filter = { tenant: tenantOf(tenant, usual), ...(type !== undefined && { type }) };
  const total = { matched: 0, done: 0 };
  let cursor: string | undefined;
  do {
    const report = await admin.redriveAll(filter, { dryRun, cursor, signal });
    total.matched += report.matched;
    total.done += report.done;
    cursor = report.next;
    if (cursor !== undefined) terminal.talk(terminal.dim(`${total.matched} so far …`));
  } while (cursor !== undefined && !signal.aborted);
  if (terminal.json) terminal.record(total);
  else if (dryRun) terminal.data(`${total.matched} would run again`);
  else terminal.data(`${total.done} of ${total.matched} run again`);
}
