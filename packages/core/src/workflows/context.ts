import type { JsonInput, JsonObject } from '../protocol/json.js';
import type { AnyJson } from '../protocol/service-call.js';
import type { Message, MessageRole, Session } from '../protocol/session.js';
import type { Progress, TaskMetadata } from '../protocol/task.js';

/** What a service answered: JSON, whose shape the asking workflow knows. */
export type CallResult = AnyJson;

export interface CallOptions {
  /** Names the step, instead of what is asked and how often. */
  readonly id?: string;
  /** How long a job may be silent after the service took it on. Default: the service's `silenceMs`. */
  readonly timeout_ms?: number;
  /** Tries after a failure that says `retryable`, or silence. Default 3. */
  readonly retry?: { readonly max_attempts: number };
}

/**
 * What a workflow asks the orchestrator for. Each thing asked is a step in the task's journal: after a crash the
 * function runs again from the top and is answered from there. Between steps it must be deterministic: time, random
 * and ids come from here. Other awaits are allowed, but their work may run again.
 */
export interface WorkflowContext {
  readonly task_id: string;
  readonly tenant_id: string;
  readonly session_id: string | undefined;
  readonly agent_id: string | undefined;
  readonly metadata: TaskMetadata;
  /** 1 for the first. */
  readonly attempt: number;
  /** Fires when the task is cancelled, or is no longer this worker's. */
  readonly signal: AbortSignal;

  /**
   * Calls a service and waits for its outcome, however long that takes.
   * @throws {ServiceCallError}
   */
  call<T = CallResult>(
    service: string,
    operation: string,
    input?: JsonInput,
    options?: CallOptions,
  ): Promise<T>;
  /** Own side effects: `work` runs at least once, its result (JSON) is kept. */
  run<T>(name: string, work: () => T | Promise<T>, options?: { readonly id?: string }): Promise<T>;
  sleep(ms: number, options?: { readonly id?: string }): Promise<void>;
  /**
   * Waits for `POST /v1/tasks/{id}/signals/{name}`; one that came earlier counts.
   * @throws {StepError} `timeout` after `timeout_ms` (default: none but the task's own limit).
   */
  waitForSignal<T = CallResult>(
    name: string,
    options?: { readonly id?: string; readonly timeout_ms?: number },
  ): Promise<T>;
  /** Tells followers how far the task is. Silent while a replay goes over what was told before. */
  progress(progress: Progress): Promise<void>;
  /** Milliseconds since 1970: when the last outcome was recorded, the same in each replay. */
  now(): number;
  /** From 0 up to, but not including, 1; the same in each replay. */
  random(): number;
  /** A UUID v4; the same in each replay. */
  uuid(): string;
  /** The task's session. Each method throws `not_found` when the task has none. */
  readonly session: {
    get(): Promise<Session>;
    messages(options?: { readonly limit?: number }): Promise<readonly Message[]>;
    /** Merges into the session's context; a `null` removes its field. */
    update(context: JsonObject): Promise<Session>;
    append(message: { readonly role: MessageRole; readonly content: string }): Promise<Message>;
  };
}

/** A workflow: plain async TypeScript of a context and the task's payload. */
export type WorkflowFunction<I = CallResult, R = unknown> = (
  ctx: WorkflowContext,
  input: I,
) => Promise<R> | R;
