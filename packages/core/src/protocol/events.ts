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

/** One event of a tenant's log, as clients get it. For `session_updated` there is no task. */
export interface TaskEvent {
  readonly event: EventName;
  /** Who reported it: a service's name, or `orchestrator`. */
  readonly service: string;
  readonly task_id?: string;
  readonly global_task_id?: string;
  readonly tenant_id: string;
  readonly session_id?: string;
  readonly timestamp: string;
  readonly data: JsonValue;
  readonly metadata: JsonObject;
  /** The task's count of events with this one. */
  readonly rev?: number;
  readonly cursor: string;
}

/** What is followed: one task, one session with its tasks, or everything of the tenant. */
export const topicSchema = z.union([
  z.strictObject({ task_id: uuidSchema }),
  z.strictObject({ session_id: idSchema }),
  z.strictObject({ tenant: z.literal(true) }),
]);
export type Topic = z.output<typeof topicSchema>;

/** The state of a topic at exactly `cursor`. */
export type Snapshot =
  | { readonly task: Task }
  /** `more`: there are other live tasks, or other ones that have ended. */
  | { readonly session: Session; readonly tasks: readonly Task[]; readonly more?: true }
  | { readonly counts: Readonly<Record<TaskStatus, number>> };

/** Events that are no longer kept, or belong to another epoch: said, never swallowed. */
export interface Gap {
  readonly event: 'gap';
  readonly from: string;
  readonly to: string;
  readonly snapshot: Snapshot;
  /** Events have data; a gap has a snapshot instead. */
  readonly data?: undefined;
}

const subscriptionIdSchema = z.string().min(1).max(64);

/** Every frame that a client may send once it is authenticated. */
export const clientFrameSchema = z.discriminatedUnion('action', [
  z.object({
    action: z.literal('subscribe'),
    id: subscriptionIdSchema,
    topic: topicSchema,
    after: cursorSchema.optional(),
  }),
  z.object({ action: z.literal('unsubscribe'), id: subscriptionIdSchema }),
]);
/** First frame of a client that brings its credential neither in a header nor as a ticket. */
export const clientHelloSchema = z.object({ token: z.string().min(1).max(8192) });
