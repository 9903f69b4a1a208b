import {
  type JsonObject,
  mergedContext,
  type Message,
  OrchestratorError,
  type Session,
  type SessionState,
  type SessionStore,
} from '@agent-orchestrator/core';
import { keyOf } from './idempotency.js';
import { cursorOf } from './epoch.js';
import { readMessage, storedMessage } from './messages.js';
import type { RedisState } from './redis-state.js';
import type { Reply } from './script-runner.js';
import { readTask, TaskView } from './task-view.js';

/** How often an update without a `rev` begins anew because somebody else was faster. */
const MAX_ROUNDS = 50;
const PAGE = 100;

export class RedisSessions implements SessionStore {
  constructor(private readonly state: RedisState) {}

  async create({
    tenantId,
    sessionId,
    agentId,
    context,
    idempotency,
  }: Parameters<SessionStore['create']>[0]): ReturnType<SessionStore['create']> {
    const request = JSON.stringify({ id: sessionId, agent: agentId, ...keyOf(idempotency) });
    const reply = await this.state.change(
      tenantId,
      'createSession',
      request,
      JSON.stringify(mergedContext({}, context)),
    );
    const [answer, fields, used] = reply as
      | ['created' | 'exists' | 'replayed', readonly string[], string?]
      | ['idempotency_conflict'];
    if (answer === 'idempotency_conflict') return { answer };
    return { answer, session: readSession(tenantId, used ?? sessionId, fields) };
  }

  async get({ tenantId, sessionId }: Parameters<SessionStore['get']>[0]): Promise<SessionState | undefined> {
    const reply = await this.state.run(tenantId, 'getSession', sessionId);
    if (reply === null) return undefined;
    const [fields, tasks, seq, epoch] = reply as [Reply, Reply[], number, string | null];
    return {
      session: readSession(tenantId, sessionId, fields),
      tasks: tasks.map((task) => new TaskView(tenantId, readTask(task))),
      cursor: cursorOf(epoch, seq),
    };
  }

  async update(params: Parameters<SessionStore['update']>[0]): ReturnType<SessionStore['update']> {
    const { tenantId, sessionId } = params;
    // The context is merged here, since numbers would lose digits in a script; the script compares the `rev`.
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const reply = await this.state.run(tenantId, 'getSession', sessionId);
      if (reply === null) return { answer: 'not_found' };
      const [fields] = reply as [Reply];
      const session = readSession(tenantId, sessionId, fields);
      if (session.status === 'closed') return { answer: 'session_closed' };
      if (params.rev !== undefined && params.rev !== session.rev) return { answer: 'conflict', session };
      const context = mergedContext(session.context, params.context ?? {});
      const answer = await this.#set(params, session.rev, context);
      if (answer.answer !== 'conflict' || params.rev !== undefined) return answer;
    }
    throw new OrchestratorError('conflict', `session "${sessionId}" changed ${MAX_ROUNDS} times meanwhile`);
  }

  async #set(
    { tenantId, sessionId, agentId }: Parameters<SessionStore['update']>[0],
    rev: number,
    context: JsonObject,
  ): ReturnType<SessionStore['update']> {
    const request = { id: sessionId, rev, agent: agentId, change: this.state.parts.random.uuid() };
    const reply = await this.state.change(
      tenantId,
      'updateSession',
      JSON.stringify(request),
      JSON.stringify(context),
    );
    const [answer, fields] = reply as
      | ['updated' | 'conflict', Reply]
      | ['not_found' | 'session_closed', null];
    if (answer === 'not_found' || answer === 'session_closed') return { answer };
    return { answer, session: readSession(tenantId, sessionId, fields) };
  }

  async append({
    tenantId,
    sessionId,
    message,
  }: Parameters<SessionStore['append']>[0]): ReturnType<SessionStore['append']> {
    const request = JSON.stringify({ id: sessionId, message_id: message.message_id });
    const reply = await this.state.change(tenantId, 'appendMessage', request, storedMessage(message));
    const [answer, stored] = reply as ['appended' | 'known', string] | ['not_found' | 'session_closed', ''];
    if (answer === 'not_found' || answer === 'session_closed') return { answer };
    return { answer, message: readMessage(stored) };
  }

  async messages(params: Parameters<SessionStore['messages']>[0]): Promise<readonly Message[] | undefined> {
    const { tenantId, sessionId, limit, before } = params;
    this.state.checkOpen();
    const { scripts, keys } = this.state.parts;
    const reply = await scripts.run('listMessages', [keys.session(tenantId, sessionId)], []);
    if (reply === null || reply === 0) return undefined;
    const stored = (reply as string[]).map((text) => text.slice(text.indexOf('\n') + 1));
    const messages = stored.map(readMessage);
    const at = messages.findIndex(({ message_id }) => message_id === before);
    const end = at >= 0 ? at : messages.length;
    return messages.slice(Math.max(0, end - limit), end);
  }

  async list(params: Parameters<SessionStore['list']>[0]): ReturnType<SessionStore['list']> {
    const { tenantId, status, limit } = params;
    const found: Session[] = [];
    for (let after = params.after ?? ''; ;) {
      const reply = await this.state.run(tenantId, 'listSessions', after, PAGE);
      if (reply === null) return after === params.after ? undefined : { sessions: found };
      const page = reply as [string, Reply][];
      for (const [sessionId, fields] of page) {
        const session = readSession(tenantId, sessionId, fields);
        after = sessionId;
        if (status !== undefined && session.status !== status) continue;
        if (found.length === limit) return { sessions: found, next: (found.at(-1) as Session).session_id };
        found.push(session);
      }
      if (page.length < PAGE) return { sessions: found };
    }
  }

  async close({
    tenantId,
    sessionId,
    graceMs,
  }: Parameters<SessionStore['close']>[0]): ReturnType<SessionStore['close']> {
    const request = JSON.stringify({ id: sessionId, grace: graceMs });
    const reply = await this.state.change(tenantId, 'closeSession', request);
    const [answer, fields] = reply as ['closed' | 'already_closed', Reply] | ['not_found'];
    if (answer === 'not_found') return { answer };
    return { answer, session: readSession(tenantId, sessionId, fields) };
  }
}

function readSession(tenantId: string, sessionId: string, reply: Reply): Session {
  const flat = reply as string[];
  const fields = new Map<string, string>();
  for (let at = 0; at < flat.length; at += 2) fields.set(flat[at] as string, flat[at + 1] as string);
  const agent = fields.get('agent');
  const time = (field: string) => new Date(Number(fields.get(field))).toISOString();
  return {
    session_id: sessionId,
    tenant_id: tenantId,
    ...(agent !== undefined && { agent_id: agent }),
    status: fields.get('status') === 'closed' ? 'closed' : 'active',
    created_at: time('created'),
    updated_at: time('updated'),
    context: JSON.parse(fields.get('context') ?? '{}') as JsonObject,
    rev: Number(fields.get('rev')),
  };
}
