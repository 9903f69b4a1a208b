import { OrchestratorError } from '../protocol/errors.js';
import type { Diagnostic, StepFailure } from '../protocol/thrown.js';

/** A step of a workflow failed. Uncaught, it fails the attempt. */
export class StepError extends OrchestratorError {
  override readonly name: string = 'StepError';
  /** The message is that of an error other than `OrchestratorError`: hidden from tenants. */
  readonly foreign: boolean;
  /** Details of that error, for operators. */
  readonly diagnostic: Diagnostic | undefined;

  constructor(
    /** Key of the step in the journal. */
    readonly step: string,
    error: StepFailure,
  ) {
    const { retryable, retryAfterMs } = error;
    super(error.code, error.message, { retryable, ...(retryAfterMs !== undefined && { retryAfterMs }) });
    this.foreign = error.foreign === true;
    this.diagnostic = error.diagnostic;
  }
}

/** A service call failed: its tries are exhausted, or the failure is not retryable. */
export class ServiceCallError extends StepError {
  override readonly name = 'ServiceCallError';
}

/** Maximum depth of a searched chain of causes. */
const MAX_CAUSES = 20;

/** The `StepError` in the error's chain of causes, itself included. */
export function failedStep(error: unknown): StepError | undefined {
  try {
    for (let cause = error, depth = 0; cause instanceof Error && depth < MAX_CAUSES; depth += 1) {
      if (cause instanceof StepError) return cause;
      ({ cause } = cause);
    }
  } catch {
    // A Proxy may throw on any access; such an error is no step failure.
  }
  return undefined;
}
