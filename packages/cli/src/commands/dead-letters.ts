import { OrchestratorError } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';
import type { Command } from 'commander';
import { printPage } from '../print/page.js';
import { printable } from '../terminal.js';
import type { CommandContext } from './command-context.js';
import { openStorageBackend, type OperatorFlags, withTenantFlags } from './operator-context.js';
import { localTime } from '../print/local-time.js';

interface ListFlags extends OperatorFlags {
  readonly limit?: string;
  readonly cursor?: string;
}

const LONGEST = 80;

export function addDeadLetterCommands(program: Command, context: CommandContext): void {
  const deadLetters = program
    .command('dlq')
    .description('dead letter queue: failed tasks, directly from Redis');
  withTenantFlags(deadLetters.command('list'))
    .description('the newest failed tasks')
    .option('-n, --limit <count>', 'maximum number (default: 20)')
    .option('--cursor <cursor>', 'next page, as printed by the previous one')
    .action((flags: ListFlags) => list(context, flags));
  withTenantFlags(deadLetters.command('show'))
    .description('one failed task, with payload, error and calls')
    .argument('<task-id>')
    .action((taskId: string, flags: OperatorFlags) => show(context, taskId, flags));
  withTenantFlags(deadLetters.command('redrive'))
    .description('run a failed task again without its successful steps; prints the id of the new task')
    .argument('<task-id>')
    .action(async (taskId: string, flags: OperatorFlags) => {
      await using backend = await openStorageBackend(context, flags);
      const task = await backend.redrive(taskId);
      if (context.terminal.json) context.terminal.record(task);
      else context.terminal.data(task.task_id);
    });
}

async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { limit = '20', cursor } = flags;
  await using backend = await openStorageBackend(context, flags);
  const { tasks, next } = await backend.listTasks({ status: 'failed', limit, cursor });
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

async function show(context: CommandContext, taskId: string, flags: OperatorFlags): Promise<void> {
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
