import type { Task, Topic } from '@agent-orchestrator/core';
import type { Command } from 'commander';
import { followTopic } from '../client/live-socket.js';
import { EXIT, UsageError } from '../exit-code.js';
import { eventLine } from '../print/event-line.js';
import { table } from '../print/table.js';
import { type CommandContext, type CommonFlags, connectionOf, withClientFlags } from './command-context.js';

interface ListFlags extends CommonFlags {
  readonly status?: string;
  readonly type?: string;
  readonly session?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

export function addTaskCommands(program: Command, context: CommandContext): void {
  const tasks = program.command('tasks').description('look at tasks, follow them, cancel them');
  withClientFlags(tasks.command('list'))
    .description('the newest tasks')
    .option('--status <status>', 'pending, processing, completed, failed or cancelled')
    .option('--type <type>', 'only of this type')
    .option('-s, --session <id>', 'only of this session')
    .option('-n, --limit <count>', 'how many (default: 20)')
    .option('--cursor <cursor>', 'the page after, as the page before says')
    .action((flags: ListFlags) => list(context, flags));
  withClientFlags(tasks.command('show'))
    .description('one task, with payload, result and calls')
    .argument('<task-id>')
    .action(async (taskId: string, flags: CommonFlags) => {
      const { api } = await connectionOf(context, flags);
      const task = await api.get<Task>(taskPath(taskId));
      if (context.terminal.json) context.terminal.record(task);
      else context.terminal.data(JSON.stringify(task, null, 2));
    });
  withClientFlags(tasks.command('cancel'))
    .description('cancel a task')
    .argument('<task-id>')
    .option('--reason <text>', 'why, for whoever reads it later')
    .action(async (taskId: string, flags: CommonFlags & { readonly reason?: string }) => {
      const { api } = await connectionOf(context, flags);
      const task = await api.post<Task>(
        `${taskPath(taskId)}/cancel`,
        flags.reason === undefined ? {} : { reason: flags.reason },
      );
      if (context.terminal.json) context.terminal.record(task);
      else
        context.terminal.data(
          `task ${task.task_id} is ${task.status}${task.status === 'processing' ? ', and told to end' : ''}`,
        );
    });
  withClientFlags(tasks.command('tail'))
    .description('live events: of one task, of a session, or of everything')
    .argument('[task-id]')
    .option('-s, --session <id>', 'of this session')
    .action((taskId: string | undefined, flags: CommonFlags & { readonly session?: string }) =>
      tail(context, taskId, flags),
    );
}

function taskPath(taskId: string): string {
  return `/v1/tasks/${encodeURIComponent(taskId)}`;
}

async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { terminal } = context;
  const { api } = await connectionOf(context, flags);
  const { status, type, session, limit = '20', cursor } = flags;
  const page = await api.get<{ tasks: Task[]; next?: string }>('/v1/tasks', {
    query: { status, type, session_id: session, limit, cursor },
  });
  if (terminal.json) {
    for (const task of page.tasks) terminal.record(task);
    return;
  }
  if (page.tasks.length === 0) terminal.talk('no tasks');
  else {
    const rows = page.tasks.map((task) => [
      task.task_id,
      task.status,
      task.type,
      task.created_at.slice(0, 19),
      task.error?.code ?? task.progress?.message ?? '',
    ]);
    for (const line of table(['task', 'status', 'type', 'created', ''], rows, terminal)) terminal.data(line);
  }
  if (page.next !== undefined) terminal.talk(`more: --cursor ${page.next}`);
}

async function tail(
  context: CommandContext,
  taskId: string | undefined,
  flags: CommonFlags & { readonly session?: string },
): Promise<void> {
  const { terminal, signal } = context;
  if (taskId !== undefined && flags.session !== undefined)
    throw new UsageError('expected a task or --session, got both');
  const connection = await connectionOf(context, flags);
  if (taskId !== undefined) {
    const { api } = connection;
    await api.get<Task>(taskPath(taskId));
  }
  const topic: Topic =
    taskId !== undefined
      ? { task_id: taskId }
      : flags.session !== undefined
        ? { session_id: flags.session }
        : { tenant: true };
  const { url, apiKey } = connection.settings;
  const onReconnect = (waitMs: number) => terminal.talk(`connection lost, again in ${waitMs} ms`);
  for await (const frame of followTopic({ url, apiKey, topic, signal, onReconnect })) {
    if (terminal.json) terminal.record(frame);
    if (frame.event === 'subscribed') {
      if (!('task' in frame.snapshot)) continue;
      const { task } = frame.snapshot;
      if (!terminal.json) terminal.data(`task ${task.task_id}: ${task.type}, ${task.status}`);
      if (task.finished_at !== undefined) return;
    } else if (frame.event === 'gap') {
      terminal.talk('some events are no longer kept');
    } else {
      if (!terminal.json) terminal.data(eventLine(frame, terminal));
      const ended = frame.event === 'task_completed' || frame.event === 'task_failed';
      if (ended && frame.task_id === taskId) return;
    }
  }
  context.exit(EXIT.interrupted);
}
