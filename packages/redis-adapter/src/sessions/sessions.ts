import {
  type JsonObject,
  type Message,
  OrchestratorError,
  type Session,
  type Task,
} from '@agent-orchestrator/core';
import { type SessionState } from '@agent-orchestrator/core/storage';
import { addFromText, fieldText } from '@agent-orchestrator/core/protocol';
import {
  BoundedPage,
  mergedContext,
  type SessionStore,
  type AppendMessageParams,
  type AppendMessageResult,
  type CloseSessionParams,
  type CloseSessionResult,
  type CreateSessionParams,
  type CreateSessionResult,
  type GetSessionParams,
  type ListMessagesParams,
  type ListSessionsParams,
  type ListSessionsResult,
  type UpdateSessionParams,
  type UpdateSessionResult,
} from '@agent-orchestrator/core/storage';
import { keyOf } from '../tasks/idempotency.js';
import { cursorOf } from '../scripts/epoch.js';
import { readMessage, storedMessage } from '../tasks/messages.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Reply } from '../scripts/script-runner.js';
import { readTask, TaskView } from '../tasks/task-codec.js';

/** Maximum of retries of an update without a `rev` after concurrent updates. */
const MAX_ROUNDS = 50;
/** Maximum of sessions scanned by one script, so that none blocks the server for long. */
const SCANNED_PER_STEP = 250;

export class RedisSessions implements SessionStore {
  constructor(private readonly state: RedisState) {}

  async create({
    tenantId,
    sessionId,
    agentId,
    context,
    idempotency,
  }: CreateSessionParams): Promise<CreateSessionResult> {
    const request = JSON.stringify({ id: sessionId, agent: agentId, ...keyOf(idempotency) });
    const reply = await this.state.change(tenantId, 'createSession', request, mergedContext('{}', context));
    const [answer, fields, used] = reply as
      | ['created' | 'exists' | 'replayed', readonly string[], string?]
      | ['idempotency_conflict' | 'queue_full', null?];
    if (answer === 'idempotency_conflict' || answer === 'queue_full') return this.#refused(tenantId, answer);
    return { answer, session: readSession(tenantId, used ?? sessionId, fields as Reply) };
  }

  async get({ tenantId, sessionId }: GetSessionParams): Promise<SessionState | undefined> {
    const { sessionTasks, pageBytes } = this.state.parts.limits;
    const reply = await this.state.run(tenantId, 'getSession', sessionId, sessionTasks, pageBytes);
    if (reply === null) return undefined;
    const [fields, found, seq, epoch, more] = reply as [Reply, Reply[], number, string | null, 1 | null];
    const page = new BoundedPage<Task>(sessionTasks, pageBytes);
    for (const task of found) if (!page.take(new TaskView(tenantId, readTask(task)))) break;
    return {
      session: readSession(tenantId, sessionId, fields),
      tasks: page.items,
      cursor: cursorOf(epoch, seq),
      ...((more === 1 || page.items.length < found.length) && { more: true }),
    };
  }

  async update(params: UpdateSessionParams): Promise<UpdateSessionResult> {
    const { tenantId, sessionId } = params;
    // The context is merged here, since numbers would lose digits in a script; the script compares the `rev`.
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const reply = await this.state.run(tenantId, 'getSession', sessionId, 0, 0);
      if (reply === null) return { answer: 'not_found' };
      const [fields] = reply as [Reply];
      const session = readSession(tenantId, sessionId, fields);
      if (session.status === 'closed') return { answer: 'session_closed' };
      if (params.rev !== undefined && params.rev !== session.rev) return { answer: 'conflict', session };
      const context = mergedContext(fieldText(session, 'context'), params.context ?? {});
      const answer = await this.#set(params, session.rev, context);
      if (answer.answer !== 'conflict' || params.rev !== undefined) return answer;
    }
    throw new OrchestratorError('conflict', `session "${sessionId}" changed ${MAX_ROUNDS} times meanwhile`);
  }

  async #set(
    { tenantId, sessionId, agentId, context: changes }: UpdateSessionParams,
    rev: number,
    context: string,
  ): Promise<UpdateSessionResult> {
    const change = this.state.parts.random.uuid();
    const request = { id: sessionId, rev, agent: agentId, change, has_context: changes !== undefined };
    const reply = await this.state.change(tenantId, 'updateSession', JSON.stringify(request), context);
    const [answer, fields] = reply as
      | ['updated' | 'conflict', Reply]
      | ['not_found' | 'session_closed' | 'queue_full', null];
    if (answer !== 'updated' && answer !== 'conflict') return this.#refused(tenantId, answer);
    return { answer, session: readSession(tenantId, sessionId, fields) };
  }

  async append({ tenantId, sessionId, message }: AppendMessageParams): Promise<AppendMessageResult> {
    const request = JSON.stringify({ id: sessionId, message_id: message.message_id });
    const reply = await this.state.change(tenantId, 'appendMessage', request, storedMessage(message));
    const [answer, stored] = reply as
      | ['appended' | 'known', string]
      | ['not_found' | 'session_closed' | 'queue_full', ''];
    if (answer !== 'appended' && answer !== 'known') return this.#refused(tenantId, answer);
    return { answer, message: readMessage(stored) };
  }

  #refused<A extends string>(tenantId: string, answer: A): { readonly answer: A } {
    if (answer === 'queue_full') this.state.publishAtLimit(tenantId);
    return { answer };
  }

  async messages(params: ListMessagesParams): Promise<readonly Message[] | undefined> {
    const { tenantId, sessionId, limit, before = '' } = params;
    this.state.checkOpen();
    const { scripts, keys, limits } = this.state.parts;
    const session = keys.session(tenantId, sessionId);
    const reply = await scripts.run('listMessages', [session], [limit, before, limits.pageBytes]);
    if (reply === null) return undefined;
    const page = new BoundedPage<Message>(limit, limits.pageBytes);
    for (const stored of reply as string[]) if (!page.take(readMessage(stored))) break;
    return page.items.toReversed();
  }

  async list(params: ListSessionsParams): Promise<ListSessionsResult> {
    const { tenantId, status, limit } = params;
    const { pageBytes, scannedAtOnce } = this.state.parts.limits;
    const page = new BoundedPage<Session>(limit, pageBytes);
    const { items: sessions } = page;
    const upToLast = () => ({ sessions, next: (sessions.at(-1) as Session).session_id });
    let { after } = params;
    for (let left = scannedAtOnce; ;) {
      const scans = Math.min(SCANNED_PER_STEP, left);
      const request = { after, limit: limit - sessions.length, scans, bytes: pageBytes, status };
      const reply = await this.state.run(tenantId, 'listSessions', JSON.stringify(request));
      // A session that existed when the page began may be removed by now.
      if (reply === null) return after === params.after ? undefined : { sessions };
      const [found, next, scanned, isFull] = reply as [[string, Reply][], string | null, number, 1 | null];
      for (const [sessionId, fields] of found)
        if (!page.take(readSession(tenantId, sessionId, fields))) return upToLast();
      left -= scanned;
      if (isFull === 1) return upToLast();
      if (next === null) return { sessions };
      if (left <= 0) return { sessions, next };
      after = next;
    }
  }

  async close({ tenantId, sessionId, graceMs, signal }: CloseSessionParams): Promise<CloseSessionResult> {
    const step = async (further: boolean) => {
      const request = JSON.stringify({ id: sessionId, grace: graceMs, further });
      return (await this.state.change(tenantId, 'closeSession', request)) as
        | ['closed' | 'already_closed', Reply, 1 | null]
        | ['not_found'];
    };
    const first = await step(false);
    if (first[0] === 'not_found') return { answer: first[0] };
    const mayGoOn = () => signal?.aborted !== true;
    for (let more = first[2]; more !== null && mayGoOn();) more = (await step(true))[2] ?? null;
    return { answer: first[0], session: readSession(tenantId, sessionId, first[1]) };
  }
}

function readSession(tenantId: string, sessionId: string, reply: Reply): Session {
  const flat = reply as string[];
  const fields = new Map<string, string>();
  for (let at = 0; at < flat.length; at += 2) fields.set(flat[at] as string, flat[at + 1] as string);
  const agent = fields.get('agent');
  const time = (field: string) => new Date(Number(fields.get(field))).toISOString();
  const session: Session = {
    session_id: sessionId,
    tenant_id: tenantId,
    ...(agent !== undefined && { agent_id: agent }),
    status: fields.get('status') === 'closed' ? 'closed' : 'active',
    created_at: time('created'),
    updated_at: time('updated'),
    context: {},
    rev: Number(fields.get('rev')),
  };
  addFromText(session as { context: JsonObject }, 'context', fields.get('context') ?? '{}');
  return session;
}
