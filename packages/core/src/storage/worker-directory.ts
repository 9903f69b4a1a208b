import type { Runnable } from './task-queue.js';

export interface WorkerEntry {
  readonly workerId: string;
  readonly runs: readonly Runnable[];
  readonly seenAt: number;
}

/** Who runs what. */
export interface WorkerDirectory {
  /** A worker's heartbeat. Tasks that were set aside for want of what it runs may be claimed again. */
  announce(params: { readonly workerId: string; readonly runs: readonly Runnable[] }): Promise<void>;
  leave(params: { readonly workerId: string }): Promise<void>;
  /** Milliseconds since a worker last announced this type; absent if none ever did. */
  announcedAgoMs(params: { readonly type: string }): Promise<number | undefined>;
  list(): Promise<readonly WorkerEntry[]>;
}
