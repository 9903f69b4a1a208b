import type { NeutralAnswer } from './neutral-request.js';

/** One event of a stream: `id` is what `Last-Event-ID` brings back. */
export interface SseEvent {
  readonly event: string;
  readonly id: string;
  readonly data: object;
}

/** How long a browser waits before it comes back, in milliseconds. */
const RETRY_MS = 2_000;
export const RETRY = Buffer.from(`retry: ${RETRY_MS}\n\n`);
/** A comment, which shows that the stream lives. */
export const SSE_HEARTBEAT = Buffer.from(': heartbeat\n\n');

/** A stream of events as an answer. */
export function sseAnswer(pieces: Exclude<NeutralAnswer['body'], string | undefined>): NeutralAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
    body: pieces,
  };
}

/** Events that are all there already. */
export async function* inOrder(events: readonly SseEvent[]): AsyncGenerator<Buffer> {
  yield RETRY;
  for (const { event, id, data } of events) yield formatSse(event, id, JSON.stringify(data));
}

/** @param id absent: a reader that comes back goes on where it was. */
export function formatSse(event: string, id: string | undefined, data: string | Buffer): Buffer {
  const head = id === undefined ? `event: ${event}\n` : `event: ${event}\nid: ${id}\n`;
  return Buffer.concat([Buffer.from(`${head}data: `), Buffer.from(data), Buffer.from('\n\n')]);
}
