import { z } from 'zod';
import { DEFAULTS } from './settings.js';
import type { TaskError } from './errors.js';
import { idSchema, taskTypeSchema, textSchema, uuidSchema } from './ids.js';
import {
  type JsonArgument,
  type JsonValue,
  jsonObjectSchema,
  jsonValueSchema,
  optionalJsonSchema,
} from './json.js';
import { listSchema } from './list.js';
import type { Usage } from './service-call.js';

/** Every public status of a task. */
export const TASK_STATUSES = ['pending', 'processing', 'completed', 'failed', 'cancelled'] as const;
/** Public status of a task. */
export type TaskStatus = (typeof TASK_STATUSES)[number];
/** The statuses of tasks that have ended. */
export const FINAL_STATUSES: ReadonlySet<TaskStatus> = new Set(['completed', 'failed', 'cancelled']);

/** 0 to 9; 9 is the most urgent, default 4. */
export const prioritySchema = z.number().int().min(0).max(9);
/** Highest budget of a task, tokens. */
export const MAX_BUDGET_TOKENS = 1_000_000_000_000;

/** Every policy for a task whose session is busy. */
export const ON_BUSY = ['enqueue', 'reject', 'interrupt', 'parallel'] as const;
/** Policy for a task whose session is busy. */
export type OnBusy = (typeof ON_BUSY)[number];

const taskMetadataSchema = z.object({
  source: z.enum(['api', 'scheduled', 'system']).optional(),
  user_id: textSchema(200).optional(),
  timeout_ms: z.number().int().min(1).max(DEFAULTS.maxTaskTimeoutMs).optional(),
  traceparent: z
    .string()
    .regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/, 'expected a W3C traceparent')
    .optional(),
});
/** Origin and limits of a task. `timeout_ms` counts from its creation, or `run_at` if later, to its final state. */
export interface TaskMetadata {
  readonly source?: 'api' | 'scheduled' | 'system' | undefined;
  readonly user_id?: string | undefined;
  readonly timeout_ms?: number | undefined;
  readonly traceparent?: string | undefined;
}

/** Tokens that a task and its child tasks may use. */
const budgetSchema = z.object({ tokens: z.number().int().min(1).max(MAX_BUDGET_TOKENS) });

const common = {
  session_id: idSchema.optional(),
  agent_id: idSchema.optional(),
  priority: prioritySchema.optional(),
  metadata: taskMetadataSchema.optional(),
  on_busy: z.enum(ON_BUSY).optional(),
  budget: budgetSchema.optional(),
};

/** Body of `POST /v1/tasks`. */
export const taskSubmissionSchema = z.object({
  ...common,
  type: taskTypeSchema,
  payload: optionalJsonSchema,
  /** Optional id chosen by the caller; submission is idempotent by it. */
  task_id: uuidSchema.optional(),
  max_attempts: z.number().int().min(1).max(100).optional(),
  run_at: z.iso.datetime({ offset: true, local: true, error: 'expected an ISO 8601 timestamp' }).optional(),
});
/** Body of `POST /v1/tasks`: a request for a task. */
export interface TaskSubmission extends Omit<z.input<typeof taskSubmissionSchema>, 'payload'> {
  /** Input of the workflow. Default `{}`. */
  readonly payload?: JsonArgument;
}

/** Body of `POST /v1/chat`. */
export const chatRequestSchema = z.object({
  ...common,
  message: textSchema(100_000),
  context: jsonObjectSchema.optional(),
});
/** Body of `POST /v1/chat`. */
export type ChatRequest = z.input<typeof chatRequestSchema>;

/** Body of `POST /v1/batch`: each request is a body of `/v1/tasks` or `/v1/chat`, validated separately. */
export const batchSubmissionSchema = z.object({
  requests: listSchema(jsonValueSchema, { min: 1, max: DEFAULTS.maxBatchItems }),
  max_in_flight: z.number().int().min(1).max(DEFAULTS.maxBatchItems).optional(),
  fail_fast: z.boolean().optional(),
});

/** Body of `POST /v1/tasks/{id}/signals/{name}`. */
export const signalBodySchema = z.object({ payload: optionalJsonSchema });
/** Body of `POST /v1/tasks/{id}/cancel`. */
export const cancelBodySchema = z.object({ reason: textSchema(500).optional() });

/** A service call of a task, as clients see it. */
export interface DelegatedService {
  readonly service: string;
  /** The service's job id; absent until the service has named it. */
  readonly task_id?: string;
  readonly call_id?: string;
  readonly operation?: string;
  readonly status: 'processing' | 'completed' | 'failed';
}

/** Progress of a task: `percent` from 0 to 100, `message` of at most 10,000 UTF-16 units. */
export interface Progress {
  readonly percent?: number | undefined;
  readonly message?: string | undefined;
}
export const progressSchema = z.object({
  percent: z.number().min(0).max(100).optional(),
  message: textSchema(10_000, 0).optional(),
});

/** A task, in its wire format. `R`: type of its result. */
export interface Task<R = JsonValue> {
  readonly task_id: string;
  readonly tenant_id: string;
  readonly session_id?: string;
  readonly agent_id?: string;
  readonly parent_task_id?: string;
  /** The service that requested it through the gateway. */
  readonly requested_by?: string;
  readonly batch_id?: string;
  readonly redriven_from?: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly run_at?: string;
  readonly finished_at?: string;
  readonly status: TaskStatus;
  readonly type: string;
  readonly version?: number;
  readonly priority: number;
  readonly delegated_services: readonly DelegatedService[];
  readonly metadata: TaskMetadata;
  readonly payload: JsonValue;
  readonly result?: R;
  readonly error?: TaskError;
  readonly attempt: number;
  readonly max_attempts: number;
  /** Number of the task's events. */
  readonly rev: number;
  readonly progress?: Progress;
  /** Tokens that it and its child tasks may use. */
  readonly budget?: { readonly tokens: number };
  readonly usage?: Usage | { readonly tokens: number };
}

/** One request of a batch and the state of its task. Without `task_id` it was refused, and `error` says why. */
export interface BatchItem {
  readonly index: number;
  readonly task_id?: string;
  readonly status?: TaskStatus;
  readonly result?: JsonValue;
  readonly error?: TaskError;
}

/** A batch of tasks, with a page of its items. */
export interface Batch {
  readonly batch_id: string;
  readonly total: number;
  readonly created_at: string;
  readonly counts: Readonly<Record<TaskStatus, number>>;
  /** A page of items. */
  readonly items: readonly BatchItem[];
  /** Cursor of the next page. */
  readonly next?: string;
}

/** Whether a task with this status has ended. */
export function isFinal(status: TaskStatus): boolean {
  return FINAL_STATUSES.has(status);
}
