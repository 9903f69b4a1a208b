import type { Message, Session } from '../../protocol/session.js';
import type { Task } from '../../protocol/task.js';
import { mergedContext } from '../../storage/merged-context.js';
import { BoundedPage } from '../../storage/bounded-page.js';
import type {
  SessionState,
  AppendMessageParams,
  AppendMessageResult,
  CloseSessionParams,
  CreateSessionParams,
  CreateSessionResult,
  GetSessionParams,
  ListMessagesParams,
  ListSessionsParams,
  ListSessionsResult,
  UpdateSessionParams,
  UpdateSessionResult,
} from '../../storage/session-store.js';
import { LoggedEvent } from '../events/event-ring.js';
import { sessionKey } from '../tasks/cancellations.js';
import { bytesOf, keptOfText, textOfKept, viewJson } from '../kept-json.js';
import { isSameRequest, rememberKey } from '../tasks/idempotency.js';
import type { EngineState } from '../engine-state.js';
import type { TaskLife } from '../tasks/task-life.js';
import { viewTask } from '../tasks/task-view.js';
import { SessionEntry, type TenantState } from '../tenants/tenant-state.js';

type NewMessage = AppendMessageParams['message'];

/** `more`: live tasks are left to cancel, in further commands. */
export type SessionClosed =
  | { readonly answer: 'closed' | 'already_closed'; readonly session: Session; readonly more: boolean }
  | { readonly answer: 'not_found' };

/** Sessions of all tenants, and the synchronous changes that other steps include. */
export class Sessions {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
  ) {}

  create(params: CreateSessionParams): CreateSessionResult {
    // Before the tenant is created: a context that is refused changes nothing.
    const context = mergedContext('{}', params.context);
    const tenant = this.state.tenant(params.tenantId);
    const { idempotency } = params;
    const used = idempotency && tenant.idempotency.get(idempotency.key);
    if (used) {
      const { entry } = used;
      if (!isSameRequest(used, idempotency) || !('messages' in entry))
        return { answer: 'idempotency_conflict' };
      const kept = tenant.sessions.get(entry.session.session_id);
      if (kept) return { answer: 'replayed', session: viewSession(kept) };
    }
    const known = tenant.sessions.get(params.sessionId);
    if (!known && this.state.holdsTooMuch(tenant)) return { answer: 'queue_full' };
    const entry = known ?? this.open(tenant, params.sessionId, params.agentId, context);
    if (idempotency) rememberKey(this.state, tenant, idempotency, entry);
    return { answer: known ? 'exists' : 'created', session: viewSession(entry) };
  }

  /**
   * The session, created if there is none with this id.
   * @param context as compact JSON.
   */
  open(tenant: TenantState, sessionId: string, agentId?: string, context = '{}'): SessionEntry {
    const known = tenant.sessions.get(sessionId);
    if (known) return known;
    const now = new Date(this.state.now()).toISOString();
    tenant.sessionsMade += 1;
    const session = {
      session_id: sessionId,
      tenant_id: tenant.tenantId,
      ...(agentId !== undefined && { agent_id: agentId }),
      status: 'active',
      created_at: now,
      updated_at: now,
      rev: 1,
    } as const;
    const entry = new SessionEntry(tenant, tenant.sessionsMade, session, keptOfText(context));
    tenant.sessions.set(sessionId, entry);
    tenant.sessionsInOrder.add(entry.sequence, entry);
    this.scheduleIdle(tenant, entry);
    this.tell(tenant, entry);
    return entry;
  }

  get({ tenantId, sessionId }: GetSessionParams): SessionState | undefined {
    const tenant = this.state.lookUp(tenantId);
    const entry = tenant.sessions.get(sessionId);
    if (!entry) return undefined;
    const { sessionTasks, pageBytes } = this.state.limits;
    const page = new BoundedPage<Task>(sessionTasks, pageBytes);
    const more = entry.live.size > 0 && !takeAll(page, entry.live, (task) => viewTask(tenantId, task));
    const { items: tasks } = page;
    return { session: viewSession(entry), tasks, cursor: tenant.events.head, ...(more && { more }) };
  }

  update(params: UpdateSessionParams): UpdateSessionResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.sessions.get(params.sessionId);
    if (!entry) return { answer: 'not_found' };
    if (entry.session.status === 'closed') return { answer: 'session_closed' };
    if (params.rev !== undefined && params.rev !== entry.session.rev) {
      return { answer: 'conflict', session: viewSession(entry) };
    }
    if (params.context !== undefined) {
      const context = keptOfText(mergedContext(textOfKept(entry.context), params.context));
      // At the storage limit an update still may shrink the context.
      if (this.state.holdsTooMuch(tenant) && bytesOf(context) >= bytesOf(entry.context))
        return { answer: 'queue_full' };
      entry.putContext(context);
    }
    this.change(tenant, entry, { ...(params.agentId !== undefined && { agent_id: params.agentId }) });
    return { answer: 'updated', session: viewSession(entry) };
  }

  append(params: AppendMessageParams): AppendMessageResult {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.sessions.get(params.sessionId);
    if (!entry) return { answer: 'not_found' };
    const known = entry.messages.find((message) => message.message_id === params.message.message_id);
    if (known) return { answer: 'known', message: { ...known } };
    if (entry.session.status === 'closed') return { answer: 'session_closed' };
    if (this.state.holdsTooMuch(tenant)) return { answer: 'queue_full' };
    return { answer: 'appended', message: { ...this.add(tenant, entry, params.message) } };
  }

  /** Appends a message to the recent history and trims the oldest. */
  add(tenant: TenantState, entry: SessionEntry, message: NewMessage): Message {
    const stored: Message = { ...message, created_at: new Date(this.state.now()).toISOString() };
    if (entry.messageIds.has(stored.message_id)) return stored;
    entry.messages.push(stored);
    entry.charge(Buffer.byteLength(stored.content));
    entry.messageIds.add(stored.message_id);
    while (entry.messages.length > this.state.limits.sessionMessages) {
      const oldest = entry.messages.shift();
      if (!oldest) break;
      entry.messageIds.delete(oldest.message_id);
      entry.charge(-Buffer.byteLength(oldest.content));
    }
    this.change(tenant, entry, {});
    return stored;
  }

  messages(params: ListMessagesParams): readonly Message[] | undefined {
    const entry = this.state.lookUp(params.tenantId).sessions.get(params.sessionId);
    if (!entry) return undefined;
    const at = entry.messages.findIndex((message) => message.message_id === params.before);
    const page = new BoundedPage<Message>(params.limit, this.state.limits.pageBytes);
    for (let index = (at >= 0 ? at : entry.messages.length) - 1; index >= 0; index -= 1)
      if (!page.take({ ...(entry.messages[index] as Message) })) break;
    return page.items.toReversed();
  }

  list(params: ListSessionsParams): ListSessionsResult {
    const tenant = this.state.lookUp(params.tenantId);
    const start = params.after === undefined ? undefined : tenant.sessions.get(params.after);
    if (params.after !== undefined && !start) return undefined;
    const page = new BoundedPage<Session>(params.limit, this.state.limits.pageBytes);
    const { items: sessions } = page;
    let scanned = 0;
    let last: SessionEntry | undefined;
    for (const entry of tenant.sessionsInOrder.before(start?.sequence ?? Number.POSITIVE_INFINITY)) {
      if (last && scanned === this.state.limits.scannedAtOnce)
        return { sessions, next: last.session.session_id };
      scanned += 1;
      last = entry;
      if (params.status !== undefined && entry.session.status !== params.status) continue;
      if (!page.take(viewSession(entry))) return { sessions, next: (sessions.at(-1) as Session).session_id };
    }
    return { sessions };
  }

  /** Closes the session, and cancels the first portion of its tasks. */
  close(params: Omit<CloseSessionParams, 'signal'>): SessionClosed {
    const tenant = this.state.lookUp(params.tenantId);
    const entry = tenant.sessions.get(params.sessionId);
    if (!entry) return { answer: 'not_found' };
    const { cancellations } = this.life;
    const answer = entry.session.status === 'closed' ? 'already_closed' : 'closed';
    if (answer === 'closed') {
      this.change(tenant, entry, { status: 'closed' });
      cancellations.beginSession(tenant, entry, params.graceMs);
    }
    const session = viewSession(entry);
    return { answer, session, more: cancellations.pump(tenant, sessionKey(params.sessionId)) };
  }

  /** Timer: closes an idle session, removes a closed one. */
  expire(tenant: TenantState, sessionId: string): void {
    const entry = tenant.sessions.get(sessionId);
    if (!entry) return;
    const idleAt = Date.parse(entry.session.updated_at) + this.state.limits.sessionIdleMs;
    if (entry.live.size > 0 || idleAt > this.state.now()) this.scheduleIdle(tenant, entry);
    else if (entry.session.status === 'active') this.change(tenant, entry, { status: 'closed' });
    else {
      tenant.charge(-entry.bytes);
      tenant.sessions.delete(sessionId);
      tenant.sessionsInOrder.remove(entry.sequence);
    }
  }

  private change(tenant: TenantState, entry: SessionEntry, change: Partial<SessionEntry['session']>): void {
    const before = entry.session;
    entry.session = {
      ...before,
      ...change,
      rev: before.rev + 1,
      updated_at: new Date(this.state.now()).toISOString(),
    };
    if (entry.session.status !== before.status) this.scheduleIdle(tenant, entry);
    this.tell(tenant, entry);
  }

  private scheduleIdle(tenant: TenantState, entry: SessionEntry): void {
    const { tenantId } = tenant;
    const at = Math.max(
      this.state.now() + 1_000,
      Date.parse(entry.session.updated_at) + this.state.limits.sessionIdleMs,
    );
    this.state.schedule('session', at, { tenantId, id: entry.session.session_id });
  }

  private tell(tenant: TenantState, entry: SessionEntry): void {
    const { status, rev } = entry.session;
    const data = { status, rev, messages: entry.messages.length };
    const now = this.state.now();
    this.state.log(tenant, new LoggedEvent('session_updated', entry, undefined, now, data, undefined));
  }
}

/** Whether all entries fit into the page. */
function takeAll<T, E>(page: BoundedPage<T>, entries: Iterable<E>, view: (entry: E) => T): boolean {
  for (const entry of entries) if (page.isFull || !page.take(view(entry))) return false;
  return true;
}

function viewSession(entry: SessionEntry): Session {
  const session = { ...entry.session, context: {} };
  viewJson(session, 'context', entry.context);
  return session;
}
