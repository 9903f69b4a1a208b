import { type Issue, OrchestratorError } from '@agent-orchestrator/core';
import { ERROR_CODES } from '@agent-orchestrator/core/protocol';
import type { NeutralAnswer } from './neutral-request.js';

/** RFC 9457 problem with the project's `code` and, for invalid input, its location. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  /** Key of the log entry; present only if there is one. */
  readonly correlation_id?: string;
  readonly errors?: readonly Issue[];
  /** Final status of the task, in a 409 for one that ended otherwise. */
  readonly task_status?: string;
}

/** A refusal with an HTTP status without a code of its own, such as 415. Its code is `invalid_request`. */
export class HttpRefusal extends OrchestratorError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    options: { readonly issues?: readonly Issue[]; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    const { issues, headers = {} } = options;
    super('invalid_request', message, issues && { issues });
    this.status = status;
    this.headers = headers;
  }
}

/** `Retry-After` without a better estimate, ms. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/** Response for an expected error. */
export function problemAnswer(
  error: OrchestratorError,
  options: {
    readonly correlationId?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): NeutralAnswer {
  const meaning = ERROR_CODES[error.code];
  const refusal = error instanceof HttpRefusal ? error : undefined;
  const status = refusal?.status ?? meaning.status;
  const problem: Problem = {
    ...error.details,
    type: `urn:agent-orchestrator:error:${error.code}`,
    title: meaning.title,
    status,
    detail: error.message,
    code: error.code,
    ...(status >= 500 && options.correlationId && { correlation_id: options.correlationId }),
    ...(error.issues && { errors: error.issues }),
  };
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      ...retryAfter(status, error.retryAfterMs),
      ...refusal?.headers,
      ...options.headers,
    },
    body: JSON.stringify(problem),
  };
}

/** Error shown for an unexpected one: without internals. */
export function unexpected(): OrchestratorError {
  return new OrchestratorError(
    'internal_error',
    'something went wrong inside; the log has it under the correlation id',
  );
}

/** Maximum of `Retry-After`, in seconds: a month, since a budget may last that long. */
const MAX_RETRY_AFTER_S = 31 * 24 * 60 * 60;

/** `Retry-After` in whole seconds for 429 and 503: from 1 to a month, for any `retryAfterMs`. */
export function retryAfter(status: number, retryAfterMs: number | undefined): Record<string, string> {
  if (status !== 429 && status !== 503) return {};
  const ms = retryAfterMs === undefined || Number.isNaN(retryAfterMs) ? DEFAULT_RETRY_AFTER_MS : retryAfterMs;
  return { 'retry-after': String(Math.min(MAX_RETRY_AFTER_S, Math.max(1, Math.ceil(ms / 1000)))) };
}
