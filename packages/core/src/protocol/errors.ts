/** Meaning of a code: HTTP status, title of the problem, and whether a retry may succeed. */
interface ErrorMeaning {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
}

/**
 * All error codes, shared by storage, HTTP, WebSocket and CLI. Branch on the code, never on a message. `docs/errors.md` has a
 * heading for each.
 */
export const ERROR_CODES = {
  timeout: { status: 504, retryable: true, title: 'Timeout' },
  cancelled: { status: 409, retryable: false, title: 'Cancelled' },
  attempts_exhausted: { status: 500, retryable: false, title: 'Attempts exhausted' },
  worker_lost: { status: 500, retryable: false, title: 'Worker lost' },
  service_error: { status: 502, retryable: false, title: 'Service error' },
  service_unavailable: { status: 503, retryable: true, title: 'Service unavailable' },
  invalid_response: {
    status: 502,
    retryable: false,
    title: 'Invalid response from a service',
  },
  result_too_large: { status: 502, retryable: false, title: 'Result too large' },
  workflow_error: { status: 500, retryable: false, title: 'Workflow failed' },
  unknown_workflow: { status: 422, retryable: false, title: 'Unknown workflow' },
  unknown_service: { status: 422, retryable: false, title: 'Unknown service' },
  budget_exceeded: { status: 429, retryable: true, title: 'Budget exceeded' },
  rate_limited: { status: 429, retryable: true, title: 'Too many requests' },
  queue_full: { status: 429, retryable: true, title: 'Queue full' },
  session_busy: { status: 409, retryable: true, title: 'Session busy' },
  session_closed: { status: 409, retryable: false, title: 'Session closed' },
  not_found: { status: 404, retryable: false, title: 'Not found' },
  conflict: { status: 409, retryable: true, title: 'Conflict' },
  idempotency_conflict: {
    status: 409,
    retryable: false,
    title: 'Idempotency key reused for another request',
  },
  idempotency_in_progress: {
    status: 409,
    retryable: true,
    title: 'Request with this key in progress',
  },
  unauthorized: { status: 401, retryable: false, title: 'Unauthorized' },
  forbidden: { status: 403, retryable: false, title: 'Forbidden' },
  invalid_request: { status: 400, retryable: false, title: 'Invalid request' },
  invalid_message: { status: 400, retryable: false, title: 'Invalid message' },
  payload_too_large: { status: 413, retryable: false, title: 'Payload too large' },
  storage_unavailable: { status: 503, retryable: true, title: 'Storage unavailable' },
  not_running: { status: 503, retryable: true, title: 'Not running' },
  lease_lost: { status: 409, retryable: false, title: 'Lease lost' },
  outbox_full: { status: 503, retryable: true, title: 'Outbox full' },
  internal_error: { status: 500, retryable: false, title: 'Internal error' },
} as const satisfies Record<string, ErrorMeaning>;

/** Code of an error: the same in storage, HTTP, WebSocket and command line. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Whether a value is a code of `ERROR_CODES`. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERROR_CODES, text);
}

/** One problem of an input: its path, the expected and the received value. */
export interface Issue {
  readonly path: string;
  readonly expected: string;
  readonly got: string;
}

/** Options of `OrchestratorError`. */
export interface OrchestratorErrorOptions {
  /** Whether a retry may succeed. Default: that of the code in `ERROR_CODES`. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
  /** Problems of the input. */
  readonly issues?: readonly Issue[];
  /** Suggested delay before a retry, ms. */
  readonly retryAfterMs?: number;
  /** Additional fields of the problem, such as the `task_status` of a conflict. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** Base class of all errors that this project throws on purpose. `message` is safe to show to the caller. */
export class OrchestratorError extends Error {
  override readonly name: string = 'OrchestratorError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly issues: readonly Issue[] | undefined;
  readonly retryAfterMs: number | undefined;
  readonly details: OrchestratorErrorOptions['details'];

  constructor(code: ErrorCode, message: string, options: OrchestratorErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    this.issues = options.issues;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }
}

/** Error of a task, call or batch item, as stored and sent. */
export interface TaskError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}
