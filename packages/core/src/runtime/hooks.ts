import type { TaskError } from '../protocol/errors.js';
import type { Usage } from '../protocol/usage.js';
import type { Listeners } from './listeners.js';

interface AboutRun {
  readonly tenantId: string;
  readonly taskId: string;
  /** Type of the task: its workflow. */
  readonly type: string;
  /** Starts at 1. */
  readonly attempt: number;
}

/** Run of a workflow function: from a claim to its settlement. A parked task is run again, with a replay. */
interface RunStarted extends AboutRun {
  /** From the submission, or from `run_at`, to the first run of the task; absent for later runs. */
  readonly waitedMs?: number;
}

interface RunEnded extends AboutRun {
  /** `retry`: another attempt follows; `parked`: the task waits for external outcomes; `abandoned`: the lease was lost. */
  readonly outcome: 'completed' | 'failed' | 'cancelled' | 'retry' | 'parked' | 'released' | 'abandoned';
  readonly error?: TaskError;
  readonly durationMs: number;
}

/**
 * A task that a worker of this process has ended. Absent: those that end without a run, such as by a time limit or while they
 * wait, and those whose answer from the storage was lost.
 */
interface TaskEnded extends AboutRun {
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  readonly error?: TaskError;
}

/** A call that begins: once per try of a step. */
interface CallStarted {
  readonly tenantId: string;
  readonly taskId: string;
  readonly callId: string;
  readonly service: string;
  readonly operation: string;
  /** Try of the step, from 1. */
  readonly attempt: number;
}

/** A call as sent: once per try of a step, resends included. */
export interface CallEnded extends CallStarted {
  /** `accepted`: the service reports the outcome later. */
  readonly outcome: 'completed' | 'accepted' | 'failed';
  readonly error?: TaskError;
  /** Answered from the cache: nothing was sent. */
  readonly cached?: true;
  readonly durationMs: number;
}

interface BreakerOpened {
  readonly service: string;
  /** Absent for the breaker that all tenants share. */
  readonly tenantId?: string;
}

/** Usage that this process has got: of an answer, an applied notification, or tracked by the host. A repeat, which the ledger counts once, is told again. */
interface TokensUsed {
  readonly tenantId: string;
  /** `<service>.<operation>`; of a notification the service; or the operation that the host has named. */
  readonly operation: string;
  readonly usage: Usage;
}

/** What happens in this process, with payloads, for `Orchestrator.on`. */
export interface OrchestratorHooks {
  runStarted: RunStarted;
  runEnded: RunEnded;
  taskEnded: TaskEnded;
  callStarted: CallStarted;
  callEnded: CallEnded;
  breakerOpened: BreakerOpened;
  tokensUsed: TokensUsed;
}

export type Hooks = Listeners<OrchestratorHooks>;
