import type { JsonObject } from '../protocol/json.js';
import type { Message, MessageRole, Session } from '../protocol/session.js';
import type { Task } from '../protocol/task.js';
import type { Idempotency } from './task-records.js';

interface InSession {
  readonly tenantId: string;
  readonly sessionId: string;
}

/** A session and its live tasks. */
export interface SessionState {
  readonly session: Session;
  /** Live tasks of the session: the oldest 500 and at most 1 MiB; a single one may be larger. */
  readonly tasks: readonly Task[];
  /** More live tasks exist: list the session's tasks for all of them. */
  readonly more?: true;
  readonly cursor: string;
}

/** Params of `SessionStore.create`. */
export interface CreateSessionParams extends InSession {
  readonly agentId?: string;
  readonly context: JsonObject;
  readonly idempotency?: Idempotency | undefined;
}

/** Answer of `SessionStore.create`. */
export type CreateSessionResult =
  | { readonly answer: 'created' | 'exists' | 'replayed'; readonly session: Session }
  | { readonly answer: 'idempotency_conflict' | 'queue_full' };

/** Params of `SessionStore.get`. */
export type GetSessionParams = InSession;

/** Params of `SessionStore.update`. */
export interface UpdateSessionParams extends InSession {
  readonly rev?: number;
  readonly agentId?: string;
  readonly context?: JsonObject;
}

/** Answer of `SessionStore.update`. */
export type UpdateSessionResult =
  | { readonly answer: 'updated' | 'conflict'; readonly session: Session }
  | { readonly answer: 'not_found' | 'session_closed' | 'queue_full' };

/** Params of `SessionStore.append`. */
export interface AppendMessageParams extends InSession {
  readonly message: {
    readonly message_id: string;
    readonly role: MessageRole;
    readonly content: string;
    readonly task_id?: string;
  };
}

/** Answer of `SessionStore.append`. */
export type AppendMessageResult =
  | { readonly answer: 'appended' | 'known'; readonly message: Message }
  | { readonly answer: 'not_found' | 'session_closed' | 'queue_full' };

/** Params of `SessionStore.messages`. */
export interface ListMessagesParams extends InSession {
  readonly limit: number;
  readonly before?: string;
}

/** Params of `SessionStore.list`. */
export interface ListSessionsParams {
  readonly tenantId: string;
  readonly status?: 'active' | 'closed';
  readonly limit: number;
  readonly after?: string;
}

/** Answer of `SessionStore.list`. */
export type ListSessionsResult =
  | { readonly sessions: readonly Session[]; readonly next?: string }
  | undefined;

/** Params of `SessionStore.close`. */
export interface CloseSessionParams extends InSession {
  readonly graceMs: number;
  readonly signal?: AbortSignal;
}

/** Answer of `SessionStore.close`. */
export type CloseSessionResult =
  | { readonly answer: 'closed' | 'already_closed'; readonly session: Session }
  | { readonly answer: 'not_found' };

/** Storage port for sessions and their messages. */
export interface SessionStore {
  /**
   * An existing id answers `exists` and stays unchanged. A repeated idempotency key returns the session it created.
   * `queue_full`, here and below: the tenant's stored bytes are at their limit.
   */
  create(params: CreateSessionParams): Promise<CreateSessionResult>;
  get(params: GetSessionParams): Promise<SessionState | undefined>;
  /** Merges `context` (`null` removes a field) if `rev` matches the session's or is absent. */
  update(params: UpdateSessionParams): Promise<UpdateSessionResult>;
  /** Idempotent by `message_id`. */
  append(params: AppendMessageParams): Promise<AppendMessageResult>;
  /**
   * The newest `limit` messages, oldest first; older than `before` (a `message_id`) if given. At most 1 MiB; a single message
   * may be larger.
   */
  messages(params: ListMessagesParams): Promise<readonly Message[] | undefined>;
  /**
   * Newest first. `after`: the `next` of the previous page; `undefined` if that session does not exist. Pages are bounded as in
   * `TaskRecords.list`: one may have fewer than `limit` sessions, even none, and still a `next`.
   */
  list(params: ListSessionsParams): Promise<ListSessionsResult>;
  /**
   * Closes the session and cancels its live tasks. The first step closes it, so that no waiting task can start; further steps
   * cancel a portion each. Resolves when all are cancelled. If the process dies earlier, or `signal` fires, the sweeper
   * continues.
   */
  close(params: CloseSessionParams): Promise<CloseSessionResult>;
}
