import type { NeutralAnswer } from './neutral-request.js';

/** One event of a stream: a browser sends `id` back as `Last-Event-ID`. */
export interface SseEvent {
  readonly event: string;
  readonly id: string;
  readonly data: object;
}

/** Reconnect delay of a browser, ms. */
const RETRY_MS = 2_000;
export const RETRY = Buffer.from(`retry: ${RETRY_MS}\n\n`);
/** A comment as a heartbeat. */
export const SSE_HEARTBEAT = Buffer.from(': heartbeat\n\n');

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

/** @param id absent: a reconnecting reader resumes at its previous position. */
export function formatSse(event: string, id: string | undefined, data: string | Buffer): Buffer {
  const head = id === undefined ? `event: ${event}\n` : `event: ${event}\nid: ${id}\n`;
  return Buffer.concat([Buffer.from(`${head}data: `), Buffer.from(data), Buffer.from('\n\n')]);
}
