import { type ErrorCode, OrchestratorError } from '@agent-orchestrator/core';

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
  unauthorized: EXIT.denied,
  forbidden: EXIT.denied,
  rate_limited: EXIT.limited,
  queue_full: EXIT.limited,
  budget_exceeded: EXIT.limited,
  invalid_request: EXIT.usage,
  payload_too_large: EXIT.usage,
  unknown_workflow: EXIT.usage,
  unknown_service: EXIT.usage,
  not_running: EXIT.unreachable,
  storage_unavailable: EXIT.unreachable,
  service_unavailable: EXIT.unreachable,
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
