import { type ErrorCode, OrchestratorError, type Task } from '@agent-orchestrator/core';

import { ConfigurationError, EXIT, UsageError } from './errors.js';

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  not_found: EXIT.notFound,
  unknown_workflow: EXIT.notFound,
  unauthorized: EXIT.denied,
  forbidden: EXIT.denied,
  rate_limited: EXIT.limited,
  queue_full: EXIT.limited,
  budget_exceeded: EXIT.limited,
  invalid_request: EXIT.usage,
  invalid_message: EXIT.usage,
  payload_too_large: EXIT.usage,
  unknown_service: EXIT.usage,
  not_running: EXIT.unreachable,
  storage_unavailable: EXIT.unreachable,
  service_unavailable: EXIT.unreachable,
  // The server is not an orchestrator.
  invalid_response: EXIT.unreachable,
  timeout: EXIT.timeOut,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigurationError) return EXIT.badConfiguration;
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof OrchestratorError ? (BY_CODE[error.code] ?? EXIT.taskFailed) : EXIT.taskFailed;
}

/** Exit code of a command that waited for a task. */
export function exitCodeOfTask(task: Pick<Task, 'status' | 'error'>): number {
  if (task.status === 'completed') return EXIT.ok;
  return task.error?.code === 'timeout' ? EXIT.timeOut : EXIT.taskFailed;
}

/** Error code in `--json` output: one of `docs/errors.md`. */
export function errorCodeOf(error: unknown): ErrorCode {
  if (error instanceof OrchestratorError) return error.code;
  return error instanceof ConfigurationError || error instanceof UsageError
    ? 'invalid_request'
    : 'internal_error';
}
