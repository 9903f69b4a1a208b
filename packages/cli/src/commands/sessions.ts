import type { Message, Session, Task } from '@agent-orchestrator/core';
import type { Command } from 'commander';
import { table } from '../print/table.js';
import type { SettingFlags } from '../settings/settings.js';
import { printable } from '../terminal.js';
import { type CommandContext, connectionOf, sessionPath } from './command-context.js';

interface ListFlags extends SettingFlags {
  readonly status?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

export function addSessionCommands(program: Command, context: CommandContext): void {
  const sessions = program.command('sessions').description('look at conversations');
  sessions
    .command('list')
    .description('the newest sessions')
    .option('--status <status>', 'active or closed')
    .option('-n, --limit <count>', 'how many (default: 20)')
    .option('--cursor <cursor>', 'the page after, as the page before says')
    .action((flags: ListFlags) => list(context, flags));
  sessions
    .command('show')
    .description('one session, with its recent messages and live tasks')
    .argument('<session-id>')
    .option('-n, --limit <count>', 'how many messages (default: 50)')
    .action((sessionId: string, flags: ListFlags) => show(context, sessionId, flags));
}

async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { terminal } = context;
  const { api } = await connectionOf(context, flags);
  const { status, limit = '20', cursor } = flags;
  const page = await api.get<{ sessions: Session[]; next?: string }>('/v1/sessions', {
    query: { status, limit, cursor },
  });
  if (terminal.json) {
    for (const session of page.sessions) terminal.record(session);
    return;
  }
  if (page.sessions.length === 0) terminal.talk('no sessions');
  else {
    const rows = page.sessions.map((session) => [
      session.session_id,
      session.status,
      session.agent_id ?? '',
      `${session.updated_at.slice(0, 19)}Z`,
    ]);
    for (const line of table(['session', 'status', 'agent', 'updated'], rows, terminal)) terminal.data(line);
  }
  if (page.next !== undefined) terminal.talk(`more: --cursor ${page.next}`);
}

async function show(context: CommandContext, sessionId: string, flags: ListFlags): Promise<void> {
  const { terminal } = context;
  const { api } = await connectionOf(context, flags);
  const path = sessionPath(sessionId);
  const session = await api.get<Session>(path);
  const { messages } = await api.get<{ messages: Message[] }>(`${path}/messages`, {
    query: { limit: flags.limit },
  });
  const { tasks } = await api.get<{ tasks: Task[] }>('/v1/tasks', { query: { session_id: sessionId } });
  if (terminal.json) {
    terminal.record({
      session,
      messages,
      tasks: tasks.map(({ task_id, type, status }) => ({ task_id, type, status })),
    });
    return;
  }
  terminal.data(
    `${terminal.paint('bold', session.session_id)}  ${session.status}, rev ${session.rev}, updated ${session.updated_at}`,
  );
  if (Object.keys(session.context).length > 0) terminal.data(`context: ${JSON.stringify(session.context)}`);
  for (const { role, content, created_at } of messages) {
    terminal.data(
      `\n${terminal.paint('bold', role)} ${terminal.paint('dim', `${created_at.slice(0, 19)}Z`)}\n${printable(content)}`,
    );
  }
  const live = tasks.filter((task) => task.finished_at === undefined);
  for (const task of live) terminal.data(`\nrunning: ${task.task_id} (${task.type}, ${task.status})`);
}
