import {
  isFinal,
  isFinalEvent,
  OrchestratorError,
  type Task,
  type TaskEvent,
  type TenantHandle,
} from '@agent-orchestrator/core';
import { type Topic } from '@agent-orchestrator/core/protocol';
import { cursorSchema, parseCursor, validate } from '@agent-orchestrator/core/protocol';
import { withinTicket } from '../auth/credentials.js';
import { hasScope, withoutScope } from '../auth/scopes.js';
import { refuseOtherTopic, scopesOf, type ShownCredential } from '../auth/tickets.js';
import { Subscription } from '../client-socket/subscription.js';
import { CLOSE } from '../sockets/close-codes.js';
import { CredentialCheck } from '../auth/credential-check.js';
import { EventStream, type EventStreamParts } from './event-stream.js';
import type { NeutralAnswer, NeutralRequest } from './neutral-request.js';
import type { RouteServices } from './route.js';
import { inOrder, type SseEvent, sseAnswer } from './sse.js';

interface Follow {
  readonly request: NeutralRequest;
  readonly services: RouteServices;
  readonly tenant: TenantHandle;
  readonly credential: ShownCredential;
}

/**
 * A task's events as a stream: the snapshot, then events up to the final one. With `Last-Event-ID` the events
 * after it; 204, which stops a browser from reconnecting, when none can follow.
 */
export async function followTask(follow: Follow, taskId: string): Promise<NeutralAnswer> {
  const topic = { task_id: taskId };
  refuseOtherTopic(follow.credential.ticket?.topic, topic);
  const after = lastEventId(follow.request);
  const state = await follow.tenant.events.snapshot(topic, after);
  if (!hasEnded(state.snapshot)) return live(follow, { topic, state, after, isLast: isFinalOfTask });
  const snapshot = asSse({ event: 'snapshot', ...state });
  const events =
    after === undefined ? [snapshot] : await restOf(follow, taskId, after, state.cursor, snapshot);
  return events.length === 0 ? { status: 204, headers: {} } : sseAnswer(inOrder(events));
}

/** Events of a session and its tasks until the reader disconnects. */
export async function followSession(follow: Follow, sessionId: string): Promise<NeutralAnswer> {
  const topic = { session_id: sessionId };
  refuseOtherTopic(follow.credential.ticket?.topic, topic);
  const after = lastEventId(follow.request);
  const state = await follow.tenant.events.snapshot(topic, after);
  return live(follow, { topic, state, after, isLast: () => false });
}

interface Live {
  readonly topic: Topic;
  readonly state: Awaited<ReturnType<TenantHandle['events']['snapshot']>>;
  readonly after: string | undefined;
  readonly isLast: EventStreamParts['isLast'];
}

/** A stream on the tenant's shared feed, with its credential rechecked at heartbeats. */
function live({ request, services, tenant, credential }: Follow, { topic, state, after, isLast }: Live) {
  const { tenantId } = tenant;
  const leave = services.admission.connect({ tenant: tenantId });
  if (!leave) {
    throw new OrchestratorError(
      'rate_limited',
      'the tenant has reached its maximum of open sockets and streams',
    );
  }
  const { feed, release } = services.feeds.acquire(tenantId);
  const gone = AbortSignal.any([request.signal, services.stopping]);
  const end = () => stream.end();
  const stream = new EventStream({
    heartbeatMs: services.heartbeatMs,
    clock: services.clock,
    sendsState: after === undefined,
    isLast,
    beat: () => check.beat(),
    ended: () => {
      gone.removeEventListener('abort', end);
      subscription.end();
      release();
      leave();
    },
  });
  const check = new CredentialCheck({
    authenticator: services.authenticator,
    token: credential.token,
    ids: { tenant_id: tenantId },
    accept: (found) => {
      const identity = withinTicket(credential, found);
      if (identity?.kind !== 'client' || identity.tenant !== tenantId) return false;
      if (!hasScope(identity, scopesOf(topic))) stream.fail(withoutScope(scopesOf(topic)));
      return true;
    },
    close: (code, reason) =>
      stream.fail(
        new OrchestratorError(code === CLOSE.unauthorized ? 'unauthorized' : 'service_unavailable', reason),
      ),
  });
  const subscription = new Subscription({
    id: 'stream',
    topic,
    tenant,
    feed,
    clock: services.clock,
    sink: stream,
  });
  gone.addEventListener('abort', end, { once: true });
  if (gone.aborted) end();
  else void subscription.startFrom(state, after);
  return sseAnswer(stream);
}

function lastEventId(request: NeutralRequest): string | undefined {
  const id = request.headers['last-event-id'];
  return id === undefined || id === '' ? undefined : validate(cursorSchema, id, 'last-event-id');
}

/** Remaining events of an ended task after `after`; `head` is the cursor of its snapshot. */
async function restOf(
  follow: Follow,
  taskId: string,
  after: string,
  head: string,
  state: SseEvent,
): Promise<readonly SseEvent[]> {
  const [from, to] = [parseCursor(after), parseCursor(head)];
  if (!from || !to || from.epoch !== to.epoch || from.seq > to.seq) return [state];
  if (from.seq === to.seq) return [];
  const reading = new AbortController();
  const signal = AbortSignal.any([follow.request.signal, follow.services.stopping, reading.signal]);
  const rest: SseEvent[] = [];
  try {
    for await (const event of follow.tenant.events.log({ after, signal })) {
      if (event.event === 'gap') return [state];
      if ((parseCursor(event.cursor)?.seq ?? 0) > to.seq) break;
      if (event.task_id === taskId) rest.push(asSse(event));
      if (event.cursor === head) break;
    }
  } finally {
    reading.abort();
  }
  return rest;
}

function isFinalOfTask({ event, snapshot }: { readonly event: string; readonly snapshot?: object }): boolean {
  return isFinalEvent(event) || (event === 'gap' && hasEnded(snapshot ?? {}));
}

function hasEnded(snapshot: object): boolean {
  return 'task' in snapshot && isFinal((snapshot.task as Task).status);
}

function asSse(event: TaskEvent | { readonly event: 'snapshot'; readonly cursor: string }): SseEvent {
  return { event: event.event, id: event.cursor, data: event };
}
