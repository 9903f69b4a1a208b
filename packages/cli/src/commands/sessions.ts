import type { Message, Session, Task } from '@agent-orchestrator/core';
import { wholePage } from '../client/whole-page.js';
import { printPage } from '../print/page.js';
import { printable, shownJson } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { openBackend, type OperatorFlags } from './operator-context.js';
import { localTime } from '../print/local-time.js';

export interface ListFlags extends OperatorFlags {
  readonly status?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { status, limit = '20', cursor } = flags;
  await using backend = await openBackend(context, flags);
  const { items: sessions, next } = await wholePage(
    async (count, from) => {
      const page = await backend.listSessions({ status, limit: count, cursor: from });
      return { items: page.sessions, next: page.next };
    },
    { limit, cursor, signal: context.signal },
  );
  printPage(context.terminal, {
    none: 'no sessions',
    head: ['session', 'status', 'agent', 'updated'],
    items: sessions,
    next,
    row: ({ session_id, status, agent_id = '', updated_at }) => [
      session_id,
      status,
      agent_id,
      localTime(updated_at),
    ],
  });
}

export async function show(context: CommandContext, sessionId: string, flags: ListFlags): Promise<void> {
  const { terminal } = context;
  await using backend = await openBackend(context, flags);
  const session = await backend.getSession(sessionId);
  const messages = await backend.messages(sessionId, flags.limit);
  const { tasks } = await backend.listTasks({ sessionId });
  if (terminal.json) {
    terminal.record({
      session,
      messages,
      tasks: tasks.map(({ task_id, type, status }) => ({ task_id, type, status })),
    });
  } else print(context, session, messages, tasks);
}

export async function close(context: CommandContext, sessionId: string, flags: OperatorFlags): Promise<void> {
  const { terminal } = context;
  await using backend = await openBackend(context, flags);
  const session = await backend.closeSession(sessionId);
  if (terminal.json) terminal.record(session);
  else terminal.data(`session ${session.session_id} is ${session.status}`);
}

function print(
  { terminal }: CommandContext,
  session: Session,
  messages: readonly Message[],
  tasks: readonly Task[],
): void {
  terminal.data(
    `${terminal.paint('bold', session.session_id)}  ${session.status}, rev ${session.rev}, updated ${localTime(session.updated_at)}`,
  );
  if (Object.keys(session.context).length > 0) terminal.data(`context: ${shownJson(session.context)}`);
  for (const { role, content, created_at } of messages) {
    terminal.data(
      `\n${terminal.paint('bold', role)} ${terminal.paint('dim', localTime(created_at))}\n${printable(content)}`,
    );
  }
  const live = tasks.filter((task) => task.finished_at === undefined);
  for (const task of live) terminal.data(`\nrunning: ${task.task_id} (${task.type}, ${task.status})`);
}
