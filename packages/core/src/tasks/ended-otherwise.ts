import { OrchestratorError } from '../protocol/errors.js';
import type { Task } from '../protocol/task.js';

/**
 * Refuses to cancel a task that has ended with something else.
 *
 * @throws {OrchestratorError} `conflict`, with the task's status, unless it is cancelled.
 */
export function refuseEndedOtherwise({ task_id, status }: Task): void {
  if (status === 'cancelled') return;
  throw new OrchestratorError('conflict', `task ${task_id} has ended already: its status is ${status}`, {
    retryable: false,
    issues: [{ path: 'status', expected: 'pending, processing or cancelled', got: status }],
    details: { task_status: status },
  });
}
