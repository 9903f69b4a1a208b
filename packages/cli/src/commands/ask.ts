import { randomUUID } from 'node:crypto';
import type { Task } from '@agent-orchestrator/core';
import type { Connection } from '../client/connection.js';
import { currentCursor, followTask } from '../client/task-follower.js';
import { answerRecord, failureLine, printAnswer } from '../print/answer.js';
import { EventPrinter } from '../print/event-printer.js';
import type { CommandContext } from './command-context.js';

export interface Question {
  readonly message: string;
  readonly session?: string | undefined;
  readonly agent?: string | undefined;
  /** Omits events. */
  readonly quiet?: boolean | undefined;
  /** Cancels the task when aborted. */
  readonly signal: AbortSignal;
  /** Called with the session once the message is stored. */
  readonly onAccepted?: (sessionId: string) => void;
}

/** Time limit of the cancel request after an interrupt, ms. */
const CANCEL_MS = 2_000;

/**
 * Sends a message, prints its events and answer, returns the final task; `undefined` once `signal` aborts.
 */
export async function ask(
  context: CommandContext,
  connection: Connection,
  { message, session, agent, quiet, signal, onAccepted }: Question,
): Promise<Task | undefined> {
  let taskId: string | undefined;
  try {
    // Cursor before the task exists: none of its events is missed.
    const after = await currentCursor(connection, signal);
    const accepted = await connection.api.post<{ task_id: string; session_id: string }>(
      '/v1/chat',
      {
        message,
        ...(session !== undefined && { session_id: session }),
        ...(agent !== undefined && { agent_id: agent }),
      },
      { headers: { 'idempotency-key': randomUUID() }, signal },
    );
    taskId = accepted.task_id;
    const { session_id: sessionId } = accepted;
    onAccepted?.(sessionId);
    const events = new EventPrinter(context.terminal);
    const task = await followTask(connection, {
      taskId,
      sessionId,
      after,
      signal,
      onEvent: (event) => quiet !== true && events.print(event),
      onReconnect: sayReconnect(context),
    });
    if (task) {
      await show(context, task, events);
      return task;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (taskId !== undefined) await cancel(connection, taskId);
  return undefined;
}

async function cancel({ api }: Connection, taskId: string): Promise<void> {
  const body = { reason: 'interrupted at the terminal' };
  // The reader has gone: a failure is ignored.
  await api
    .post(`/v1/tasks/${taskId}/cancel`, body, { signal: AbortSignal.timeout(CANCEL_MS) })
    .catch(() => undefined);
}

export function sayReconnect({ terminal }: CommandContext): () => void {
  return () => terminal.talk(terminal.dim('connection lost, reconnecting'));
}

/** Prints the answer of a task, or its error. Text already written to the same terminal is not repeated. */
export async function show({ terminal }: CommandContext, task: Task, events: EventPrinter): Promise<void> {
  events.end();
  const { content, sources } = (task.result ?? {}) as { content?: unknown; sources?: readonly unknown[] };
  const isThere = terminal.isOneScreen && String(content).trim() === events.written.trim();
  if (terminal.json) terminal.record(answerRecord(task));
  else if (task.status !== 'completed') terminal.error(failureLine(task));
  else printAnswer(task, terminal, { isThere });
  if (sources?.length !== 0) return;
  const { NO_DOCUMENTS } = await import('@agent-orchestrator/local-stack');
  if (content === NO_DOCUMENTS) terminal.talk('ingest some with: orchestrator-cli ingest <files, folders>');
}
