import type { CaseTools } from '@agent-orchestrator/core/conformance';
import type { ScriptName } from './script-digests.js';

/** One writing step of the storage, after its preparation. */
export interface StepScenario {
  readonly title: string;
  /** The script whose reply is lost. */
  readonly script: ScriptName;
  /** The step accepts new data before that script. */
  readonly isIntake?: boolean;
  /** Runs the preparation, and returns the step. */
  readonly prepare: (t: CaseTools) => Promise<() => Promise<unknown>>;
  /** Answer of the step when it is repeated; absent: the same. */
  readonly again?: string;
  /** A repeat by the caller is another request: the adapter generates its id. */
  readonly isNewWhenRepeated?: boolean;
}

/** Limit of waiting tasks of a tenant. */
export const MAX = 1_000_000;
export const GRACE = 30_000;
export const error = { code: 'service_error', message: 'broken', retryable: false } as const;
