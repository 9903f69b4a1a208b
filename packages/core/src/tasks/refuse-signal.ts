import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { SignalResult } from '../storage/task-records.js';
import { refusedWith } from './new-task.js';

/** @throws {OrchestratorError} if the signal was rejected; `not_found` is left to the caller. */
export function refuseSignal(answer: SignalResult['answer'], taskId: string): void {
  switch (answer) {
    case 'idempotency_conflict':
      throw new OrchestratorError(answer, 'the Idempotency-Key was used for another signal of the task');
    case 'already_final':
      throw new OrchestratorError('conflict', `task ${taskId} has ended`, { retryable: false });
    case 'queue_full':
      throw refusedWith(answer);
    case 'journal_full': {
      const message = `the journal of task ${taskId} has no room for the payload: expected at most ${DEFAULTS.maxJournalBytes} bytes of outcomes and signals`;
      throw new OrchestratorError('payload_too_large', message);
    }
    case 'too_many': {
      const message = `expected at most ${DEFAULTS.maxSignals} unconsumed signals, got one more`;
      throw new OrchestratorError('rate_limited', message, { retryAfterMs: 1_000 });
    }
    case 'delivered':
    case 'kept':
    case 'repeated':
    case 'not_found':
  }
}
