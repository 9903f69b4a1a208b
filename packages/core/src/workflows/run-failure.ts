import type { TaskError } from '../protocol/errors.js';
import { type Diagnostic, diagnose, publicError, toTaskError } from '../protocol/thrown.js';
import { failedStep } from './step-error.js';

/** Failure of a run. */
export interface RunFailure {
  /** For tenants. */
  readonly error: TaskError;
  /** For operators. */
  readonly diagnostic: Diagnostic;
  /** Key of the failed step, if the error came from one. */
  readonly step: string | undefined;
  /** No attempt may begin earlier, ms from now. */
  readonly retryAfterMs: number;
}

export function failureOf(thrown: unknown, type: string, exposeErrors: boolean): RunFailure {
  const step = failedStep(thrown)?.step;
  const where = step === undefined ? `workflow "${type}"` : `step "${step}"`;
  const failure = toTaskError(thrown, 'workflow_error');
  const error = publicError(failure, where, exposeErrors);
  return { error, diagnostic: diagnose(thrown), step, retryAfterMs: failure.retryAfterMs ?? 0 };
}
