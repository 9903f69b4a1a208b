import { z } from 'zod';
import { idSchema, uuidSchema } from './ids.js';
import type { JsonObject, JsonValue } from './json.js';
import type { TaskError } from './errors.js';
import type { Session } from './session.js';
import type { Task, TaskStatus } from './task.js';

/** Names of all events. */
export const EVENT_NAMES = [
  'task_created',
  'task_started',
  'task_status_update',
  'task_completed',
  'task_failed',
  'session_updated',
] as const;
/** Name of an event. */
export type EventName = (typeof EVENT_NAMES)[number];

/** The events that end a task: exactly one of them is its last event. A cancelled task ends with `task_failed`. */
export const FINAL_EVENTS = ['task_completed', 'task_failed'] as const satisfies readonly EventName[];

/** Whether an event with this name ends its task. */
export function isFinalEvent(name: string): name is (typeof FINAL_EVENTS)[number] {
  return name === 'task_completed' || name === 'task_failed';
}

/** A position in a tenant's event log, written `<epoch>:<seq>`. */
export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

const CURSOR = /^([A-Za-z0-9]{1,40}):(\d{1,15})$/;
/** Schema of a cursor, `<epoch>:<seq>`. */
export const cursorSchema = z.string().regex(CURSOR, 'expected a cursor "<epoch>:<seq>"');

/** A cursor as text, `<epoch>:<seq>`. */
export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}:${cursor.seq}`;
}

/** The cursor of a text; `undefined` for anything else. */
export function parseCursor(text: string): Cursor | undefined {
  const match = CURSOR.exec(text);
  return match ? { epoch: match[1] as string, seq: Number(match[2]) } : undefined;
}

/** Data of the events, by name. `R`: type of the task's result. */
export interface EventData<R = JsonValue> {
  readonly task_created: { readonly type: string; readonly priority: number; readonly session_id?: string };
  readonly task_started: { readonly attempt: number };
  /** `status` is free text of a service; `progress` and `retrying` come from the orchestrator. */
  readonly task_status_update: { readonly status: string; readonly details?: JsonValue };
  /** The result. */
  readonly task_completed: R;
  readonly task_failed: TaskError;
  readonly session_updated: {
    readonly status: Session['status'];
    readonly rev: number;
    /** Number of the session's messages. */
    readonly messages: number;
  };
}

interface Envelope<N extends EventName, D> {
  readonly event: N;
  /** Source: a service's name, or `orchestrator`. */
  readonly service: string;
  readonly tenant_id: string;
  readonly session_id?: string;
  readonly timestamp: string;
  readonly data: D;
  readonly metadata: JsonObject;
  readonly cursor: string;
}

interface AboutTask {
  readonly task_id: string;
  readonly global_task_id: string;
  /** Number of the task's events, including this one. */
  readonly rev: number;
}

interface AboutNoTask {
  readonly task_id?: undefined;
  readonly global_task_id?: undefined;
  readonly rev?: undefined;
}

/** An event of a tenant's log, in its wire format: a union by name. `session_updated` has no task. */
export type TaskEvent<R = JsonValue> = {
  readonly [N in EventName]: Envelope<N, EventData<R>[N]> &
    (N extends 'session_updated' ? AboutNoTask : AboutTask);
}[EventName];

/** A logged event before its data is interpreted by its name. */
export type EventRecord = Envelope<EventName, JsonValue> & {
  readonly [K in keyof AboutTask]?: AboutTask[K] | undefined;
};

/** Subject of a subscription: a task, a session with its tasks, or the whole tenant. */
export const topicSchema = z.union([
  z.strictObject({ task_id: uuidSchema }),
  z.strictObject({ session_id: idSchema }),
  z.strictObject({ tenant: z.literal(true) }),
]);
/** What a subscription follows: a task, a session, or the whole tenant. */
export type Topic = z.output<typeof topicSchema>;

/** State of a topic as of a cursor. */
export type Snapshot =
  | { readonly task: Task }
  /** `more`: further live or ended tasks were omitted. */
  | { readonly session: Session; readonly tasks: readonly Task[]; readonly more?: true }
  | { readonly counts: Readonly<Record<TaskStatus, number>> };

/** Missing events (trimmed, or of another epoch), always reported, with the state after them. */
export interface Gap {
  readonly event: 'gap';
  readonly from: string;
  readonly to: string;
  readonly snapshot: Snapshot;
  /** Always absent; distinguishes a gap from an event. */
  readonly data?: undefined;
}

const subscriptionIdSchema = z.string().min(1).max(64);

/** Frames that an authenticated client may send. */
export const clientFrameSchema = z.discriminatedUnion('action', [
  z.object({
    action: z.literal('subscribe'),
    id: subscriptionIdSchema,
    topic: topicSchema,
    after: cursorSchema.optional(),
  }),
  z.object({ action: z.literal('unsubscribe'), id: subscriptionIdSchema }),
]);
/** First frame of a client without a credential in a header or a ticket. */
export const clientHelloSchema = z.object({ token: z.string().min(1).max(8192) });
