import { idSchema, uuidSchema, validate } from '@agent-orchestrator/core';

/** The path of a task's route. @throws {OrchestratorError} `invalid_request` for what can be no task's id. */
export function taskPath(taskId: string): string {
  return `/v1/tasks/${validate(uuidSchema, taskId, 'task-id')}`;
}

/** The path of a session's route. @throws {OrchestratorError} `invalid_request` for what can be no session's id. */
export function sessionPath(sessionId: string): string {
  return `/v1/sessions/${encodeURIComponent(validate(idSchema, sessionId, 'session-id'))}`;
}
