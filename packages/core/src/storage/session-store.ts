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
  /** The tasks of the session that have not ended: the oldest 500, and at most 1 MiB of them unless one is larger. */
  readonly tasks: readonly Task[];
  /** There are more of those: all are found by a list of the session's tasks. */
  readonly more?: true;
  readonly cursor: string;
}

/** What the session manager asks of the storage. */
export interface SessionStore {
  /**
   * An existing id is `exists`, and stays as it is. A key that was used before gives the session of then.
   * `queue_full` here and below: what is stored takes too much room.
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
  /** Merges `context` (a `null` removes its field), if `rev` is the session's, or absent. */
  update(
    params: InSession & { readonly rev?: number; readonly agentId?: string; readonly context?: JsonObject },
  ): Promise<
    | { readonly answer: 'updated' | 'conflict'; readonly session: Session }
    | { readonly answer: 'not_found' | 'session_closed' | 'queue_full' }
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
    | { readonly answer: 'not_found' | 'session_closed' | 'queue_full' }
  >;
  /**
   * The newest `limit`, oldest first; before `before` (a `message_id`) if given. Fewer if they are large: at most 1 MiB, unless
   * one is larger.
   */
  messages(
    params: InSession & { readonly limit: number; readonly before?: string },
  ): Promise<readonly Message[] | undefined>;
  /**
   * Newest first. `after` is the `next` of the page before; `undefined` when there is no such session. Pages are bounded as
   * those of tasks are: one may have fewer than `limit`, even none, and a `next` all the same.
   */
  list(params: {
    readonly tenantId: string;
    readonly status?: 'active' | 'closed';
    readonly limit: number;
    readonly after?: string;
  }): Promise<{ readonly sessions: readonly Session[]; readonly next?: string } | undefined>;
  /**
   * Takes no more tasks, and cancels those that live: the first step closes the session, so that nothing that waits in it can
   * begin; further ones cancel a portion each. Resolves when all are. If the process dies before, or `signal` fires, the
   * sweeper goes on.
   */
  close(
    params: InSession & { readonly graceMs: number; readonly signal?: AbortSignal },
  ): Promise<
    | { readonly answer: 'closed' | 'already_closed'; readonly session: Session }
    | { readonly answer: 'not_found' }
  >;
}
