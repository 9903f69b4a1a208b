import type { JsonObject } from '../protocol/json.js';
import type { PageOptions } from '../protocol/pages.js';
import type { Message, MessageRole, Session } from '../protocol/session.js';
import type { SessionManager } from '../sessions/session-manager.js';
import type { SessionState } from '../storage/session-store.js';
import type { RequestOptions } from './submit-options.js';

/** Sessions of one tenant. */
export class TenantSessions {
  constructor(
    private readonly sessions: SessionManager,
    private readonly tenantId: string,
  ) {}

  create(
    body: {
      readonly session_id?: string | undefined;
      readonly agent_id?: string | undefined;
      readonly context?: JsonObject | undefined;
    } = {},
    { idempotencyKey }: RequestOptions = {},
  ): Promise<{ readonly session: Session; readonly created: boolean; readonly replayed: boolean }> {
    const { session_id, agent_id, context } = body;
    return this.sessions.create({
      tenantId: this.tenantId,
      ...(session_id !== undefined && { sessionId: session_id }),
      ...(agent_id !== undefined && { agentId: agent_id }),
      ...(context && { context }),
      idempotencyKey,
    });
  }

  get(sessionId: string): Promise<SessionState> {
    return this.sessions.get({ tenantId: this.tenantId, sessionId });
  }

  update(
    sessionId: string,
    change: { readonly agent_id?: string | undefined; readonly context?: JsonObject | undefined },
    options: { readonly rev?: number | undefined } = {},
  ): Promise<Session> {
    return this.sessions.update({
      tenantId: this.tenantId,
      sessionId,
      ...(change.agent_id !== undefined && { agentId: change.agent_id }),
      ...(change.context && { context: change.context }),
      ...(options.rev !== undefined && { rev: options.rev }),
    });
  }

  append(
    sessionId: string,
    message: { readonly role: MessageRole; readonly content: string },
  ): Promise<Message> {
    return this.sessions.append({ tenantId: this.tenantId, sessionId, message });
  }

  messages(
    sessionId: string,
    options: { readonly limit?: number; readonly before?: string } = {},
  ): Promise<readonly Message[]> {
    return this.sessions.messages({ tenantId: this.tenantId, sessionId, ...options });
  }

  /** Like `messages`, with `next` if older messages exist: the `before` of the next page. */
  messagePage(
    sessionId: string,
    options: { readonly limit?: number; readonly before?: string } = {},
  ): Promise<{ readonly messages: readonly Message[]; readonly next?: string }> {
    return this.sessions.messagePage({ tenantId: this.tenantId, sessionId, ...options });
  }

  list(
    options: PageOptions & { readonly status?: 'active' | 'closed' } = {},
  ): Promise<{ readonly sessions: readonly Session[]; readonly next?: string }> {
    return this.sessions.list({ tenantId: this.tenantId, ...options });
  }

  /** Closes a session and cancels its tasks. If `signal` fires, the rest is left to the sweeper. */
  close(sessionId: string, options: { readonly signal?: AbortSignal } = {}): Promise<Session> {
    return this.sessions.close({ tenantId: this.tenantId, sessionId, ...options });
  }
}
