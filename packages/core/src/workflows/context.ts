import type { JsonInput, JsonObject } from '../protocol/json.js';
import type { AnyJson } from '../protocol/service-call.js';
import type { Message, MessageRole, Session } from '../protocol/session.js';
import type { Progress, TaskMetadata } from '../protocol/task.js';

/** A service's result: JSON of a shape known to the workflow. */
export type CallResult = AnyJson;

export interface CallOptions {
  /** Identity of the step in the journal. Default: derived from the call and its occurrence. */
  readonly id?: string;
  /** Maximum time without a notification after the service accepted the job, ms. Default: the service's `silenceMs`. */
  readonly timeout_ms?: number;
  /** Maximum tries, repeated after `retryable` failures and silence: 1 to 100, default 3. */
  readonly retry?: { readonly max_attempts: number };
}

/**
 * API of a workflow. Each request is a step in the task's journal: after a crash the function is replayed from the top with the
 * recorded outcomes. Between steps it must be deterministic: take time, random numbers and ids from here. Other awaits are allowed, but
 * their work may run again.
 */
export interface WorkflowContext {
  readonly task_id: string;
  readonly tenant_id: string;
  readonly session_id: string | undefined;
  readonly agent_id: string | undefined;
  readonly metadata: TaskMetadata;
  /** Starts at 1. */
  readonly attempt: number;
  /** Fires when the task is cancelled, or its lease is lost. */
  readonly signal: AbortSignal;

  /**
   * Calls a service and waits for its outcome; the wait survives restarts.
   * @throws {ServiceCallError}
   */
  call<T = CallResult>(
    service: string,
    operation: string,
    input?: JsonInput,
    options?: CallOptions,
  ): Promise<T>;
  /** Runs side effects: `work` runs at least once; its result (JSON) is recorded. @throws {StepError} */
  run<T>(name: string, work: () => T | Promise<T>, options?: { readonly id?: string }): Promise<T>;
  /** Durable sleep of up to 30 days. */
  sleep(ms: number, options?: { readonly id?: string }): Promise<void>;
  /**
   * Waits for `POST /v1/tasks/{id}/signals/{name}`; signals received earlier count.
   * @throws {StepError} `timeout` after `timeout_ms` (default: only the task's own limit).
   */
  waitForSignal<T = CallResult>(
    name: string,
    options?: { readonly id?: string; readonly timeout_ms?: number },
  ): Promise<T>;
  /** Emits a progress event; suppressed during a replay. */
  progress(progress: Progress): Promise<void>;
  /** Time at which the last outcome was recorded, epoch ms; the same in each replay. */
  now(): number;
  /** In [0, 1); the same in each replay. */
  random(): number;
  /** A UUID v4; the same in each replay. */
  uuid(): string;
  /** The task's session; each method is a step. Each rejects if the task has no session. */
  readonly session: {
    get(): Promise<Session>;
    messages(options?: { readonly limit?: number }): Promise<readonly Message[]>;
    /** Merges into the session's context; `null` removes a field. */
    update(context: JsonObject): Promise<Session>;
    append(message: { readonly role: MessageRole; readonly content: string }): Promise<Message>;
  };
}

/** A workflow: an async function of its context and the task's payload. */
export type WorkflowFunction<I = CallResult, R = unknown> = (
  ctx: WorkflowContext,
  input: I,
) => Promise<R> | R;
