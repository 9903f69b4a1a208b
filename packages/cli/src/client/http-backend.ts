import type { JsonValue, Message, Session, Task } from '@agent-orchestrator/core';
import type { ApiClient } from './api-client.js';
import type { Backend, SessionQuery, TaskQuery } from './backend.js';
import { sessionPath, taskPath } from './routes.js';

/** Backend over HTTP; the API key determines the tenant. */
export class HttpBackend implements Backend {
  constructor(private readonly api: ApiClient) {}

  listTasks({ sessionId, idPrefix, ...query }: TaskQuery) {
    return this.api.get<{ tasks: Task[]; next?: string }>('/v1/tasks', {
      query: { ...query, session_id: sessionId, prefix: idPrefix },
    });
  }

  async getTask(taskId: string): Promise<Task> {
    return await this.api.get<Task>(taskPath(taskId));
  }

  async cancelTask(taskId: string, reason: string | undefined): Promise<Task> {
    return await this.api.post<Task>(`${taskPath(taskId)}/cancel`, reason === undefined ? {} : { reason });
  }

  async signalTask(
    taskId: string,
    { name, payload, id }: { readonly name: string; readonly payload: JsonValue; readonly id: string },
  ): Promise<void> {
    const path = `${taskPath(taskId)}/signals/${encodeURIComponent(name)}`;
    await this.api.post(path, { payload }, { headers: { 'idempotency-key': id } });
  }

  listSessions(query: SessionQuery) {
    return this.api.get<{ sessions: Session[]; next?: string }>('/v1/sessions', { query: { ...query } });
  }

  async getSession(sessionId: string): Promise<Session> {
    return await this.api.get<Session>(sessionPath(sessionId));
  }

  async closeSession(sessionId: string): Promise<Session> {
    return await this.api.delete<Session>(sessionPath(sessionId));
  }

  async messages(sessionId: string, limit: string | undefined): Promise<readonly Message[]> {
    const path = `${sessionPath(sessionId)}/messages`;
    return (await this.api.get<{ messages: Message[] }>(path, { query: { limit } })).messages;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
