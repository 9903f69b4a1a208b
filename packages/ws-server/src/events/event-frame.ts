import { type TaskEvent } from '@agent-orchestrator/core';
import { type Topic } from '@agent-orchestrator/core/protocol';
import { type Cursor, parseCursor, writeJson } from '@agent-orchestrator/core/protocol';
import { formatSse } from './sse-format.js';

/** An event for many clients, serialised once on first use. */
export class EventFrame {
  readonly event: TaskEvent;
  readonly cursor: Cursor;
  #bytes: Buffer | undefined;
  #sse: Buffer | undefined;

  constructor(event: TaskEvent) {
    this.event = event;
    this.cursor = positionOf(event.cursor);
  }

  get bytes(): Buffer {
    this.#bytes ??= Buffer.from(writeJson(this.event));
    return this.#bytes;
  }

  /** The same bytes as a server-sent event. */
  get sse(): Buffer {
    this.#sse ??= formatSse(this.event.event, this.event.cursor, this.bytes);
    return this.#sse;
  }
}

/** Parses a cursor written by the orchestrator. */
export function positionOf(cursor: string): Cursor {
  const position = parseCursor(cursor);
  if (!position) throw new Error('a cursor of the event log has another form than it should');
  return position;
}

/**
 * Whether `a` is after `b` in the log. Positions of different epochs are not comparable: the new one counts
 * as later.
 */
export function isAfter(a: Cursor, b: Cursor): boolean {
  return a.epoch !== b.epoch || a.seq > b.seq;
}

/** Canonical key of a topic, by which the feed finds its subscriptions. */
export function topicKey(topic: Topic): string {
  if ('task_id' in topic) return `task ${topic.task_id}`;
  return 'session_id' in topic ? `session ${topic.session_id}` : 'tenant';
}

/** Keys of all topics that an event belongs to. */
export function topicKeysOf(event: TaskEvent): readonly string[] {
  const keys = ['tenant'];
  if (event.task_id !== undefined) keys.push(`task ${event.task_id}`);
  if (event.session_id !== undefined) keys.push(`session ${event.session_id}`);
  return keys;
}
