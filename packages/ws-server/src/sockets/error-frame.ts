import { type ErrorCode, type Issue, OrchestratorError } from '@agent-orchestrator/core';
import { ERROR_CODES } from '@agent-orchestrator/core/protocol';

/** Reply to a frame that cannot be handled. */
export interface ErrorFrame {
  readonly event: 'error';
  /** Id of the subscription. */
  readonly id?: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly errors?: readonly Issue[];
}

/** An error as a frame: message of an `OrchestratorError`, no internals of others. */
export function errorFrame(error: unknown, id?: string): ErrorFrame {
  const about = id === undefined ? {} : { id };
  if (!(error instanceof OrchestratorError) || error.code === 'internal_error') {
    return { event: 'error', ...about, code: 'internal_error', message: ERROR_CODES.internal_error.title };
  }
  return { event: 'error', ...about, code: error.code, message: error.message, errors: error.issues ?? [] };
}
