import { OrchestratorError, type Session } from '@agent-orchestrator/core';
import type { Connection } from '../client/connection.js';
import { sessionPath } from '../client/routes.js';
import { EXIT, UsageError } from '../errors/errors.js';
import { exitCodeOfTask } from '../errors/exit-code.js';
import type { SettingFlags } from '../settings/settings.js';
import { ask, type Question } from './ask.js';
import { type CommandContext, connectionOf } from './command-context.js';
import { Conversation } from './conversation.js';

export interface ChatFlags extends SettingFlags {
  readonly session?: string;
  readonly agent?: string;
  readonly quiet?: boolean;
  readonly continue?: boolean;
}

export async function chat(context: CommandContext, words: string[], flags: ChatFlags): Promise<void> {
  const message = words.join(' ').trim();
  if (words.length > 0 && message === '') throw new UsageError('expected a question, got an empty one');
  if (flags.session !== undefined && flags.continue === true) {
    throw new UsageError('expected --session or --continue, got both');
  }
  const connection = await connectionOf(context, flags);
  const session = await chosenSession(connection, flags);
  const { agent, quiet } = flags;
  if (message === '') await new Conversation(context, connection, { session, agent, quiet }).hold();
  else await askOnce(context, connection, message, { session, agent, quiet });
}

async function chosenSession(connection: Connection, flags: ChatFlags): Promise<string | undefined> {
  if (flags.session !== undefined) return existingSession(connection, flags.session);
  if (flags.continue !== true) return undefined;
  const { sessions } = await connection.api.get<{ sessions: Session[] }>('/v1/sessions', {
    query: { limit: 1, status: 'active' },
  });
  if (sessions[0]) return sessions[0].session_id;
  throw new OrchestratorError('not_found', 'no session to continue: expected an active one, got none');
}

/** A named session must exist: a typing mistake must not start another conversation. */
export async function existingSession({ api }: Connection, sessionId: string): Promise<string> {
  await api.get<Session>(sessionPath(sessionId));
  return sessionId;
}

async function askOnce(
  context: CommandContext,
  connection: Connection,
  message: string,
  how: Pick<Question, 'session' | 'agent' | 'quiet'>,
): Promise<void> {
  const { terminal, signal } = context;
  const task = await ask(context, connection, { message, ...how, signal });
  if (!task) {
    terminal.talk('cancelled');
    context.exit(EXIT.interrupted);
    return;
  }
  context.exit(exitCodeOfTask(task));
  if (task.status !== 'completed') return;
  terminal.talk(terminal.dim(`session ${task.session_id}: continue with "orchestrator-cli chat -c …"`));
}
