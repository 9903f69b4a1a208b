import { OrchestratorError } from '../protocol/errors.js';
import type { Task } from '../protocol/task.js';

/**
 * Rejects the cancellation of a completed or failed task.
 *
 * @throws {OrchestratorError} `conflict`, with the task's status, unless it is `cancelled`.
 */
export function refuseEnded({ task_id, status }: Task): void {
  if (status === 'cancelled') return;
  throw new OrchestratorError('conflict', `task ${task_id} has already ended: its status is ${status}`, {
    retryable: false,
    issues: [{ path: 'status', expected: 'pending, processing or cancelled', got: status }],
    details: { task_status: status },
  });
}
