import {
  GlobalTaskRegistry,
  type JsonValue,
  type Message,
  type Session,
  SessionManager,
  type Storage,
  type Task,
} from '@agent-orchestrator/core';
import { idSchema, PAGE_SIZES, uuidSchema, validate } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import type { Backend, SessionQuery, TaskQuery } from '../client/backend.js';
import { closeStorage } from './operator-access.js';

const statusSchema = z.enum(['active', 'closed'], 'expected active or closed').optional();
const MAX_PAGE = PAGE_SIZES.tenant.max;
const countSchema = z
  .string()
  .refine(
    (text) => /^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_PAGE,
    `expected 1 to ${MAX_PAGE}`,
  )
  .transform(Number)
  .optional();

/** Direct access to the storage without an orchestrator: registry and session manager on top of it. */
export class StorageBackend implements Backend {
  readonly #registry: GlobalTaskRegistry;
  readonly #sessions: SessionManager;

  constructor(
    private readonly storage: Storage,
    private readonly tenantId: string,
  ) {
    this.#registry = new GlobalTaskRegistry({ storage });
    this.#sessions = new SessionManager({ storage });
  }

  listTasks({ limit, ...query }: TaskQuery) {
    const { tenantId } = this;
    return this.#registry.list({ tenantId, ...query, limit: countOf(limit) });
  }

  getTask(taskId: string): Promise<Task> {
    return this.#registry.get(this.#task(taskId));
  }

  cancelTask(taskId: string, reason: string | undefined): Promise<Task> {
    return this.#registry.cancel({ ...this.#task(taskId), reason: reason ?? 'cancelled by an operator' });
  }

  async signalTask(
    taskId: string,
    { name, payload, id }: { readonly name: string; readonly payload: JsonValue; readonly id: string },
  ): Promise<void> {
    await this.#registry.signal({ ...this.#task(taskId), name, payload, idempotencyKey: id });
  }

  listSessions({ status, limit: count, cursor }: SessionQuery) {
    const wanted = validate(statusSchema, status, '--status');
    const limit = countOf(count);
    return this.#sessions.list({
      tenantId: this.tenantId,
      ...(wanted !== undefined && { status: wanted }),
      ...(limit !== undefined && { limit }),
      ...(cursor !== undefined && { cursor }),
    });
  }

  async getSession(sessionId: string): Promise<Session> {
    return (await this.#sessions.get(this.#session(sessionId))).session;
  }

  async closeSession(sessionId: string): Promise<Session> {
    return await this.#sessions.close(this.#session(sessionId));
  }

  messages(sessionId: string, count: string | undefined): Promise<readonly Message[]> {
    const limit = countOf(count);
    return this.#sessions.messages({ ...this.#session(sessionId), ...(limit !== undefined && { limit }) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#registry.close();
    await closeStorage(this.storage);
  }

  #task(taskId: string) {
    return { tenantId: this.tenantId, taskId: validate(uuidSchema, taskId, 'task-id') };
  }

  #session(sessionId: string) {
    return { tenantId: this.tenantId, sessionId: validate(idSchema, sessionId, 'session-id') };
  }
}

function countOf(text: string | undefined): number | undefined {
  return validate(countSchema, text, '--limit');
}
