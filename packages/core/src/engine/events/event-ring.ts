import { bytesOf, type KeptJson, KeptText, viewJson } from '../kept-json.js';
import { type EventName, formatCursor, type TaskEvent } from '../../protocol/events.js';
import type { JsonObject, JsonValue } from '../../protocol/json.js';
import type { TaskEntry } from '../tasks/task-entry.js';
import type { SessionEntry } from '../tenants/tenant-state.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export interface LoggedEvent {
  readonly event: EventName;
  readonly about: TaskEntry | SessionEntry;
  /** Who reported it, if it was not the orchestrator itself. */
  readonly from: { readonly service: string; readonly metadata?: KeptJson } | undefined;
  readonly at: number;
  readonly data: KeptJson;
  /** The task's count of events with this one. */
  readonly rev: number | undefined;
  /** In the form that followers get: made when the first one reads it, and kept unless its data is large. */
  view: TaskEvent | undefined;
}

function sizeOf({ data, from }: LoggedEvent): number {
  return bytesOf(data) + (from?.metadata === undefined ? 0 : bytesOf(from.metadata));
}

/** A tenant's event log: `seq` grows by one, the oldest go when there are too many or they are too old. */
export class EventRing {
  /** What is dropped leaves its sequence empty until the array is cut. */
  #kept: (LoggedEvent | undefined)[] = [];
  #front = 0;
  #seq = 0;
  /** Of the data and metadata of what is kept. */
  #bytes = 0;
  /** Called for each event: whoever follows this log. */
  readonly followers = new Set<() => void>();

  constructor(
    private readonly tenantId: string,
    readonly epoch: string,
  ) {}

  get seq(): number {
    return this.#seq;
  }

  /** Nothing is kept, and nobody follows. */
  get isEmpty(): boolean {
    return this.#front === this.#kept.length && this.followers.size === 0;
  }

  get head(): string {
    return formatCursor({ epoch: this.epoch, seq: this.#seq });
  }

  append(event: LoggedEvent): void {
    this.#seq += 1;
    this.#bytes += sizeOf(event);
    this.#kept.push(event);
    if (this.followers.size > 0) for (const wake of this.followers) wake();
  }

  /** The newest event stays, however large. */
  trim(limits: { readonly maxEvents: number; readonly maxEventBytes: number }, olderThan: number): void {
    while (this.#front < this.#kept.length) {
      const oldest = this.#kept[this.#front] as LoggedEvent;
      const count = this.#kept.length - this.#front;
      const fits = count <= limits.maxEvents && (this.#bytes <= limits.maxEventBytes || count === 1);
      if (fits && oldest.at >= olderThan) break;
      this.#bytes -= sizeOf(oldest);
      this.#kept[this.#front] = undefined;
      this.#front += 1;
    }
    if (this.#front > 1024 && this.#front * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#front);
      this.#front = 0;
    }
  }

  /** The `seq` of the oldest event that is kept; one past the head when there is none. */
  get firstSeq(): number {
    return this.#seq - (this.#kept.length - this.#front) + 1;
  }

  /** At most `limit` events after `seq`, which must not be before `firstSeq - 1`. */
  after(seq: number, limit: number): TaskEvent[] {
    const from = this.#front + (seq + 1 - this.firstSeq);
    return this.#kept
      .slice(from, from + limit)
      .map((event, at) =>
        this.#view(event as LoggedEvent, formatCursor({ epoch: this.epoch, seq: seq + 1 + at })),
      );
  }

  #view(event: LoggedEvent, cursor: string): TaskEvent {
    if (hasText(event)) return viewEvent(this.tenantId, event, cursor);
    return (event.view ??= viewEvent(this.tenantId, event, cursor));
  }
}

function viewEvent(tenantId: string, logged: LoggedEvent, cursor: string): TaskEvent {
  const { event, about, from, at, data, rev } = logged;
  const task = 'spec' in about ? about.spec : undefined;
  const sessionId = 'spec' in about ? about.spec.session_id : about.session.session_id;
  const view: Writable<TaskEvent> = {
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
  return view;
}

/** Of such an event each reader gets a view of its own, which shares nothing with the log. */
function hasText({ data, from }: LoggedEvent): boolean {
  return data instanceof KeptText || from?.metadata instanceof KeptText;
}
