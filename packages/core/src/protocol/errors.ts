/** What a code means wherever it appears: the HTTP status, and whether trying the same again may help. */
interface ErrorMeaning {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
}

/**
 * Every error code there is, one list for storage, HTTP, WebSocket and CLI. Branch on the code, never on a message.
 * `docs/errors.md` has a heading for each.
 */
export const ERROR_CODES = {
  timeout: { status: 504, retryable: true, title: 'The time limit ran out' },
  cancelled: { status: 409, retryable: false, title: 'It was cancelled' },
  attempts_exhausted: { status: 500, retryable: false, title: 'Every attempt failed' },
  worker_lost: { status: 500, retryable: false, title: 'Its workers were lost' },
  service_error: { status: 502, retryable: false, title: 'The service reported an error' },
  service_unavailable: { status: 503, retryable: true, title: 'The service cannot be reached' },
  invalid_response: {
    status: 502,
    retryable: false,
    title: 'The service answered something else than expected',
  },
  result_too_large: { status: 502, retryable: false, title: 'The result is too large' },
  workflow_error: { status: 500, retryable: false, title: 'The workflow failed' },
  unknown_workflow: { status: 422, retryable: false, title: 'No such workflow' },
  unknown_service: { status: 422, retryable: false, title: 'No such service' },
  budget_exceeded: { status: 429, retryable: true, title: 'The budget is spent' },
  rate_limited: { status: 429, retryable: true, title: 'Too many requests' },
  queue_full: { status: 429, retryable: true, title: 'Too many tasks are waiting' },
  session_busy: { status: 409, retryable: true, title: 'The session is busy' },
  session_closed: { status: 409, retryable: false, title: 'The session is closed' },
  not_found: { status: 404, retryable: false, title: 'Not found' },
  conflict: { status: 409, retryable: true, title: 'Somebody else was faster' },
  idempotency_conflict: { status: 409, retryable: false, title: 'The key was used for something else' },
  idempotency_in_progress: {
    status: 409,
    retryable: true,
    title: 'The first request with this key is under way',
  },
  unauthorized: { status: 401, retryable: false, title: 'Who is asking is not known' },
  forbidden: { status: 403, retryable: false, title: 'Not allowed' },
  invalid_request: { status: 400, retryable: false, title: 'The request is not valid' },
  invalid_message: { status: 400, retryable: false, title: 'The message is not valid' },
  payload_too_large: { status: 413, retryable: false, title: 'The payload is too large' },
  storage_unavailable: { status: 503, retryable: true, title: 'The storage cannot be reached' },
  not_running: { status: 503, retryable: true, title: 'Not running' },
  lease_lost: { status: 409, retryable: false, title: 'The lease is lost' },
  outbox_full: { status: 503, retryable: true, title: 'The outbox is full' },
  internal_error: { status: 500, retryable: false, title: 'An error inside' },
} as const satisfies Record<string, ErrorMeaning>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERROR_CODES, text);
}

/** One thing that is wrong with what came in: where, what was expected, what came. */
export interface Issue {
  readonly path: string;
  readonly expected: string;
  readonly got: string;
}

export interface OrchestratorErrorOptions {
  /** Whether trying the same again may help. Default: what the code says in `ERROR_CODES`. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
  /** What is wrong with the input, place by place. */
  readonly issues?: readonly Issue[];
  /** When to come back, in milliseconds. */
  readonly retryAfterMs?: number;
  /** What else the caller should know, as fields of the problem: such as the `task_status` of a conflict. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** The base of every error that this project throws on purpose. `message` is safe to show to the caller. */
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

/** The error of a task, a call or a batch item, as stored and as sent. */
export interface TaskError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}
