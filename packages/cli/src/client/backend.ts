import type { JsonValue, Message, Session, Task } from '@agent-orchestrator/core';

export interface TaskQuery {
  readonly status?: string | undefined;
  readonly type?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly code?: string | undefined;
  /** ISO 8601. */
  readonly since?: string | undefined;
  readonly idPrefix?: string | undefined;
  /** Unvalidated: the backend checks it. */
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}

export interface SessionQuery {
  readonly status?: string | undefined;
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}

/**
 * Source of tasks and sessions of one tenant: an orchestrator over HTTP, or the storage itself. Both throw
 * `OrchestratorError`s with the same codes.
 */
export interface Backend extends AsyncDisposable {
  listTasks(query: TaskQuery): Promise<{ readonly tasks: readonly Task[]; readonly next?: string }>;
  getTask(taskId: string): Promise<Task>;
  cancelTask(taskId: string, reason: string | undefined): Promise<Task>;
  /** @param id names the signal: a repeated one has no effect. */
  signalTask(
    taskId: string,
    signal: { readonly name: string; readonly payload: JsonValue; readonly id: string },
  ): Promise<void>;
  listSessions(
    query: SessionQuery,
  ): Promise<{ readonly sessions: readonly Session[]; readonly next?: string }>;
  getSession(sessionId: string): Promise<Session>;
  /** Its live tasks are cancelled. */
  closeSession(sessionId: string): Promise<Session>;
  messages(sessionId: string, limit: string | undefined): Promise<readonly Message[]>;
}
