import { OrchestratorError } from '../protocol/errors.js';
import { idSchema } from '../protocol/ids.js';
import type { JsonObject } from '../protocol/json.js';
import { PAGE_SIZES, pageLimit, type PageOptions } from '../protocol/pages.js';
import { DEFAULTS } from '../protocol/settings.js';
import { type Message, MESSAGE_ROLES, type MessageRole, type Session } from '../protocol/session.js';
import { describe, validate } from '../protocol/validation.js';
import { type Random, systemRandom } from '../runtime/random.js';
import type { SessionState } from '../storage/session-store.js';
import type { Storage } from '../storage/storage.js';
import { idempotencyOf, refusedWith } from '../tasks/new-task.js';

interface InSession {
  readonly tenantId: string;
  readonly sessionId: string;
}

/** Sessions of tenants: state, recent messages, context. */
export class SessionManager {
  readonly #storage: Storage;
  readonly #random: Random;

  constructor(options: { readonly storage: Storage; readonly random?: Random }) {
    this.#storage = options.storage;
    this.#random = options.random ?? systemRandom;
  }

  /**
   * Creates a session; for an existing id, returns the existing session unchanged.
   * @throws {OrchestratorError} `idempotency_conflict`; `queue_full` if the tenant's stored bytes are at their limit.
   */
  async create(params: {
    readonly tenantId: string;
    readonly sessionId?: string;
    readonly agentId?: string;
    readonly context?: JsonObject;
    readonly idempotencyKey?: string | undefined;
  }): Promise<{ readonly session: Session; readonly created: boolean; readonly replayed: boolean }> {
    const sessionId = validate(idSchema, params.sessionId ?? this.#random.uuid(), 'session_id');
    const { agentId, context, idempotencyKey } = params;
    const body = { session_id: params.sessionId, agent_id: agentId, context };
    const created = await this.#storage.sessions.create({
      idempotency: idempotencyOf(idempotencyKey, 'session', body),
      tenantId: params.tenantId,
      sessionId,
      context: context ?? {},
      ...(agentId !== undefined && { agentId: validate(idSchema, agentId, 'agent_id') }),
    });
    if ('session' in created)
      return {
        session: created.session,
        created: created.answer === 'created',
        replayed: created.answer === 'replayed',
      };
    throw refusedWith(created.answer);
  }

  /** @throws {OrchestratorError} `not_found` */
  async get({ tenantId, sessionId }: InSession): Promise<SessionState> {
    const found = await this.#storage.sessions.get({
      tenantId,
      sessionId: validate(idSchema, sessionId, 'session_id'),
    });
    if (!found) throw unknownSession(sessionId);
    return found;
  }

  /**
   * Merges `context` into the session's; `null` removes a field. With `rev`: compare-and-set.
   * @throws {OrchestratorError} `not_found`, `session_closed`, `conflict`, `queue_full`
   */
  async update(
    params: InSession & { readonly rev?: number; readonly agentId?: string; readonly context?: JsonObject },
  ): Promise<Session> {
    const updated = await this.#storage.sessions.update(params);
    if (updated.answer === 'updated') return updated.session;
    if (updated.answer === 'conflict') {
      const message = `session "${params.sessionId}": expected rev ${params.rev}, got ${updated.session.rev}`;
      throw new OrchestratorError('conflict', message);
    }
    throw refusal(updated.answer, params.sessionId);
  }

  /** Appends a message; idempotent by `message_id`. */
  async append(
    params: InSession & {
      readonly message: {
        readonly message_id?: string;
        readonly role: MessageRole;
        readonly content: string;
      };
    },
  ): Promise<Message> {
    const { role, content, message_id = this.#random.uuid() } = params.message;
    if (!MESSAGE_ROLES.includes(role)) {
      throw new OrchestratorError(
        'invalid_request',
        `role: expected ${MESSAGE_ROLES.join(', ')}, got ${describe(role)}`,
      );
    }
    const { tenantId, sessionId } = params;
    const appended = await this.#storage.sessions.append({
      tenantId,
      sessionId,
      message: { message_id, role, content },
    });
    if ('message' in appended) return appended.message;
    throw refusal(appended.answer, sessionId);
  }

  /**
   * The newest `limit` (1 to 500, default 50) recent messages, oldest first; at most 1 MiB, a single message may be larger.
   * `before`: a `message_id`; returns older messages only.
   */
  async messages(
    params: InSession & { readonly limit?: number; readonly before?: string },
  ): Promise<readonly Message[]> {
    const { tenantId, sessionId, before } = params;
    const limit = pageLimit(PAGE_SIZES.tenant, params.limit);
    const found = await this.#storage.sessions.messages({
      tenantId,
      sessionId,
      limit,
      ...(before !== undefined && { before }),
    });
    if (!found) throw unknownSession(sessionId);
    return found;
  }

  /** Like `messages`, with `next` if older messages exist: the `before` of the next page. */
  async messagePage(
    params: InSession & { readonly limit?: number; readonly before?: string },
  ): Promise<{ readonly messages: readonly Message[]; readonly next?: string }> {
    const { tenantId, sessionId } = params;
    const messages = await this.messages(params);
    const before = messages[0]?.message_id;
    if (before === undefined) return { messages };
    const older = await this.#storage.sessions.messages({ tenantId, sessionId, limit: 1, before });
    return older && older.length > 0 ? { messages, next: before } : { messages };
  }

  /**
   * Newest first. A page scans at most 1,000 sessions and has at most 1 MiB, unless its only session is larger: it may have fewer
   * than `limit` sessions, even none, and still a `next`.
   */
  async list(
    params: PageOptions & { readonly tenantId: string; readonly status?: 'active' | 'closed' },
  ): Promise<{ readonly sessions: readonly Session[]; readonly next?: string }> {
    const { tenantId, status, limit, cursor } = params;
    const page = await this.#storage.sessions.list({
      tenantId,
      limit: pageLimit(PAGE_SIZES.tenant, limit),
      ...(status !== undefined && { status }),
      ...(cursor !== undefined && { after: cursor }),
    });
    if (page) return page;
    throw new OrchestratorError(
      'invalid_request',
      `cursor: expected the "next" of a page, got ${describe(cursor)}`,
    );
  }

  /**
   * Closes a session: rejects further tasks and cancels live ones. Resolves when all are cancelled, or when `signal` fires; then
   * the sweeper cancels the rest. Idempotent.
   */
  async close({
    tenantId,
    sessionId,
    signal,
  }: InSession & { readonly signal?: AbortSignal }): Promise<Session> {
    const closed = await this.#storage.sessions.close({
      tenantId,
      sessionId,
      graceMs: DEFAULTS.cancelGraceMs,
      ...(signal && { signal }),
    });
    if (closed.answer === 'not_found') throw unknownSession(sessionId);
    return closed.session;
  }
}

function unknownSession(sessionId: string): OrchestratorError {
  return new OrchestratorError('not_found', `no session ${describe(sessionId)}`);
}

function refusal(
  answer: 'not_found' | 'session_closed' | 'queue_full',
  sessionId: string,
): OrchestratorError {
  if (answer === 'not_found') return unknownSession(sessionId);
  if (answer === 'queue_full') return refusedWith(answer);
  return new OrchestratorError('session_closed', `session "${sessionId}" is closed`);
}
