import type { CaseTools } from '@agent-orchestrator/core';
import type { ScriptName } from './script-digests.js';

/** One step of the storage that writes, after what has to come before it. */
export interface StepStory {
  readonly title: string;
  /** Whose reply is to be lost. */
  readonly script: ScriptName;
  /** The step takes something new on before that script. */
  readonly isIntake?: boolean;
  /** Lives through what comes before, and hands out the step. */
  readonly prepare: (t: CaseTools) => Promise<() => Promise<unknown>>;
  /** What the step says that was done already; absent: the same. */
  readonly again?: string;
  /** Asked once more by the caller it is another request: its id is drawn in the adapter. */
  readonly onlyResent?: boolean;
}

/** Waiting tasks of a tenant. */
export const MAX = 1_000_000;
export const GRACE = 30_000;
export const error = { code: 'service_error', message: 'broken', retryable: false } as const;
