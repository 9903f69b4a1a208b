import { OrchestratorError } from '../protocol/errors.js';
import type { Task, TaskStatus } from '../protocol/task.js';

/** Why a task cannot be redriven. */
export function redriveRefusal({ task_id: taskId, status }: Task): OrchestratorError {
  const why =
    status === 'failed'
      ? 'it has never begun, or was redriven before, and the new task is no longer kept: submit it again if its work is to be repeated'
      : `expected status failed, got ${status}`;
  return new OrchestratorError('conflict', `task ${taskId}: ${why}`, { retryable: false });
}

/** A task is redriven once: with one payload. */
export function otherPayload(taskId: string): OrchestratorError {
  return new OrchestratorError(
    'conflict',
    `task ${taskId}: it was redriven before with another payload: expected the same one, or none`,
    { retryable: false },
  );
}

/** Why a task cannot be discarded. */
export function discardRefusal(taskId: string, status: TaskStatus): OrchestratorError {
  const why = `task ${taskId}: expected status failed, got ${status}`;
  return new OrchestratorError('conflict', why, { retryable: false });
}
