import { isFinalEvent, type TaskEvent } from '../../protocol/events.js';
import { EVENTS_PER_READ } from '../../protocol/pages.js';
import { WakeSignal } from '../../runtime/wake-signal.js';
import type { EventLog, FollowEventsParams, LogGap } from '../../storage/event-log.js';
import type { CommandGate } from '../engine-gate.js';
import { copyEvent } from '../events/event-logs.js';

export function eventLog(gate: CommandGate): EventLog {
  return {
    head: async (params) => gate.read('events.head', params),
    read: async (params) => gate.read('events.read', params),
    async *follow(params) {
      for await (const event of logged(gate, params)) yield event.event === 'gap' ? event : copyEvent(event);
    },
    async *followCompletions(params) {
      for await (const event of logged(gate, params)) {
        if (event.event === 'gap') yield event;
        else if (isFinalEvent(event.event))
          yield { event: 'ended', task_id: event.task_id ?? '', cursor: event.cursor };
      }
    },
  };
}

/** Stored events, not copied: read-only. */
async function* logged(
  gate: CommandGate,
  { tenantId, after, signal }: FollowEventsParams,
): AsyncGenerator<TaskEvent | LogGap> {
  const news = new WakeSignal();
  const onNews = () => news.notify();
  const unfollow = await gate.follow(tenantId, onNews);
  signal.addEventListener('abort', onNews, { once: true });
  try {
    let cursor = after;
    while (!signal.aborted) {
      // Before the read, so that an append in between wakes it.
      const woken = news.next;
      const page = await gate.read('events.page', { tenantId, after: cursor, limit: EVENTS_PER_READ });
      cursor = page.cursor;
      if (page.gap) yield page.gap;
      for (const event of page.events) {
        if (signal.aborted) return;
        yield event;
      }
      if (page.events.length === 0 && !signal.aborted) await woken;
    }
  } finally {
    unfollow();
    signal.removeEventListener('abort', onNews);
  }
}
