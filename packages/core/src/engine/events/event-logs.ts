import { copyJson } from '../../protocol/bounded-json.js';
import { formatCursor, parseCursor, type TaskEvent, type EventRecord } from '../../protocol/events.js';
import { BoundedPage } from '../../storage/bounded-page.js';
import type { LogGap, LogHeadParams, ReadEventsParams, ReadEventsResult } from '../../storage/event-log.js';
import { unreadText } from '../../protocol/known-text.js';
import type { EngineState } from '../engine-state.js';

/** A page of a log as stored: its events are not copied, and must not be changed. */
export interface StoredPage {
  readonly events: readonly TaskEvent[];
  readonly cursor: string;
  readonly gap?: LogGap;
}

/** Event logs of all tenants, for readers and followers. */
export class EventLogs {
  constructor(private readonly state: EngineState) {}

  head({ tenantId }: LogHeadParams): string {
    return this.state.lookUp(tenantId).events.head;
  }

  read(params: ReadEventsParams): ReadEventsResult {
    const read = this.page(params);
    const page = new BoundedPage<TaskEvent>(params.limit, this.state.limits.pageBytes);
    for (const event of read.events) if (!page.take(event)) break;
    const events = page.items.map(copyEvent);
    const isWhole = events.length === read.events.length;
    return { ...read, events, cursor: isWhole ? read.cursor : (events.at(-1) as TaskEvent).cursor };
  }

  page({ tenantId, after, limit }: ReadEventsParams): StoredPage {
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

  /** The log is kept from now on, though it may be empty. */
  follow({ tenantId }: LogHeadParams): void {
    this.state.tenant(tenantId).events.followers += 1;
  }

  unfollow({ tenantId }: LogHeadParams): void {
    const { events } = this.state.lookUp(tenantId);
    events.followers = Math.max(0, events.followers - 1);
  }
}

/** Readers share nothing with the log: an event kept as text was parsed for this reader alone. */
export function copyEvent(event: TaskEvent): TaskEvent {
  if (unreadText(event, 'data') !== undefined || unreadText(event, 'metadata') !== undefined) return event;
  const { data, metadata } = event as EventRecord;
  return { ...event, data: copyJson(data), metadata: copyJson(metadata) } as TaskEvent;
}
