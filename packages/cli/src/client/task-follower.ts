import { isFinal, isFinalEvent, type Task, type TaskEvent } from '@agent-orchestrator/core';
import type { Connection } from './connection.js';
import { followTopic, type LiveFrame } from './live-socket.js';

export interface FollowedTask {
  readonly taskId: string;
  /** Also follows the session: services' work on the task's calls has events of its own there. */
  readonly sessionId?: string;
  readonly after?: string;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TaskEvent) => void;
  /** Called when the connection was lost and is retried. */
  readonly onReconnect?: () => void;
}

/**
 * Follows a task to its end over the live connection; returns the final task, or `undefined` once `signal`
 * aborts.
 */
export async function followTask(connection: Connection, options: FollowedTask): Promise<Task | undefined> {
  const { taskId, sessionId, after, onEvent, onReconnect } = options;
  const topic = sessionId === undefined ? { task_id: taskId } : { session_id: sessionId };
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const fetchTask = () => connection.api.get<Task>(`/v1/tasks/${taskId}`);
  try {
    for await (const frame of followTopic({
      connection,
      topic,
      signal,
      ...(after !== undefined && { after }),
      ...(onReconnect && { onReconnect }),
    })) {
      if (frame.event === 'subscribed' || frame.event === 'gap') {
        const known = inSnapshot(frame, taskId) ?? (await fetchTask());
        // With a cursor, the final event is still to come.
        if (isFinal(known.status) && (after === undefined || frame.event === 'gap')) return known;
        continue;
      }
      onEvent(frame);
      if (isFinalEvent(frame.event) && frame.task_id === taskId) return await fetchTask();
    }
    return undefined;
  } finally {
    over.abort();
  }
}

function inSnapshot(
  frame: LiveFrame & { readonly event: 'subscribed' | 'gap' },
  taskId: string,
): Task | undefined {
  if ('task' in frame.snapshot) return frame.snapshot.task;
  return 'tasks' in frame.snapshot ? frame.snapshot.tasks.find((task) => task.task_id === taskId) : undefined;
}

/** Head of the tenant's log: following from here misses nothing requested later. */
export async function currentCursor(connection: Connection, signal: AbortSignal): Promise<string> {
  const over = new AbortController();
  try {
    const either = AbortSignal.any([signal, over.signal]);
    for await (const frame of followTopic({ connection, topic: { tenant: true }, signal: either })) {
      if (frame.event === 'subscribed') return frame.cursor;
    }
    throw signal.reason;
  } finally {
    over.abort();
  }
}
