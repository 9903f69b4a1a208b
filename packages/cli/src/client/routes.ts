import { idSchema, uuidSchema, validate } from '@agent-orchestrator/core/protocol';

/** Path of a task's route. @throws {OrchestratorError} `invalid_request` for an invalid id. */
export function taskPath(taskId: string): string {
  return `/v1/tasks/${validate(uuidSchema, taskId, 'task-id')}`;
}

/** Path of a session's route. @throws {OrchestratorError} `invalid_request` for an invalid id. */
export function sessionPath(sessionId: string): string {
  return `/v1/sessions/${encodeURIComponent(validate(idSchema, sessionId, 'session-id'))}`;
}
