import { copyJson } from '../../protocol/bounded-json.js';
import {
  type EventRecord,
  formatCursor,
  isFinalEvent,
  parseCursor,
  type TaskEvent,
} from '../../protocol/events.js';
import { BoundedPage } from '../../storage/bounded-page.js';
import type {
  EventLog,
  LogGap,
  TaskEnd,
  FollowEventsParams,
  LogHeadParams,
  ReadEventsParams,
  ReadEventsResult,
} from '../../storage/event-log.js';
import { unreadText } from '../../protocol/known-text.js';
import type { MemoryState } from '../engine-state.js';

const PAGE = 500;

export class MemoryEventLog implements EventLog {
  constructor(private readonly state: MemoryState) {}

  async head({ tenantId }: LogHeadParams): Promise<string> {
    return this.state.lookUp(tenantId).events.head;
  }

  async read(params: ReadEventsParams): Promise<ReadEventsResult> {
    const read = this.readNow(params.tenantId, params.after, params.limit);
    const page = new BoundedPage<TaskEvent>(params.limit, this.state.limits.pageBytes);
    for (const event of read.events) if (!page.take(event)) break;
    const events = page.items.map(copyEvent);
    const isWhole = events.length === read.events.length;
    return { ...read, events, cursor: isWhole ? read.cursor : (events.at(-1) as TaskEvent).cursor };
  }

  private readNow(
    tenantId: string,
    after: string,
    limit: number,
  ): { readonly events: readonly TaskEvent[]; readonly cursor: string; readonly gap?: LogGap } {
    const log = this.state.lookUp(tenantId).events;
    const cursor = parseCursor(after);
    const lost = cursor?.epoch !== log.epoch || cursor.seq > log.seq || cursor.seq < log.firstSeq - 1;
    const from = lost ? log.firstSeq - 1 : cursor.seq;
    const events = log.after(from, limit);
    const last = formatCursor({ epoch: log.epoch, seq: from + events.length });
    if (!lost) return { events, cursor: last };
    return {
      events,
      cursor: last,
      gap: { event: 'gap', from: after, to: formatCursor({ epoch: log.epoch, seq: from }) },
    };
  }

  async *follow(params: FollowEventsParams): AsyncGenerator<TaskEvent | LogGap> {
    for await (const event of this.logged(params)) yield event.event === 'gap' ? event : copyEvent(event);
  }

  /** Stored events, not copied: read-only. */
  private async *logged({ tenantId, after, signal }: FollowEventsParams): AsyncGenerator<TaskEvent | LogGap> {
    let wake = () => {};
    const onNews = () => wake();
    const { followers } = this.state.tenant(tenantId).events;
    followers.add(onNews);
    signal.addEventListener('abort', onNews, { once: true });
    try {
      let cursor = after;
      while (!signal.aborted) {
        // Subscribes before it reads, so that an append in between wakes it.
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const page = this.readNow(tenantId, cursor, PAGE);
        cursor = page.cursor;
        if (page.gap) yield page.gap;
        for (const event of page.events) {
          if (signal.aborted) return;
          yield event;
        }
        if (page.events.length === 0 && !signal.aborted) await woken;
      }
    } finally {
      followers.delete(onNews);
      signal.removeEventListener('abort', onNews);
    }
  }

  async *followCompletions(params: FollowEventsParams): AsyncGenerator<TaskEnd | LogGap> {
    for await (const event of this.logged(params)) {
      if (event.event === 'gap') yield event;
      else if (isFinalEvent(event.event))
        yield { event: 'ended', task_id: event.task_id ?? '', cursor: event.cursor };
    }
  }
}

/** Readers share nothing with the log: an event kept as text was parsed for this reader alone. */
function copyEvent(event: TaskEvent): TaskEvent {
  if (unreadText(event, 'data') !== undefined || unreadText(event, 'metadata') !== undefined) return event;
  const { data, metadata } = event as EventRecord;
  return { ...event, data: copyJson(data), metadata: copyJson(metadata) } as TaskEvent;
}
