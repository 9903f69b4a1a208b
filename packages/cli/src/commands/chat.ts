import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import {
  type Message,
  OrchestratorError,
  type Session,
  type Task,
  type TaskEvent,
} from '@agent-orchestrator/core';
import type { Command } from 'commander';
import type { Connection } from '../client/connection.js';
import { currentCursor, followTask } from '../client/task-follower.js';
import { EXIT, exitCodeOf, UsageError } from '../exit-code.js';
import { answerRecord, failureLine, printAnswer } from '../print/answer.js';
import { deltaOf, eventLine } from '../print/event-line.js';
import { type CommandContext, type CommonFlags, connectionOf, withClientFlags } from './command-context.js';

interface ChatFlags extends CommonFlags {
  readonly session?: string;
  readonly agent?: string;
  readonly quiet?: boolean;
  readonly continue?: boolean;
}

export function addChatCommand(program: Command, context: CommandContext): void {
  withClientFlags(program.command('chat'))
    .description('ask a question, or hold a conversation when no question is given')
    .argument('[message...]', 'the question')
    .option('-s, --session <id>', 'go on with this session')
    .option('-c, --continue', 'go on with the newest session')
    .option('-a, --agent <id>', 'the agent that answers (default: assistant)')
    .option('-q, --quiet', 'only the answer, no events')
    .action(async (words: string[], flags: ChatFlags) => {
      const connection = await connectionOf(context, flags);
      const session = await chosenSession(connection, flags);
      const message = words.join(' ').trim();
      if (message !== '') await askOnce(context, connection, message, flags, session);
      else await converse(context, connection, flags, session);
    });
}

/** A session that is named must exist: a typing mistake shall not begin another conversation. */
async function chosenSession(connection: Connection, flags: ChatFlags): Promise<string | undefined> {
  if (flags.session !== undefined) {
    await connection.api.get<Session>(`/v1/sessions/${encodeURIComponent(flags.session)}`);
    return flags.session;
  }
  if (flags.continue !== true) return undefined;
  const { sessions } = await connection.api.get<{ sessions: Session[] }>('/v1/sessions', {
    query: { limit: 1, status: 'active' },
  });
  if (sessions[0]) return sessions[0].session_id;
  throw new OrchestratorError('not_found', 'no session to go on with');
}

async function askOnce(
  context: CommandContext,
  connection: Connection,
  message: string,
  flags: ChatFlags,
  session: string | undefined,
): Promise<void> {
  const task = await ask({ context, connection, message, flags, session, signal: context.signal });
  if (!task) {
    context.exit(EXIT.interrupted);
    return;
  }
  show(context, task);
  context.terminal.talk(
    context.terminal.dim(`session ${task.session_id}: go on with "orchestrator-cli chat -c …"`),
  );
  if (task.status !== 'completed')
    context.exit(task.error?.code === 'timeout' ? EXIT.timeOut : EXIT.taskFailed);
}

export interface Question {
  readonly context: CommandContext;
  readonly connection: Connection;
  readonly message: string;
  readonly flags: Pick<ChatFlags, 'agent' | 'quiet'>;
  readonly session: string | undefined;
  readonly signal: AbortSignal;
}

/** Sends a message, prints its events as they come, returns the final task; cancels it when `signal` fires. */
export async function ask({
  context,
  connection,
  message,
  flags,
  session,
  signal,
}: Question): Promise<Task | undefined> {
  // The position before the task exists: no event of it can be missed.
  const after = await currentCursor(connection, signal);
  const accepted = await connection.api.post<{ task_id: string; session_id: string }>(
    '/v1/chat',
    {
      message,
      ...(session !== undefined && { session_id: session }),
      ...(flags.agent !== undefined && { agent_id: flags.agent }),
    },
    { headers: { 'idempotency-key': randomUUID() }, signal },
  );
  const { task_id: taskId, session_id: sessionId } = accepted;
  const onEvent = flags.quiet === true ? () => {} : eventPrinter(context);
  const task = await followTask(connection, { taskId, sessionId, after, signal, onEvent });
  if (!task)
    await connection.api.post(`/v1/tasks/${taskId}/cancel`, { reason: 'interrupted at the terminal' });
  return task;
}

/** Events as talk; text that a model writes as one running text. */
export function eventPrinter({ terminal }: CommandContext): (event: TaskEvent) => void {
  let writing = false;
  return (event) => {
    if (terminal.json) return;
    const delta = deltaOf(event);
    if (delta !== undefined) {
      terminal.stderr.write(terminal.dim(delta));
      writing = true;
      return;
    }
    if (writing) terminal.stderr.write('\n');
    writing = false;
    terminal.talk(`  ${eventLine(event, terminal)}`);
  };
}

function show({ terminal }: CommandContext, task: Task): void {
  if (terminal.json) terminal.record(answerRecord(task));
  else if (task.status === 'completed') printAnswer(task, terminal);
  else terminal.error(failureLine(task));
}

const HELP = '/new begins another session, /history shows this one, /quit (or Ctrl-D) ends';

async function converse(
  context: CommandContext,
  connection: Connection,
  flags: ChatFlags,
  session: string | undefined,
): Promise<void> {
  const { terminal } = context;
  if (terminal.json) throw new UsageError('chat --json needs a question: expected a message, got none');
  // The server is asked first: better told now than after the first question.
  await connection.api.get('/v1/sessions', { query: { limit: 1 } });
  terminal.talk(
    `${session === undefined ? 'a new conversation' : `session ${session}`} at ${connection.settings.url}. ${HELP}.`,
  );
  const prompt = createInterface({
    input: terminal.stdin,
    output: terminal.stderr,
    terminal: terminal.redraws,
  });
  const state: Conversation = { session, asking: undefined };
  prompt.on('SIGINT', () => (state.asking ? state.asking.abort() : prompt.close()));
  context.signal.addEventListener('abort', () => (state.asking ? state.asking.abort() : prompt.close()), {
    once: true,
  });
  prompt.setPrompt('> ');
  prompt.prompt();
  for await (const line of prompt) {
    const text = line.trim();
    if (text === '/quit' || text === '/exit') break;
    if (text !== '') await turn(context, connection, flags, state, text);
    if (context.signal.aborted) break;
    prompt.prompt();
  }
  prompt.close();
}

interface Conversation {
  session: string | undefined;
  asking: AbortController | undefined;
}

async function turn(
  context: CommandContext,
  connection: Connection,
  flags: ChatFlags,
  state: Conversation,
  text: string,
): Promise<void> {
  const { terminal } = context;
  if (text === '/new') {
    state.session = undefined;
    return;
  }
  if (text === '/history') {
    await showHistory(context, connection, state.session);
    return;
  }
  if (text.startsWith('/')) {
    terminal.talk(`${text} is unknown: ${HELP}`);
    return;
  }
  state.asking = new AbortController();
  try {
    const { signal } = state.asking;
    const task = await ask({ context, connection, message: text, flags, session: state.session, signal });
    state.session = task?.session_id ?? state.session;
    if (task) show(context, task);
    else terminal.talk('cancelled');
  } catch (error) {
    if (exitCodeOf(error) === EXIT.unreachable || exitCodeOf(error) === EXIT.denied) throw error;
    terminal.error((error as Error).message);
  } finally {
    state.asking = undefined;
  }
}

async function showHistory(
  { terminal }: CommandContext,
  connection: Connection,
  session: string | undefined,
): Promise<void> {
  if (session === undefined) {
    terminal.talk('nothing was said yet');
    return;
  }
  const { messages } = await connection.api.get<{ messages: Message[] }>(`/v1/sessions/${session}/messages`);
  for (const { role, content } of messages) terminal.data(`${terminal.paint('bold', role)}: ${content}`);
}
