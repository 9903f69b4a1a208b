import type { TaskError } from '../protocol/errors.js';
import { type Diagnostic, diagnose, publicError, toTaskError } from '../protocol/thrown.js';
import { failedStep } from './step-error.js';

/** What is made of an error that ends a run of a workflow. */
export interface RunFailure {
  /** As tenants see it. */
  readonly error: TaskError;
  /** What operators see besides. */
  readonly diagnostic: Diagnostic;
  /** The key of the step whose failure it is, if it is one's. */
  readonly step: string | undefined;
}

export function failureOf(thrown: unknown, type: string, exposeErrors: boolean): RunFailure {
  const step = failedStep(thrown)?.step;
  const where = step === undefined ? `workflow "${type}"` : `step "${step}"`;
  const error = publicError(toTaskError(thrown, 'workflow_error'), where, exposeErrors);
  return { error, diagnostic: diagnose(thrown), step };
}
