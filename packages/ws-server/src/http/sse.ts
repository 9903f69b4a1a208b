import { formatSse, RETRY } from '../events/sse-format.js';
import type { NeutralAnswer } from './neutral-request.js';

/** One event of a stream: a browser sends `id` back as `Last-Event-ID`. */
export interface SseEvent {
  readonly event: string;
  readonly id: string;
  readonly data: object;
}

/** A response with an event stream. */
export function sseAnswer(pieces: Exclude<NeutralAnswer['body'], string | undefined>): NeutralAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
    body: pieces,
  };
}

/** A stream of events that all exist already. */
export async function* inOrder(events: readonly SseEvent[]): AsyncGenerator<Buffer> {
  yield RETRY;
  for (const { event, id, data } of events) yield formatSse(event, id, JSON.stringify(data));
}
