import { ERROR_CODES, type Issue, OrchestratorError } from '@agent-orchestrator/core';
import type { NeutralAnswer } from './neutral-request.js';

/** RFC 9457, with the project's `code` and, for what was invalid, where. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  /** What the server's log has this under; only where there is something to look up. */
  readonly correlation_id?: string;
  readonly errors?: readonly Issue[];
}

/** When nothing better is known, come back after this many milliseconds. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/** The answer for an error that was thrown on purpose. `status` overrides that of the code. */
export function problemAnswer(
  error: OrchestratorError,
  options: {
    readonly status?: number;
    readonly correlationId?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): NeutralAnswer {
  const meaning = ERROR_CODES[error.code];
  const status = options.status ?? meaning.status;
  const problem: Problem = {
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
      ...options.headers,
    },
    body: JSON.stringify(problem),
  };
}

/** What a caller hears of an error that nobody expected: nothing of the inside. */
export function unexpected(): OrchestratorError {
  return new OrchestratorError(
    'internal_error',
    'something went wrong inside; the log has it under the correlation id',
  );
}

/** `Retry-After` in whole seconds, for 429 and 503. */
export function retryAfter(status: number, retryAfterMs: number | undefined): Record<string, string> {
  if (status !== 429 && status !== 503) return {};
  return { 'retry-after': String(Math.max(1, Math.ceil((retryAfterMs ?? DEFAULT_RETRY_AFTER_MS) / 1000))) };
}
