import type { Task, Topic } from '@agent-orchestrator/core';
import type { Command } from 'commander';
import type { Connection } from '../client/connection.js';
import { followTopic } from '../client/live-socket.js';
import { EXIT, UsageError } from '../exit-code.js';
import { eventLine } from '../print/event-line.js';
import { table } from '../print/table.js';
import type { SettingFlags } from '../settings/settings.js';
import { printable } from '../terminal.js';
import { sayReconnect } from './ask.js';
import { type CommandContext, connectionOf, sessionPath, taskPath } from './command-context.js';

interface ListFlags extends SettingFlags {
  readonly status?: string;
  readonly type?: string;
  readonly session?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

export function addTaskCommands(program: Command, context: CommandContext): void {
  const tasks = program.command('tasks').description('look at tasks, follow them, cancel them');
  tasks
    .command('list')
    .description('the newest tasks')
    .option('--status <status>', 'pending, processing, completed, failed or cancelled')
    .option('--type <type>', 'only of this type')
    .option('-s, --session <id>', 'only of this session')
    .option('-n, --limit <count>', 'how many (default: 20)')
    .option('--cursor <cursor>', 'the page after, as the page before says')
    .action((flags: ListFlags) => list(context, flags));
  tasks
    .command('show')
    .description('one task, with payload, result and calls')
    .argument('<task-id>')
    .action(async (taskId: string, flags: SettingFlags) => {
      const { api } = await connectionOf(context, flags);
      const task = await api.get<Task>(taskPath(taskId));
      if (context.terminal.json) context.terminal.record(task);
      else context.terminal.data(JSON.stringify(task, null, 2));
    });
  tasks
    .command('cancel')
    .description('cancel a task')
    .argument('<task-id>')
    .option('--reason <text>', 'why, for whoever reads it later')
    .action(async (taskId: string, flags: SettingFlags & { readonly reason?: string }) => {
      const { api } = await connectionOf(context, flags);
      const task = await api.post<Task>(
        `${taskPath(taskId)}/cancel`,
        flags.reason === undefined ? {} : { reason: flags.reason },
      );
      if (context.terminal.json) context.terminal.record(task);
      else
        context.terminal.data(
          task.finished_at === undefined
            ? `task ${task.task_id} is told to end`
            : `task ${task.task_id} is ${task.status}`,
        );
    });
  tasks
    .command('tail')
    .description('live events: of one task, of a session, or of everything')
    .argument('[task-id]')
    .option('-s, --session <id>', 'of this session')
    .action((taskId: string | undefined, flags: SettingFlags & { readonly session?: string }) =>
      tail(context, taskId, flags),
    );
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
      `${task.created_at.slice(0, 19)}Z`,
      printable(task.error?.code ?? task.progress?.message ?? ''),
    ]);
    for (const line of table(['task', 'status', 'type', 'created', ''], rows, terminal)) terminal.data(line);
  }
  if (page.next !== undefined) terminal.talk(`more: --cursor ${page.next}`);
}

async function tail(
  context: CommandContext,
  taskId: string | undefined,
  flags: SettingFlags & { readonly session?: string },
): Promise<void> {
  const { terminal, signal } = context;
  if (taskId !== undefined && flags.session !== undefined)
    throw new UsageError('expected a task or --session, got both');
  const connection = await connectionOf(context, flags);
  const topic = await chosenTopic(connection, taskId, flags.session);
  terminal.talk(terminal.dim(`following at ${connection.url}, Ctrl-C ends`));
  const onReconnect = sayReconnect(context);
  for await (const frame of followTopic({ connection, topic, signal, onReconnect })) {
    if (terminal.json) terminal.record(frame);
    if (frame.event === 'subscribed') {
      if (!('task' in frame.snapshot)) continue;
      const { task } = frame.snapshot;
      if (!terminal.json) terminal.data(`task ${task.task_id}: ${task.type}, ${task.status}`);
      if (task.finished_at !== undefined) return;
    } else if (frame.event === 'gap') {
      terminal.talk('some events are no longer kept');
    } else {
      if (!terminal.json) terminal.data(eventLine(frame, terminal, terminal.stdout));
      const ended = frame.event === 'task_completed' || frame.event === 'task_failed';
      if (ended && frame.task_id === taskId) return;
    }
  }
  context.exit(EXIT.interrupted);
}

/** What is named must exist: nothing would ever be heard of it. */
async function chosenTopic(
  { api }: Connection,
  taskId: string | undefined,
  sessionId: string | undefined,
): Promise<Topic> {
  if (taskId !== undefined) {
    await api.get<Task>(taskPath(taskId));
    return { task_id: taskId };
  }
  if (sessionId === undefined) return { tenant: true };
  await api.get(sessionPath(sessionId));
  return { session_id: sessionId };
}
