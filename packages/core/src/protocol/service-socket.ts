import { z } from 'zod';
import { foreignIdSchema, idSchema, jobIdSchema, textSchema, uuidSchema } from './ids.js';
import { type JsonValue, jsonObjectSchema, jsonValueSchema, optionalJsonSchema } from './json.js';
import { MAX_ISSUES } from './lenient-parse.js';
import { listSchema } from './list.js';

/** Maximum length of `error` and `error_type` in a failure notification, in UTF-16 units. */
export const MAX_ERROR_TEXT = 10_000;
export const MAX_ERROR_TYPE = 200;

/** Timestamps without a zone are UTC. */
const timestampSchema = z.iso.datetime({ offset: true, local: true });

/** First frame that a service sends. */
export const serviceHelloSchema = z.object({
  service_token: z.string().min(1).max(1024),
  service_name: idSchema,
});
/** First frame of a service on its socket. */
export type ServiceHello = z.output<typeof serviceHelloSchema>;

const envelope = {
  service: idSchema,
  task_id: jobIdSchema,
  global_task_id: uuidSchema.optional(),
  tenant_id: idSchema,
  timestamp: timestampSchema.optional(),
  metadata: jsonObjectSchema.optional(),
  call_id: uuidSchema.optional(),
  message_id: foreignIdSchema.optional(),
  seq: z.number().int().min(0).optional(),
};

/** Schema of the notification that a job has succeeded. */
export const taskCompletedSchema = z.object({
  event: z.literal('task_completed'),
  ...envelope,
  data: jsonValueSchema,
});
/** Schema of the notification that a job has failed. */
export const taskFailedSchema = z.object({
  event: z.literal('task_failed'),
  ...envelope,
  data: z.object({
    error: textSchema(MAX_ERROR_TEXT, 0),
    error_type: textSchema(MAX_ERROR_TYPE, 0).optional(),
    retryable: z.boolean().optional(),
  }),
});
const taskStatusUpdateSchema = z.object({
  event: z.literal('task_status_update'),
  ...envelope,
  data: z.object({ status: textSchema(200, 0), details: optionalJsonSchema }),
});

const olderForm = {
  service: idSchema,
  job_id: jobIdSchema,
  tenant_id: idSchema,
  agent_id: idSchema.optional(),
  message_id: foreignIdSchema.optional(),
};
const jobCompletedSchema = z.object({
  event: z.literal('job_completed'),
  ...olderForm,
  result: jsonValueSchema,
});
const jobFailedSchema = z.object({
  event: z.literal('job_failed'),
  ...olderForm,
  error: jsonValueSchema,
});

/** Frames that an authenticated service may send. */
export const notificationSchema = z.discriminatedUnion('event', [
  taskCompletedSchema,
  taskFailedSchema,
  taskStatusUpdateSchema,
  jobCompletedSchema,
  jobFailedSchema,
]);
/** A validated notification of a service, in any accepted form. */
export type Notification = z.output<typeof notificationSchema>;
/** A notification in its current form; the older forms are accepted, but never sent. */
export type TaskNotification =
  | z.input<typeof taskCompletedSchema>
  | z.input<typeof taskFailedSchema>
  | z.input<typeof taskStatusUpdateSchema>;

/** Every outcome of a notification. */
export const ACK_OUTCOMES = [
  'invalid',
  'forbidden',
  'unknown_task',
  'duplicate',
  'stale',
  'late',
  'applied',
  'retry_later',
] as const;
/** Outcome of a notification, as acknowledged to the service. */
export type AckOutcome = (typeof ACK_OUTCOMES)[number];

/** Schema of the frame that acknowledges a notification. */
export const ackSchema = z.object({
  event: z.literal('ack'),
  message_id: z.string(),
  outcome: z.enum(ACK_OUTCOMES),
  global_task_id: uuidSchema.optional(),
  retry_after_ms: z.number().min(0).optional(),
  errors: listSchema(z.object({ path: z.string(), expected: z.string(), got: z.string() }), {
    max: MAX_ISSUES,
  }).optional(),
});
/** The hub's acknowledgement of a notification. */
export type Ack = z.output<typeof ackSchema>;

/** Schema of the frame by which the hub cancels a job of a service. */
export const taskCancelSchema = z.object({
  event: z.literal('task_cancel'),
  /** The service's job id, or the `call_id` if it has not named a job yet. */
  task_id: jobIdSchema,
  call_id: uuidSchema,
  global_task_id: uuidSchema,
  tenant_id: idSchema,
  reason: z.string(),
});
/** Hub to service: stop working on this call; its outcome is no longer awaited. */
export type TaskCancel = z.output<typeof taskCancelSchema>;

/** Hub to service: outcome of a call that the service requested through the gateway. */
export type GatewayOutcome = {
  readonly event: 'task_completed' | 'task_failed';
  readonly service: string;
  readonly task_id: string;
  readonly global_task_id: string;
  readonly tenant_id: string;
  readonly timestamp: string;
  readonly data: JsonValue;
  readonly metadata: { readonly [key: string]: JsonValue };
};

/** Frames that the hub pushes to a service. */
export type HubFrame = TaskCancel | GatewayOutcome;
