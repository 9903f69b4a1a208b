import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { TaskRecords } from '../storage/task-records.js';

/** @throws {OrchestratorError} for an answer that says why a signal was not taken, other than that there is no task. */
export function refuseSignal(
  answer: Awaited<ReturnType<TaskRecords['signal']>>['answer'],
  taskId: string,
): void {
  if (answer === 'idempotency_conflict')
    throw new OrchestratorError(answer, 'the Idempotency-Key was used for another signal of the task');
  if (answer === 'already_final')
    throw new OrchestratorError('conflict', `task ${taskId} has ended`, { retryable: false });
  if (answer !== 'too_many') return;
  const message = `expected at most ${DEFAULTS.maxSignals} signals that wait to be asked for, got one more`;
  throw new OrchestratorError('rate_limited', message, { retryAfterMs: 1_000 });
}
