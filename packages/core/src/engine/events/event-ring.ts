import { Fifo } from '../../runtime/fifo.js';
import { bytesOf, type KeptJson, KeptText, viewJson } from '../kept-json.js';
import { type EventName, formatCursor, type EventRecord, type TaskEvent } from '../../protocol/events.js';
import type { JsonObject, JsonValue } from '../../protocol/json.js';
import type { TaskEntry } from '../tasks/task-entry.js';
import type { SessionEntry } from '../tenants/tenant-state.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** An event as stored. */
export class LoggedEvent {
  /** The event as followers get it: created by the first reader, and kept unless its data is large. */
  view: TaskEvent | undefined = undefined;

  /**
   * @param from reporting service; absent for the orchestrator's own events.
   * @param rev the task's event counter, this event included.
   */
  constructor(
    readonly event: EventName,
    readonly about: TaskEntry | SessionEntry,
    readonly from: { readonly service: string; readonly metadata?: KeptJson } | undefined,
    readonly at: number,
    readonly data: KeptJson,
    readonly rev: number | undefined,
  ) {}
}

function sizeOf({ data, from }: LoggedEvent): number {
  return bytesOf(data) + (from?.metadata === undefined ? 0 : bytesOf(from.metadata));
}

/** Event log of a tenant. `seq` grows by one; the oldest events are trimmed by count, bytes and age. */
export class EventRing {
  private readonly kept = new Fifo<LoggedEvent>();
  private lastSeq = 0;
  /** Bytes of data and metadata of the kept events. */
  private bytes = 0;
  /** Number of followers: a followed log is kept, though it may be empty. */
  followers = 0;

  constructor(
    private readonly tenantId: string,
    private currentEpoch: string,
  ) {}

  get epoch(): string {
    return this.currentEpoch;
  }

  /** The same events under other cursors. */
  renew(epoch: string): void {
    this.currentEpoch = epoch;
    for (const event of this.kept.slice(0, this.kept.size)) event.view = undefined;
  }

  /** Goes on behind `seq` events that another storage had. */
  startAfter(seq: number): void {
    this.lastSeq = seq;
  }

  get seq(): number {
    return this.lastSeq;
  }

  /** Whether there are neither events nor followers. */
  get isEmpty(): boolean {
    return this.kept.size === 0 && this.followers === 0;
  }

  get head(): string {
    return formatCursor({ epoch: this.epoch, seq: this.lastSeq });
  }

  append(event: LoggedEvent): void {
    this.lastSeq += 1;
    this.bytes += sizeOf(event);
    this.kept.push(event);
  }

  /** Trims by count, bytes and age. The newest event always stays. */
  trim(limits: { readonly maxEvents: number; readonly maxEventBytes: number }, olderThan: number): void {
    for (let oldest = this.kept.first; oldest; oldest = this.kept.first) {
      const { size } = this.kept;
      const fits = size <= limits.maxEvents && (this.bytes <= limits.maxEventBytes || size === 1);
      if (fits && oldest.at >= olderThan) break;
      this.bytes -= sizeOf(oldest);
      this.kept.shift();
    }
  }

  /** `seq` of the oldest kept event; `head + 1` for an empty log. */
  get firstSeq(): number {
    return this.lastSeq - this.kept.size + 1;
  }

  /** At most `limit` events after `seq`, which must not be before `firstSeq - 1`. */
  after(seq: number, limit: number): TaskEvent[] {
    return this.kept
      .slice(seq + 1 - this.firstSeq, limit)
      .map((event, at) => this.viewOf(event, formatCursor({ epoch: this.epoch, seq: seq + 1 + at })));
  }

  private viewOf(event: LoggedEvent, cursor: string): TaskEvent {
    if (hasText(event)) return viewEvent(this.tenantId, event, cursor);
    return (event.view ??= viewEvent(this.tenantId, event, cursor));
  }
}

function viewEvent(tenantId: string, logged: LoggedEvent, cursor: string): TaskEvent {
  const { event, about, from, at, data, rev } = logged;
  const task = 'spec' in about ? about.spec : undefined;
  const sessionId = 'spec' in about ? about.spec.session_id : about.session.session_id;
  const view: Writable<EventRecord> = {
    event,
    service: from?.service ?? 'orchestrator',
    ...(task && { task_id: task.task_id, global_task_id: task.task_id }),
    tenant_id: tenantId,
    ...(sessionId !== undefined && { session_id: sessionId }),
    timestamp: new Date(at).toISOString(),
    data: null,
    metadata: {},
    ...(rev !== undefined && { rev }),
    cursor,
  };
  const metadata = from?.metadata ?? {};
  if (hasText(logged)) {
    viewJson(view, 'data', data);
    viewJson(view, 'metadata', metadata);
  } else {
    view.data = data as JsonValue;
    view.metadata = metadata as JsonObject;
  }
  return view as TaskEvent;
}

/** Whether the event is kept as text: each reader then gets its own parsed copy. */
function hasText({ data, from }: LoggedEvent): boolean {
  return data instanceof KeptText || from?.metadata instanceof KeptText;
}
