import type { NeutralAnswer } from './neutral-request.js';

/** One event of a stream: `id` is what `Last-Event-ID` brings back. */
export interface SseEvent {
  readonly event: string;
  readonly id: string;
  readonly data: object;
}

/** How long a browser waits before it comes back, in milliseconds. */
const RETRY_MS = 2_000;

/** A stream of events as an answer; while nothing happens a comment shows each `heartbeatMs` that it lives. */
export function sseAnswer(events: AsyncIterable<SseEvent>, heartbeatMs: number): NeutralAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
    body: withHeartbeat(events, heartbeatMs),
  };
}

async function* withHeartbeat(events: AsyncIterable<SseEvent>, heartbeatMs: number): AsyncGenerator<string> {
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    yield `retry: ${RETRY_MS}\n\n`;
    for (;;) {
      const result = await orTimeUp(next, heartbeatMs);
      if (result === 'time is up') {
        yield ': heartbeat\n\n';
        continue;
      }
      if (result.done === true) return;
      yield format(result.value);
      next = iterator.next();
    }
  } finally {
    next.catch(() => undefined);
    iterator.return?.().catch(() => undefined);
  }
}

async function orTimeUp<T>(promise: Promise<T>, ms: number): Promise<T | 'time is up'> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<'time is up'>((resolve) => {
    timer = setTimeout(() => resolve('time is up'), ms);
  });
  try {
    return await Promise.race([promise, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}

function format(event: SseEvent): string {
  return `event: ${event.event}\nid: ${event.id}\ndata: ${JSON.stringify(event.data)}\n\n`;
}
