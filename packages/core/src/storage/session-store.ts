import type { JsonObject } from '../protocol/json.js';
import type { Message, MessageRole, Session } from '../protocol/session.js';
import type { Task } from '../protocol/task.js';
import type { Idempotency } from './task-records.js';

interface InSession {
  readonly tenantId: string;
  readonly sessionId: string;
}

export interface SessionState {
  readonly session: Session;
  /** The tasks of the session that have not ended. */
  readonly tasks: readonly Task[];
  readonly cursor: string;
}

/** What the session manager asks of the storage. */
export interface SessionStore {
  /** An existing id is `exists`, and stays as it is. A key that was used before gives the session of then. */
  create(
    params: InSession & {
      readonly agentId?: string;
      readonly context: JsonObject;
      readonly idempotency?: Idempotency | undefined;
    },
  ): Promise<
    | { readonly answer: 'created' | 'exists' | 'replayed'; readonly session: Session }
    | { readonly answer: 'idempotency_conflict' }
  >;
  get(params: InSession): Promise<SessionState | undefined>;
  /** Merges `context` (a `null` removes its field), if `rev` is the session's, or absent. */
  update(
    params: InSession & { readonly rev?: number; readonly agentId?: string; readonly context?: JsonObject },
  ): Promise<
    | { readonly answer: 'updated' | 'conflict'; readonly session: Session }
    | { readonly answer: 'not_found' | 'session_closed' }
  >;
  /** The same `message_id` again changes nothing. */
  append(
    params: InSession & {
      readonly message: {
        readonly message_id: string;
        readonly role: MessageRole;
        readonly content: string;
        readonly task_id?: string;
      };
    },
  ): Promise<
    | { readonly answer: 'appended' | 'known'; readonly message: Message }
    | { readonly answer: 'not_found' | 'session_closed' }
  >;
  /** The newest `limit`, oldest first; before `before` (a `message_id`) if given. */
  messages(
    params: InSession & { readonly limit: number; readonly before?: string },
  ): Promise<readonly Message[] | undefined>;
  /** Newest first. `after` is the `next` of the page before; `undefined` when there is no such session. */
  list(params: {
    readonly tenantId: string;
    readonly status?: 'active' | 'closed';
    readonly limit: number;
    readonly after?: string;
  }): Promise<{ readonly sessions: readonly Session[]; readonly next?: string } | undefined>;
  /** Takes no more tasks; those that live are cancelled. */
  close(
    params: InSession & { readonly graceMs: number },
  ): Promise<
    | { readonly answer: 'closed' | 'already_closed'; readonly session: Session }
    | { readonly answer: 'not_found' }
  >;
}
