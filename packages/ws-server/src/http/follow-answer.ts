import {
  cursorSchema,
  type Gap,
  isFinal,
  parseCursor,
  type Task,
  type TaskEvent,
  type TenantHandle,
  validate,
} from '@agent-orchestrator/core';
import { refuseOtherTopic, type ShownCredential } from '../auth/tickets.js';
import type { NeutralAnswer, NeutralRequest } from './neutral-request.js';
import type { RouteServices } from './route.js';
import { type SseEvent, sseAnswer } from './sse.js';

interface Follow {
  readonly request: NeutralRequest;
  readonly services: RouteServices;
  readonly tenant: TenantHandle;
  readonly credential: ShownCredential;
}

/**
 * A task's events as a stream: its state, then what happens to it, up to its final event. With `Last-Event-ID` what came
 * after that; 204, which tells a browser not to come back, when nothing can.
 */
export async function followTask(follow: Follow, taskId: string): Promise<NeutralAnswer> {
  const { tenant, services } = follow;
  const topic = { task_id: taskId };
  refuseOtherTopic(follow.credential.ticket?.topic, topic);
  const after = lastEventId(follow.request);
  const { snapshot, cursor } = await tenant.events.snapshot(topic, after);
  const task = (snapshot as { readonly task: Task }).task;
  const state = { event: 'snapshot', id: cursor, data: { event: 'snapshot', cursor, snapshot } };
  if (isFinal(task.status)) {
    const events = after === undefined ? [state] : await restOf(follow, taskId, after, cursor, state);
    return events.length === 0
      ? { status: 204, headers: {} }
      : sseAnswer(inOrder(events), services.heartbeatMs);
  }
  const signal = AbortSignal.any([follow.request.signal, services.stopping]);
  const live = tenant.events.follow({ ...topic, after: after ?? cursor, signal });
  return sseAnswer(untilFinal(after === undefined ? state : undefined, live, signal), services.heartbeatMs);
}

/** A session's events and those of its tasks, until the reader goes. */
export async function followSession(follow: Follow, sessionId: string): Promise<NeutralAnswer> {
  const { tenant, services } = follow;
  const topic = { session_id: sessionId };
  refuseOtherTopic(follow.credential.ticket?.topic, topic);
  const after = lastEventId(follow.request);
  const { snapshot, cursor } = await tenant.events.snapshot(topic, after);
  const state = { event: 'snapshot', id: cursor, data: { event: 'snapshot', cursor, snapshot } };
  const signal = AbortSignal.any([follow.request.signal, services.stopping]);
  const live = tenant.events.follow({ ...topic, after: after ?? cursor, signal });
  return sseAnswer(endless(after === undefined ? state : undefined, live, signal), services.heartbeatMs);
}

function lastEventId(request: NeutralRequest): string | undefined {
  const id = request.headers['last-event-id'];
  return id === undefined || id === '' ? undefined : validate(cursorSchema, id, 'last-event-id');
}

/** What a task that has ended still has to tell after `after`; `head` is where its state was read. */
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

async function* inOrder(events: readonly SseEvent[]): AsyncGenerator<SseEvent> {
  yield* events;
}

async function* untilFinal(
  first: SseEvent | undefined,
  live: AsyncIterable<TaskEvent | Gap>,
  signal: AbortSignal,
): AsyncGenerator<SseEvent> {
  for await (const event of endless(first, live, signal)) {
    yield event;
    if (event.event === 'task_completed' || event.event === 'task_failed') return;
    if (event.event === 'gap' && endedMeanwhile(event.data as Gap)) return;
  }
}

function endedMeanwhile(gap: Gap): boolean {
  return 'task' in gap.snapshot && isFinal(gap.snapshot.task.status);
}

async function* endless(
  first: SseEvent | undefined,
  live: AsyncIterable<TaskEvent | Gap>,
  signal: AbortSignal,
): AsyncGenerator<SseEvent> {
  if (first) yield first;
  try {
    for await (const event of live) yield asSse(event);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function asSse(event: TaskEvent | Gap): SseEvent {
  return { event: event.event, id: event.event === 'gap' ? event.to : event.cursor, data: event };
}
