import { OrchestratorError } from '../protocol/errors.js';
import { describe } from '../protocol/validation.js';
import type { OnBusy, TaskMetadata, TaskSubmission } from '../protocol/task.js';
import { abortable } from '../runtime/abortable.js';
import type { WorkflowDefinition } from '../workflows/definition.js';

/** Options of every request that stores something. */
export interface RequestOptions {
  /** The same key with the same body gives the same answer for 24 h. 1 to 200 visible ASCII characters. */
  readonly idempotencyKey?: string | undefined;
  /** Ends the wait for the answer. The request may take effect all the same: repeat it with the same key to find out. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a task. */
export interface SubmitOptions extends RequestOptions {
  readonly sessionId?: string | undefined;
  readonly agentId?: string | undefined;
  /** 0 to 9; 9 is the most urgent. Default 4. */
  readonly priority?: number | undefined;
  readonly metadata?: TaskMetadata | undefined;
  /** Time limit, ms: from creation, or `runAt` if later, to the final state. Default: that of the workflow. */
  readonly timeoutMs?: number | undefined;
  /** 1 to 100. Default: that of the workflow. */
  readonly maxAttempts?: number | undefined;
  /** Not before this time: a `Date`, epoch ms, or an ISO 8601 timestamp. */
  readonly runAt?: Date | number | string | undefined;
  /** Policy for a busy session. Default `enqueue`. */
  readonly onBusy?: OnBusy | undefined;
  /** A UUID v4 of the caller; submission is idempotent by it. Default: a new one. */
  readonly taskId?: string | undefined;
}

/** Every name of an interface: one that is missing does not compile. */
type Names<T> = { readonly [K in keyof Required<T>]: true };

const OF_REQUESTS: Names<RequestOptions> = { idempotencyKey: true, signal: true };
const OF_SUBMISSIONS: Names<SubmitOptions> = {
  ...OF_REQUESTS,
  ...{ sessionId: true, agentId: true, priority: true, metadata: true, timeoutMs: true, maxAttempts: true },
  ...{ runAt: true, onBusy: true, taskId: true },
};
const REQUEST_OPTIONS: ReadonlySet<string> = new Set(Object.keys(OF_REQUESTS));
export const SUBMIT_OPTIONS: ReadonlySet<string> = new Set(Object.keys(OF_SUBMISSIONS));

/** @throws {OrchestratorError} `invalid_request` for an option that does not exist: it would be ignored. */
export function checkNames(options: unknown, names: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null)
    throw new OrchestratorError('invalid_request', `options: expected an object, got ${describe(options)}`);
  for (const name of Object.keys(options)) {
    if (names.has(name)) continue;
    const expected = [...names].join(', ');
    throw new OrchestratorError('invalid_request', `options: expected ${expected}, got "${name}"`);
  }
}

/** A request with its options: nothing is sent once the signal has fired. */
export async function request<T>(
  options: RequestOptions,
  send: (idempotencyKey: string | undefined) => Promise<T>,
): Promise<T> {
  checkNames(options, REQUEST_OPTIONS);
  return abortable(options.signal, () => send(options.idempotencyKey));
}

/** The body of `POST /v1/tasks` for a workflow's input. */
export function submissionOf(
  { type }: WorkflowDefinition,
  input: unknown,
  { sessionId, agentId, priority, metadata, timeoutMs, maxAttempts, runAt, onBusy, taskId }: SubmitOptions,
): TaskSubmission {
  const limited = timeoutMs === undefined ? metadata : { ...metadata, timeout_ms: timeoutMs };
  return {
    type,
    payload: input as TaskSubmission['payload'],
    session_id: sessionId,
    agent_id: agentId,
    priority,
    metadata: limited,
    max_attempts: maxAttempts,
    run_at: timestampOf(runAt),
    on_busy: onBusy,
    task_id: taskId,
  };
}

/** Invalid times are left to the validation of the body. */
function timestampOf(at: SubmitOptions['runAt']): string | undefined {
  if (at === undefined || typeof at === 'string') return at;
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}
