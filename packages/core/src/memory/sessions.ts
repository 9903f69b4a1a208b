import type { JsonObject } from '../protocol/json.js';
import type { Message, Session } from '../protocol/session.js';
import { mergedContext } from '../storage/merged-context.js';
import type { SessionState, SessionStore } from '../storage/session-store.js';
import { Line } from './line.js';
import { copyJson } from '../protocol/bounded-json.js';
import { rememberKey } from './idempotency.js';
import type { MemoryState } from './memory-state.js';
import { cancelledError, type TaskLife } from './task-life.js';
import { viewTask } from './task-view.js';
import type { SessionEntry, TenantState } from './tenant-state.js';

type NewMessage = Parameters<SessionStore['append']>[0]['message'];

/** Sessions of all tenants, and the synchronous steps on them that other parts take along. */
export class MemorySessions implements SessionStore {
  constructor(
    private readonly state: MemoryState,
    private readonly life: TaskLife,
  ) {}

  async create(params: Parameters<SessionStore['create']>[0]): ReturnType<SessionStore['create']> {
    const tenant = this.state.tenant(params.tenantId);
    const { idempotency } = params;
    const used = idempotency && tenant.idempotency.get(idempotency.key);
    if (used) {
      const { fingerprint, entry } = used;
      if (fingerprint !== idempotency.fingerprint || !('messages' in entry))
        return { answer: 'idempotency_conflict' };
      const kept = tenant.sessions.get(entry.session.session_id);
      if (kept) return { answer: 'replayed', session: viewSession(kept) };
    }
    const known = tenant.sessions.get(params.sessionId);
    const entry = known ?? this.open(tenant, params.sessionId, params.agentId, params.context);
    if (idempotency) rememberKey(this.state, tenant, idempotency, entry);
    return { answer: known ? 'exists' : 'created', session: viewSession(entry) };
  }

  /** The session, made if there is none of this id. */
  open(tenant: TenantState, sessionId: string, agentId?: string, context: JsonObject = {}): SessionEntry {
    const known = tenant.sessions.get(sessionId);
    if (known) return known;
    const now = new Date(this.state.now()).toISOString();
    const entry: SessionEntry = {
      session: {
        session_id: sessionId,
        tenant_id: tenant.tenantId,
        ...(agentId !== undefined && { agent_id: agentId }),
        status: 'active',
        created_at: now,
        updated_at: now,
        context: mergedContext({}, copyJson(context)),
        rev: 1,
      },
      messages: [],
      messageIds: new Set(),
      line: new Line(1, true),
      live: new Set(),
    };
    tenant.sessions.set(sessionId, entry);
    this.oweIdle(tenant, entry);
    this.tell(tenant, entry);
    return entry;
  }

  async get({ tenantId, sessionId }: Parameters<SessionStore['get']>[0]): Promise<SessionState | undefined> {
    const tenant = this.state.tenant(tenantId);
    const entry = tenant.sessions.get(sessionId);
    if (!entry) return undefined;
    const tasks = [...entry.live].map((task) => viewTask(tenantId, task));
    return { session: viewSession(entry), tasks, cursor: tenant.events.head };
  }

  async update(params: Parameters<SessionStore['update']>[0]): ReturnType<SessionStore['update']> {
    const tenant = this.state.tenant(params.tenantId);
    const entry = tenant.sessions.get(params.sessionId);
    if (!entry) return { answer: 'not_found' };
    if (entry.session.status === 'closed') return { answer: 'session_closed' };
    if (params.rev !== undefined && params.rev !== entry.session.rev) {
      return { answer: 'conflict', session: viewSession(entry) };
    }
    const context = mergedContext(entry.session.context, copyJson(params.context ?? {}));
    this.change(tenant, entry, {
      ...(params.agentId !== undefined && { agent_id: params.agentId }),
      context,
    });
    return { answer: 'updated', session: viewSession(entry) };
  }

  async append(params: Parameters<SessionStore['append']>[0]): ReturnType<SessionStore['append']> {
    const tenant = this.state.tenant(params.tenantId);
    const entry = tenant.sessions.get(params.sessionId);
    if (!entry) return { answer: 'not_found' };
    const known = entry.messages.find((message) => message.message_id === params.message.message_id);
    if (known) return { answer: 'known', message: { ...known } };
    if (entry.session.status === 'closed') return { answer: 'session_closed' };
    return { answer: 'appended', message: { ...this.add(tenant, entry, params.message) } };
  }

  /** Adds a message to the recent history; the oldest go when there are too many. */
  add(tenant: TenantState, entry: SessionEntry, message: NewMessage): Message {
    const stored: Message = { ...message, created_at: new Date(this.state.now()).toISOString() };
    if (entry.messageIds.has(stored.message_id)) return stored;
    entry.messages.push(stored);
    entry.messageIds.add(stored.message_id);
    while (entry.messages.length > this.state.limits.sessionMessages) {
      const oldest = entry.messages.shift();
      if (oldest) entry.messageIds.delete(oldest.message_id);
    }
    this.change(tenant, entry, {});
    return stored;
  }

  async messages(params: Parameters<SessionStore['messages']>[0]): Promise<readonly Message[] | undefined> {
    const entry = this.state.tenant(params.tenantId).sessions.get(params.sessionId);
    if (!entry) return undefined;
    const at = entry.messages.findIndex((message) => message.message_id === params.before);
    const end = at >= 0 ? at : entry.messages.length;
    return entry.messages.slice(Math.max(0, end - params.limit), end).map((message) => ({ ...message }));
  }

  async list(params: Parameters<SessionStore['list']>[0]): ReturnType<SessionStore['list']> {
    const newestFirst = [...this.state.tenant(params.tenantId).sessions.values()].toReversed();
    const from = newestFirst.findIndex((entry) => entry.session.session_id === params.after) + 1;
    if (params.after !== undefined && from === 0) return undefined;
    const found: Session[] = [];
    for (const entry of newestFirst.slice(from)) {
      if (params.status !== undefined && entry.session.status !== params.status) continue;
      if (found.length === params.limit)
        return { sessions: found, next: (found.at(-1) as Session).session_id };
      found.push(viewSession(entry));
    }
    return { sessions: found };
  }

  async close(params: Parameters<SessionStore['close']>[0]): ReturnType<SessionStore['close']> {
    const tenant = this.state.tenant(params.tenantId);
    const entry = tenant.sessions.get(params.sessionId);
    if (!entry) return { answer: 'not_found' };
    if (entry.session.status === 'closed') return { answer: 'already_closed', session: viewSession(entry) };
    this.change(tenant, entry, { status: 'closed' });
    for (const task of [...entry.live].toReversed()) {
      this.life.cancel(tenant, task, cancelledError('the session was closed').message, params.graceMs);
    }
    return { answer: 'closed', session: viewSession(entry) };
  }

  /** What the sweeper finds when a session may have been idle for too long: closed, or removed once it was closed. */
  expire(tenant: TenantState, sessionId: string): void {
    const entry = tenant.sessions.get(sessionId);
    if (!entry) return;
    const idleAt = Date.parse(entry.session.updated_at) + this.state.limits.sessionIdleMs;
    if (entry.live.size > 0 || idleAt > this.state.now()) this.oweIdle(tenant, entry);
    else if (entry.session.status === 'active') this.change(tenant, entry, { status: 'closed' });
    else tenant.sessions.delete(sessionId);
  }

  private change(tenant: TenantState, entry: SessionEntry, change: Partial<Session>): void {
    const before = entry.session;
    entry.session = {
      ...before,
      ...change,
      rev: before.rev + 1,
      updated_at: new Date(this.state.now()).toISOString(),
    };
    if (entry.session.status !== before.status) this.oweIdle(tenant, entry);
    this.tell(tenant, entry);
  }

  private oweIdle(tenant: TenantState, entry: SessionEntry): void {
    const { tenantId } = tenant;
    const at = Math.max(
      this.state.now() + 1_000,
      Date.parse(entry.session.updated_at) + this.state.limits.sessionIdleMs,
    );
    this.state.owe('session', at, { tenantId, id: entry.session.session_id });
  }

  private tell(tenant: TenantState, entry: SessionEntry): void {
    const { status, rev } = entry.session;
    tenant.events.append({
      event: 'session_updated',
      about: entry,
      from: undefined,
      at: this.state.now(),
      data: { status, rev, messages: entry.messages.length },
      rev: undefined,
      view: undefined,
    });
  }
}

function viewSession(entry: SessionEntry): Session {
  return { ...entry.session, context: copyJson(entry.session.context) };
}
