import { OrchestratorError } from '../protocol/errors.js';
import type { Diagnostic, StepFailure } from '../protocol/thrown.js';

/** A step of a workflow failed. Workflows catch it like any error; uncaught, it fails the attempt. */
export class StepError extends OrchestratorError {
  override readonly name: string = 'StepError';
  /** Whether its message is the text of an error that is not this project's: tenants do not see it. */
  readonly foreign: boolean;
  /** What operators get to know of that error. */
  readonly diagnostic: Diagnostic | undefined;

  constructor(
    /** The step's place in the journal. */
    readonly step: string,
    error: StepFailure,
  ) {
    super(error.code, error.message, { retryable: error.retryable });
    this.foreign = error.foreign === true;
    this.diagnostic = error.diagnostic;
  }
}

/** A call to a service failed for good: after its tries, or with a final answer. */
export class ServiceCallError extends StepError {
  override readonly name = 'ServiceCallError';
}

/** How deep a chain of causes is looked through. */
const MAX_CAUSES = 20;

/** The failure of a step that this error is, or is caused by. Asking a Proxy may throw. */
export function failedStep(error: unknown): StepError | undefined {
  try {
    for (let cause = error, depth = 0; cause instanceof Error && depth < MAX_CAUSES; depth += 1) {
      if (cause instanceof StepError) return cause;
      ({ cause } = cause);
    }
  } catch {
    // What throws when it is looked at is no failure of a step.
  }
  return undefined;
}
