import { OrchestratorError } from '../protocol/errors.js';
import { describe } from '../protocol/validation.js';

/** Also for another tenant's task. */
export function unknownTask(taskId: string): OrchestratorError {
  return new OrchestratorError('not_found', `no task ${describe(taskId)}`);
}
