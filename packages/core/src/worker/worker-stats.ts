import type { RunEnd } from '../workflows/workflow-run.js';

/** Counters of a worker since its process started, and its current load. */
export interface WorkerStats {
  /** Maximum of concurrently running tasks. */
  readonly slots: number;
  /** Runs in memory; `idle` of them only wait and occupy no slot. */
  readonly running: number;
  readonly idle: number;
  /** Tasks claimed ahead, waiting for a slot. */
  readonly prefetched: number;
  readonly claimsSent: number;
  readonly tasksClaimed: number;
  /** `abandoned`: the lease was lost, or the worker stopped before the run ended. */
  readonly runsEnded: Readonly<Record<RunEnd['kind'], number>>;
  /** Time since the last answered claim. */
  readonly sinceClaimMs: number;
}

/** Counters of the sweeper. */
export interface SweeperStats {
  readonly sweeps: number;
  /** By timer kind: `deadline`, `lease`, `retention`, … */
  readonly timersFired: Readonly<Record<string, number>>;
  readonly sinceSweepMs: number;
}
