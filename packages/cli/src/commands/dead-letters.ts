import { OrchestratorError } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';
import { wholePage } from '../client/whole-page.js';
import { printPage } from '../print/page.js';
import { printable } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { pageSize } from './flag-numbers.js';
import { openAccess, type OperatorFlags, taskOf, tenantOf } from './operator-context.js';
import { localTime } from '../print/local-time.js';

export interface ListFlags extends OperatorFlags {
  readonly limit?: string;
  readonly cursor?: string;
}

const LONGEST = 80;

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const limit = pageSize(flags.limit, 20);
  const { cursor } = flags;
  await using access = await openAccess(context, flags);
  const tenantId = tenantOf(flags.tenant, access.tenant);
  const { items: tasks, next } = await wholePage(
    (count, from) => access.admin.tasks({ tenantId, status: 'failed', limit: Number(count), cursor: from }),
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
  context.terminal.document(task);
}

export async function redrive(context: CommandContext, taskId: string, flags: OperatorFlags): Promise<void> {
  await using access = await openAccess(context, flags);
  const task = await access.admin.redrive(taskOf(access, flags, taskId));
  if (context.terminal.json) context.terminal.record(task);
  else context.terminal.data(task.task_id);
}
