import { type Cursor, parseCursor, type TaskEvent, type Topic, writeJson } from '@agent-orchestrator/core';
import { formatSse } from '../http/sse.js';

/** An event on its way to many clients: made into bytes once, when the first wants it. */
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

  /** The same bytes, as an event of a stream. */
  get sse(): Buffer {
    this.#sse ??= formatSse(this.event.event, this.event.cursor, this.bytes);
    return this.#sse;
  }
}

/** A cursor that the orchestrator itself has written. */
export function positionOf(cursor: string): Cursor {
  const position = parseCursor(cursor);
  if (!position) throw new Error('a cursor of the event log has another form than it should');
  return position;
}

/** Whether `a` is behind `b` in the log. Positions of two epochs can't be compared: what is new comes later. */
export function isAfter(a: Cursor, b: Cursor): boolean {
  return a.epoch !== b.epoch || a.seq > b.seq;
}

/** One name for a topic: what the feed finds its subscriptions by. */
export function topicKey(topic: Topic): string {
  if ('task_id' in topic) return `task ${topic.task_id}`;
  return 'session_id' in topic ? `session ${topic.session_id}` : 'tenant';
}

/** The names of all topics that an event belongs to. */
export function topicKeysOf(event: TaskEvent): readonly string[] {
  const keys = ['tenant'];
  if (event.task_id !== undefined) keys.push(`task ${event.task_id}`);
  if (event.session_id !== undefined) keys.push(`session ${event.session_id}`);
  return keys;
}
