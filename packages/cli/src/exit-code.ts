import { type ErrorCode, OrchestratorError, type Task } from '@agent-orchestrator/core';

/** What the command ends with; scripts branch on it. From 64 on: as in sysexits.h. */
export const EXIT = {
  ok: 0,
  taskFailed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  limited: 5,
  unreachable: 69,
  timeOut: 75,
  badConfiguration: 78,
  interrupted: 130,
} as const;

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
  // Whoever answers there is no orchestrator.
  invalid_response: EXIT.unreachable,
  timeout: EXIT.timeOut,
};

/** An error of the settings: the command can't even begin. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** The command was used wrongly. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigurationError) return EXIT.badConfiguration;
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof OrchestratorError ? (BY_CODE[error.code] ?? EXIT.taskFailed) : EXIT.taskFailed;
}

/** What a command that waited for a task ends with. */
export function exitCodeOfTask(task: Pick<Task, 'status' | 'error'>): number {
  if (task.status === 'completed') return EXIT.ok;
  return task.error?.code === 'timeout' ? EXIT.timeOut : EXIT.taskFailed;
}

/** The code of an error in `--json` output: one of `docs/errors.md`. */
export function errorCodeOf(error: unknown): ErrorCode {
  if (error instanceof OrchestratorError) return error.code;
  return error instanceof ConfigurationError || error instanceof UsageError
    ? 'invalid_request'
    : 'internal_error';
}
