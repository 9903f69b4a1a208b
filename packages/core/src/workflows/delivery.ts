import { toTaskError } from '../protocol/thrown.js';
import type { JournalStep } from '../storage/call-journal.js';
import type { RequestedStep } from './requested-step.js';
import { ServiceCallError, StepError } from './step-error.js';

/** Settles the promise of a requested step with its recorded outcome. A result that breaks its contract is a failed call. */
export function deliver(
  { key, kind, outcome }: JournalStep,
  { command, resolve, reject }: RequestedStep,
): void {
  if (!outcome) return;
  if (!outcome.ok) {
    reject(kind === 'call' ? new ServiceCallError(key, outcome.error) : new StepError(key, outcome.error));
    return;
  }
  const read = command.kind === 'call' ? command.read : undefined;
  if (!read) {
    resolve(outcome.value);
    return;
  }
  try {
    resolve(read(outcome.value));
  } catch (error) {
    reject(new ServiceCallError(key, toTaskError(error, 'invalid_response')));
  }
}
