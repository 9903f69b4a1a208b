import type { z } from 'zod';
import { fingerprintOf } from '../protocol/fingerprint.js';
import { type ErrorCode, OrchestratorError } from '../protocol/errors.js';
import { boundedText, copiedJson } from '../protocol/bounded-json.js';
import { rememberParts } from '../protocol/known-text.js';
import { DEFAULTS } from '../protocol/settings.js';
import { TASK_TEXTS } from '../protocol/task-texts.js';
import { chatRequestSchema, taskSubmissionSchema } from '../protocol/task.js';
import { validateOnce } from '../protocol/validated.js';
import { describe } from '../protocol/validation.js';
import type { TypeDefaults } from '../storage/task-queue.js';
import type {
  BudgetRefusal,
  Idempotency,
  NewTask,
  Submission,
  SubmitRefusal,
} from '../storage/task-records.js';

const NORMAL_PRIORITY = 4;
const NO_METADATA = Object.freeze({});
const PAYLOAD = { what: 'payload', tooLarge: 'payload_too_large' } as const;
const BODY = { what: 'the request', tooLarge: 'payload_too_large' } as const;

/** Task types run by this process, with their defaults and payload checks. */
export interface TaskTypes {
  has(type: string): boolean;
  /** Defaults of a type for which `has` is true. */
  defaults?(type: string): TypeDefaults | undefined;
  /** @throws {OrchestratorError} naming the problem. */
  checkPayload(type: string, payload: unknown): void;
}

/** A submission; limits it does not set itself may be replaced by those of its type. */
export interface ReadSubmission extends Submission {
  readonly hasTimeout: boolean;
  readonly hasMaxAttempts: boolean;
}

/** Applies the limits of the type, unless the submission sets its own. */
export function withDefaults(read: ReadSubmission, { timeoutMs, maxAttempts }: TypeDefaults): Submission {
  const { hasTimeout, hasMaxAttempts, ...submission } = read;
  if (timeoutMs === undefined && maxAttempts === undefined) return submission;
  const { task } = submission;
  const replaced = {
    ...(!hasTimeout && timeoutMs !== undefined && { timeoutMs }),
    ...(!hasMaxAttempts && maxAttempts !== undefined && { maxAttempts }),
  };
  return { ...submission, task: { ...task, ...replaced } };
}

/** Validates a body of `POST /v1/tasks` and fills in defaults. */
export function fromTaskSubmission(body: unknown, newId: () => string): ReadSubmission {
  return submissionOf(validateOnce(taskSubmissionSchema, body, 'task'), newId);
}

function submissionOf(checked: z.output<typeof taskSubmissionSchema>, newId: () => string): ReadSubmission {
  const payload = copiedJson(checked.payload ?? {}, PAYLOAD);
  const task: { -readonly [K in keyof NewTask]: NewTask[K] } = {
    task_id: checked.task_id ?? newId(),
    type: checked.type,
    priority: checked.priority ?? NORMAL_PRIORITY,
    payload,
    metadata: checked.metadata ?? NO_METADATA,
    timeoutMs: checked.metadata?.timeout_ms ?? DEFAULTS.taskTimeoutMs,
    maxAttempts: checked.max_attempts ?? DEFAULTS.maxAttempts,
  };
  if (checked.session_id !== undefined) task.session_id = checked.session_id;
  if (checked.agent_id !== undefined) task.agent_id = checked.agent_id;
  if (checked.budget !== undefined) task.budgetTokens = checked.budget.tokens;
  if (checked.run_at !== undefined) task.runAt = Math.max(0, pointInTime(checked.run_at));
  return {
    onBusy: checked.on_busy ?? 'enqueue',
    task,
    hasTimeout: checked.metadata?.timeout_ms !== undefined,
    hasMaxAttempts: checked.max_attempts !== undefined,
  };
}

/** Validates a body of `POST /v1/chat`: a message and its task. */
export function fromChatRequest(body: unknown, newId: () => string): ReadSubmission {
  const checked = validateOnce(chatRequestSchema, body, 'chat');
  const { message, context, session_id = newId(), ...rest } = checked;
  const payload = rememberParts({ message, ...(context && { context }) });
  const submission = submissionOf({ ...rest, session_id, type: 'agent_execution', payload }, newId);
  return {
    ...submission,
    message: { message_id: `${submission.task.task_id}-question`, role: 'user', content: message },
  };
}

/** An item of a batch: a chat request has a `message`, a task a `type`. */
export function fromBatchItem(body: unknown, newId: () => string): ReadSubmission {
  const isChat = typeof body === 'object' && body !== null && 'message' in body && !('type' in body);
  return isChat ? fromChatRequest(body, newId) : fromTaskSubmission(body, newId);
}

/** Idempotency key and fingerprint of a request. @throws {OrchestratorError} `invalid_request` */
export function idempotencyOf(key: string | undefined, kind: string, body: unknown): Idempotency | undefined {
  if (key === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,200}$/.test(key)) {
    throw new OrchestratorError(
      'invalid_request',
      `Idempotency-Key: expected 1 to 200 visible characters, got ${describe(key)}`,
    );
  }
  return { key, fingerprint: fingerprintOf(`${kind}\n${boundedText(body, BODY)}`) };
}

type Refusal = SubmitRefusal | 'service_forbidden' | 'task_budget_exceeded';

const REFUSALS: Readonly<
  Record<
    Refusal,
    {
      readonly code: ErrorCode;
      readonly message: string;
      readonly retryAfterMs?: number;
      /** Default: that of the code. */
      readonly retryable?: boolean;
    }
  >
> = {
  idempotency_conflict: {
    code: 'idempotency_conflict',
    message: 'the Idempotency-Key was used for another request',
  },
  conflict: { code: 'conflict', message: TASK_TEXTS.taskIdUsed },
  session_busy: { code: 'session_busy', message: 'the session is busy with another task' },
  session_closed: { code: 'session_closed', message: 'the session is closed' },
  type_forbidden: { code: 'forbidden', message: 'the tenant may not submit tasks of this type' },
  service_forbidden: { code: 'forbidden', message: 'the tenant may not use this service' },
  task_budget_exceeded: { code: 'budget_exceeded', message: TASK_TEXTS.budgetSpent, retryable: false },
  queue_full: {
    code: 'queue_full',
    message: 'the tenant has too many waiting tasks, or too many stored bytes',
    retryAfterMs: 5_000,
  },
};

/** @param now for the time until a budget may have something left. */
export function refusalError(
  answer:
    | { readonly answer: Refusal }
    | { readonly answer: 'rate_limited'; readonly retryAfterMs: number }
    | BudgetRefusal,
  now: number,
): OrchestratorError {
  if (answer.answer === 'rate_limited') {
    const message = 'the tenant calls this service, or uses this model, too often';
    return new OrchestratorError('rate_limited', message, { retryAfterMs: answer.retryAfterMs });
  }
  if (answer.answer === 'budget_exceeded') {
    const retryAfterMs = Math.max(1_000, answer.retryAt - now);
    return new OrchestratorError('budget_exceeded', TASK_TEXTS.budgetExceeded, { retryAfterMs });
  }
  return refusedWith(answer.answer);
}

/** For refusals that do not depend on the time. */
export function refusedWith(refusal: Refusal): OrchestratorError {
  const { code, message, ...more } = REFUSALS[refusal];
  return new OrchestratorError(code, message, more);
}

/** ISO timestamps without a zone are UTC. */
function pointInTime(text: string): number {
  return Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}
