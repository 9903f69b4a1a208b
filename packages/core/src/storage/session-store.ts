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
  /** Live tasks of the session: the oldest 500 and at most 1 MiB; a single one may be larger. */
  readonly tasks: readonly Task[];
  /** More live tasks exist: list the session's tasks for all of them. */
  readonly more?: true;
  readonly cursor: string;
}

/** Storage port for sessions and their messages. */
export interface SessionStore {
  /**
   * An existing id answers `exists` and stays unchanged. A repeated idempotency key returns the session it created.
   * `queue_full`, here and below: the tenant's stored bytes are at their limit.
   */
  create(
    params: InSession & {
      readonly agentId?: string;
      readonly context: JsonObject;
      readonly idempotency?: Idempotency | undefined;
    },
  ): Promise<
    | { readonly answer: 'created' | 'exists' | 'replayed'; readonly session: Session }
    | { readonly answer: 'idempotency_conflict' | 'queue_full' }
  >;
  get(params: InSession): Promise<SessionState | undefined>;
  /** Merges `context` (`null` removes a field) if `rev` matches the session's or is absent. */
  update(
    params: InSession & { readonly rev?: number; readonly agentId?: string; readonly context?: JsonObject },
  ): Promise<
    | { readonly answer: 'updated' | 'conflict'; readonly session: Session }
    | { readonly answer: 'not_found' | 'session_closed' | 'queue_full' }
  >;
  /** Idempotent by `message_id`. */
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
    | { readonly answer: 'not_found' | 'session_closed' | 'queue_full' }
  >;
  /**
   * The newest `limit` messages, oldest first; older than `before` (a `message_id`) if given. At most 1 MiB; a single message
   * may be larger.
   */
  messages(
    params: InSession & { readonly limit: number; readonly before?: string },
  ): Promise<readonly Message[] | undefined>;
  /**
   * Newest first. `after`: the `next` of the previous page; `undefined` if that session does not exist. Pages are bounded as in
   * `TaskRecords.list`: one may have fewer than `limit` sessions, even none, and still a `next`.
   */
  list(params: {
    readonly tenantId: string;
    readonly status?: 'active' | 'closed';
    readonly limit: number;
    readonly after?: string;
  }): Promise<{ readonly sessions: readonly Session[]; readonly next?: string } | undefined>;
  /**
   * Closes the session and cancels its live tasks. The first step closes it, so that no waiting task can start; further steps
   * cancel a portion each. Resolves when all are cancelled. If the process dies earlier, or `signal` fires, the sweeper
   * continues.
   */
  close(
    params: InSession & { readonly graceMs: number; readonly signal?: AbortSignal },
  ): Promise<
    | { readonly answer: 'closed' | 'already_closed'; readonly session: Session }
    | { readonly answer: 'not_found' }
  >;
}
