import { OrchestratorError, type TaskError } from '../protocol/errors.js';

/** A step of a workflow failed. Workflows catch it like any error; uncaught, it fails the attempt. */
export class StepError extends OrchestratorError {
  override readonly name: string = 'StepError';
  constructor(
    /** The step's place in the journal. */
    readonly step: string,
    error: TaskError,
  ) {
    super(error.code, error.message, { retryable: error.retryable });
  }
}

/** A call to a service failed for good: after its tries, or with a final answer. */
export class ServiceCallError extends StepError {
  override readonly name = 'ServiceCallError';
}

/** The step whose failure this error is, or is caused by. */
export function failedStep(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 20; cause = cause.cause, depth += 1) {
    if (cause instanceof StepError) return cause.step;
  }
  return undefined;
}
