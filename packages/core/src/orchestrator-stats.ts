import type { AckOutcome } from './protocol/service-socket.js';
import type { RunEnd } from './workflows/workflow-run.js';

/** What a worker has done since its process began, and what it is at. */
export interface WorkerStats {
  /** Tasks that may run at once. */
  readonly slots: number;
  /** Runs in memory; `idle` of them only wait and take no slot. */
  readonly running: number;
  readonly idle: number;
  /** Claimed ahead, waiting for a slot. */
  readonly prefetched: number;
  readonly claimsSent: number;
  readonly tasksClaimed: number;
  /** `abandoned`: the lease was lost, or the worker was stopped before the run had ended. */
  readonly runsEnded: Readonly<Record<RunEnd['kind'], number>>;
  /** Since the queue was last asked and answered. */
  readonly sinceClaimMs: number;
}

export interface SweeperStats {
  readonly sweeps: number;
  /** By timer: `deadline`, `lease`, `retention`, … */
  readonly timersFired: Readonly<Record<string, number>>;
  readonly sinceSweepMs: number;
}

/** Numbers of one process, for whoever makes metrics of them. No names of tenants, no payloads. */
export interface OrchestratorStats {
  /** Absent where no worker runs. */
  readonly worker?: WorkerStats;
  readonly sweeper: SweeperStats;
  /** Of everybody's calls, by service: closed unless it cannot be connected to. Those never called are missing. */
  readonly breakers: Readonly<Record<string, 'closed' | 'open' | 'half_open'>>;
  /** By service: how many tenants have calls that do not pass, since theirs failed. Services without any are missing. */
  readonly openTenantBreakers: Readonly<Record<string, number>>;
  /** Notifications that came in, by what became of them. */
  readonly notifications: Readonly<Record<AckOutcome, number>>;
}
