import { ERROR_CODES, type ErrorCode, type Issue, OrchestratorError } from '@agent-orchestrator/core';

/** What a socket says about a frame that it can do nothing with. */
export interface ErrorFrame {
  readonly event: 'error';
  /** The subscription it is about. */
  readonly id?: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly errors?: readonly Issue[];
}

/** An error as a frame: its own words if it is ours, else none of the inside. */
export function errorFrame(error: unknown, id?: string): ErrorFrame {
  const about = id === undefined ? {} : { id };
  if (!(error instanceof OrchestratorError) || error.code === 'internal_error') {
    return { event: 'error', ...about, code: 'internal_error', message: ERROR_CODES.internal_error.title };
  }
  return { event: 'error', ...about, code: error.code, message: error.message, errors: error.issues ?? [] };
}
