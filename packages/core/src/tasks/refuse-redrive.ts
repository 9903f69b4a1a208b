import { OrchestratorError } from '../protocol/errors.js';
import type { Task } from '../protocol/task.js';

/** Why a task cannot be redriven. */
export function redriveRefusal({ task_id: taskId, status }: Task): OrchestratorError {
  const why =
    status === 'failed'
      ? 'it has never begun, or was redriven before, and the new task is no longer kept: submit it again if its work is to be repeated'
      : `expected status failed, got ${status}`;
  return new OrchestratorError('conflict', `task ${taskId}: ${why}`, { retryable: false });
}
