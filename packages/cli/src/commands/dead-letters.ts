import { OrchestratorError } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';
import { wholePage } from '../client/whole-page.js';
import { printPage } from '../print/page.js';
import { printable } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { openStorageBackend, type OperatorFlags } from './operator-context.js';
import { localTime } from '../print/local-time.js';

export interface ListFlags extends OperatorFlags {
  readonly limit?: string;
  readonly cursor?: string;
}

const LONGEST = 80;

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { limit = '20', cursor } = flags;
  await using backend = await openStorageBackend(context, flags);
  const { items: tasks, next } = await wholePage(
    async (count, from) => {
      const page = await backend.listTasks({ status: 'failed', limit: count, cursor: from });
      return { items: page.tasks, next: page.next };
    },
    { limit, cursor, signal: context.signal },
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
  await using backend = await openStorageBackend(context, flags);
  const task = await backend.getTask(taskId);
  if (task.status !== 'failed') {
    throw new OrchestratorError(
      'not_found',
      `task ${task.task_id} is not a dead letter: its status is ${task.status}`,
    );
  }
  context.terminal.document(task);
}

export async function redrive(context: CommandContext, taskId: string, flags: OperatorFlags): Promise<void> {
  await using backend = await openStorageBackend(context, flags);
  const task = await backend.redrive(taskId);
  if (context.terminal.json) context.terminal.record(task);
  else context.terminal.data(task.task_id);
}
