import type { JsonArgument, JsonObject } from '../protocol/json.js';
import type { Message, MessageRole, Session } from '../protocol/session.js';
import type { Progress, TaskMetadata } from '../protocol/task.js';
import type {
  CallInput,
  Contracts,
  OperationName,
  ReceivedResult,
  ServiceName,
} from '../services/contracts.js';

/** Options of every step. */
export interface StepOptions {
  /** Identity of the step in the journal. Default: derived from the request and its occurrence. */
  readonly id?: string;
}

/** Options of `ctx.call`. */
export interface CallOptions extends StepOptions {
  /** Maximum time without a notification after the service accepted the job, ms. Default: the service's `silenceMs`. */
  readonly timeoutMs?: number;
  /** Maximum tries, repeated after `retryable` failures and silence: 1 to 100, default 3. */
  readonly retry?: { readonly maxAttempts: number };
}

/** A call without contracts: the result's type is the caller's assertion. */
type LooseCall = <T = unknown>(
  service: string,
  operation: string,
  input?: JsonArgument,
  options?: CallOptions,
) => Promise<T>;

/** A call by contracts. The input may be left out where its schema accepts an empty object, or where it has none. */
type TypedCall<C extends Contracts> = <S extends ServiceName<C>, O extends OperationName<C[S]>>(
  service: S,
  operation: O,
  ...rest: object extends CallInput<C[S], O>
    ? [input?: CallInput<C[S], O>, options?: CallOptions]
    : [input: CallInput<C[S], O>, options?: CallOptions]
) => Promise<ReceivedResult<C[S], O>>;

/**
 * API of a workflow. Each request is a step in the task's journal: after a crash the function is replayed from the top with the
 * recorded outcomes. Between steps it must be deterministic: take time, random numbers and ids from here. Other awaits are allowed, but
 * their work may run again. `C`: the contracts of the services; without them calls are untyped.
 */
export interface WorkflowContext<C extends Contracts = Contracts> {
  readonly taskId: string;
  readonly tenantId: string;
  readonly sessionId: string | undefined;
  readonly agentId: string | undefined;
  readonly metadata: TaskMetadata;
  /** Starts at 1. */
  readonly attempt: number;
  /** Fires when the task is cancelled, or its lease is lost. */
  readonly signal: AbortSignal;

  /**
   * Calls a service and waits for its outcome; the wait survives restarts. By a contract, the input is checked before the step is
   * stored (`invalid_request`), the result when it is delivered (`invalid_response`).
   * @throws {ServiceCallError}
   */
  readonly call: string extends keyof C ? LooseCall : TypedCall<C>;
  /** Runs side effects: `work` runs at least once; its result (JSON) is recorded. @throws {StepError} */
  run<T>(name: string, work: () => T | Promise<T>, options?: StepOptions): Promise<T>;
  /** Durable sleep of up to 30 days. */
  sleep(ms: number, options?: StepOptions): Promise<void>;
  /**
   * Waits for `POST /v1/tasks/{id}/signals/{name}`; signals received earlier count.
   * @throws {StepError} `timeout` after `timeoutMs` (default: only the task's own limit).
   */
  waitForSignal<T = unknown>(
    name: string,
    options?: StepOptions & { readonly timeoutMs?: number },
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
export type WorkflowFunction<I = unknown, R = unknown, C extends Contracts = Contracts> = (
  ctx: WorkflowContext<C>,
  input: I,
) => Promise<R> | R;
