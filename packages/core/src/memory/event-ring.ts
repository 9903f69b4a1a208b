import { type EventName, formatCursor, type TaskEvent } from '../protocol/events.js';
import type { JsonObject, JsonValue } from '../protocol/json.js';

export interface NewEvent {
  readonly event: EventName;
  readonly service: string;
  readonly taskId?: string;
  readonly tenantId: string;
  readonly sessionId?: string;
  readonly at: number;
  readonly data: JsonValue;
  readonly metadata?: JsonObject;
  readonly rev?: number;
}

interface Kept {
  readonly seq: number;
  readonly event: NewEvent;
  /** In the form that followers get: made when the first one reads it. */
  view?: TaskEvent;
}

/** A tenant's event log: `seq` grows by one, the oldest go when there are too many or they are too old. */
export class EventRing {
  #kept: Kept[] = [];
  #front = 0;
  #seq = 0;

  constructor(readonly epoch: string) {}

  get seq(): number {
    return this.#seq;
  }

  get head(): string {
    return formatCursor({ epoch: this.epoch, seq: this.#seq });
  }

  append(event: NewEvent): void {
    this.#seq += 1;
    this.#kept.push({ seq: this.#seq, event });
  }

  trim(maxEvents: number, olderThan: number): void {
    while (this.#front < this.#kept.length) {
      const oldest = this.#kept[this.#front] as Kept;
      if (this.#kept.length - this.#front <= maxEvents && oldest.event.at >= olderThan) break;
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
      .map(
        (kept) => (kept.view ??= viewEvent(kept.event, formatCursor({ epoch: this.epoch, seq: kept.seq }))),
      );
  }
}

function viewEvent(event: NewEvent, cursor: string): TaskEvent {
  const { taskId, sessionId, rev } = event;
  return {
    event: event.event,
    service: event.service,
    ...(taskId !== undefined && { task_id: taskId, global_task_id: taskId }),
    tenant_id: event.tenantId,
    ...(sessionId !== undefined && { session_id: sessionId }),
    timestamp: new Date(event.at).toISOString(),
    data: event.data,
    metadata: event.metadata ?? {},
    ...(rev !== undefined && { rev }),
    cursor,
  };
}
