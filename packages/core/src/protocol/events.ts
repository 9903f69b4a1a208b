import { z } from 'zod';
import { idSchema, uuidSchema } from './ids.js';
import type { JsonObject, JsonValue } from './json.js';
import type { Session } from './session.js';
import type { Task, TaskStatus } from './task.js';

export const EVENT_NAMES = [
  'task_created',
  'task_started',
  'task_status_update',
  'task_completed',
  'task_failed',
  'session_updated',
] as const;
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
export const cursorSchema = z.string().regex(CURSOR, 'expected a cursor "<epoch>:<seq>"');

export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}:${cursor.seq}`;
}

export function parseCursor(text: string): Cursor | undefined {
  const match = CURSOR.exec(text);
  return match ? { epoch: match[1] as string, seq: Number(match[2]) } : undefined;
}

/** An event of a tenant's log, in its wire format. `session_updated` has no task. */
export interface TaskEvent {
  readonly event: EventName;
  /** Source: a service's name, or `orchestrator`. */
  readonly service: string;
  readonly task_id?: string;
  readonly global_task_id?: string;
  readonly tenant_id: string;
  readonly session_id?: string;
  readonly timestamp: string;
  readonly data: JsonValue;
  readonly metadata: JsonObject;
  /** Number of the task's events, including this one. */
  readonly rev?: number;
  readonly cursor: string;
}

/** Subject of a subscription: a task, a session with its tasks, or the whole tenant. */
export const topicSchema = z.union([
  z.strictObject({ task_id: uuidSchema }),
  z.strictObject({ session_id: idSchema }),
  z.strictObject({ tenant: z.literal(true) }),
]);
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
