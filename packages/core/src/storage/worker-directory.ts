import type { Runnable } from './task-queue.js';

/** A worker as it announced itself. */
export interface WorkerEntry {
  readonly workerId: string;
  readonly runs: readonly Runnable[];
  /** Last announcement, epoch ms. */
  readonly seenAt: number;
  /** Considered dead after this, epoch ms, unless announced again. */
  readonly aliveUntil: number;
}

/** A task type that a worker has announced, and its defaults. */
export interface AnnouncedType {
  /** Time since a worker last announced it, ms. */
  readonly agoMs: number;
  readonly timeoutMs?: number;
  readonly maxAttempts?: number;
}

/** Params of `WorkerDirectory.announce`. */
export interface AnnounceParams {
  readonly workerId: string;
  readonly runs: readonly Runnable[];
  readonly leaseMs?: number;
}

/** Params of `WorkerDirectory.leave`. */
export interface LeaveWorkerParams {
  readonly workerId: string;
}

/** Params of `WorkerDirectory.announced`. */
export interface ReadAnnouncedTypeParams {
  readonly type: string;
}

/** Live workers and the task types they run. */
export interface WorkerDirectory {
  /**
   * Heartbeat: the worker is alive for `leaseMs` (default 30 s). Tasks set aside because no live worker ran their type become
   * claimable again.
   */
  announce(params: AnnounceParams): Promise<void>;
  leave(params: LeaveWorkerParams): Promise<void>;
  /** The last announcement of a type; `undefined` if there was none. */
  announced(params: ReadAnnouncedTypeParams): Promise<AnnouncedType | undefined>;
  /** Live workers. */
  list(): Promise<readonly WorkerEntry[]>;
}
