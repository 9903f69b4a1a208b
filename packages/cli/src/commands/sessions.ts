import { type Message, OrchestratorError, type Session, type Task } from '@agent-orchestrator/core';
import type { Backend } from '../client/backend.js';
import { idOfPrefix, MIN_PREFIX } from '../client/id-prefix.js';
import { printable, shownJson } from '../terminal/terminal.js';
import type { CommandContext } from './command-context.js';
import { openBackend, type OperatorFlags } from './operator-context.js';
import { type PageFlags, printList } from './print-list.js';
import { localTime } from '../print/local-time.js';

export interface ListFlags extends OperatorFlags, PageFlags {
  readonly status?: string;
}

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { status } = flags;
  await using backend = await openBackend(context, flags);
  await printList<Session>(
    context,
    { ...flags, usual: '20' },
    async (limit, cursor) => {
      const { sessions: items, next } = await backend.listSessions({ status, limit, cursor });
      return { items, next };
    },
    {
      none: 'no sessions',
      head: ['session', 'status', 'agent', 'updated'],
      row: ({ session_id, status: now, agent_id = '', updated_at }) => [
        session_id,
        now,
        agent_id,
        localTime(updated_at),
      ],
    },
  );
}

/** A session by its id, or by the beginning of it among the newest thousand. */
async function namedSession(backend: Backend, text: string): Promise<Session> {
  try {
    return await backend.getSession(text);
  } catch (error) {
    if (!isNotFound(error) || text.length < MIN_PREFIX) throw error;
  }
  const id = await idOfPrefix(text, 'the newest 1,000 sessions', async (cursor) => {
    const { sessions, next } = await backend.listSessions({ limit: '100', cursor });
    return {
      ids: sessions.map(({ session_id }) => session_id).filter((known) => known.startsWith(text)),
      next,
    };
  });
  return backend.getSession(id);
}

function isNotFound(error: unknown): boolean {
  return error instanceof OrchestratorError && error.code === 'not_found';
}

export async function show(context: CommandContext, text: string, flags: ListFlags): Promise<void> {
  const { terminal } = context;
  await using backend = await openBackend(context, flags);
  const session = await namedSession(backend, text);
  const sessionId = session.session_id;
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

export async function close(context: CommandContext, text: string, flags: OperatorFlags): Promise<void> {
  const { terminal } = context;
  await using backend = await openBackend(context, flags);
  const session = await backend.closeSession((await namedSession(backend, text)).session_id);
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
