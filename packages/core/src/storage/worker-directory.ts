import type { Runnable } from './task-queue.js';

export interface WorkerEntry {
  readonly workerId: string;
  readonly runs: readonly Runnable[];
  /** When it was last announced, in milliseconds since 1970. */
  readonly seenAt: number;
  /** Unless it is announced again until then, it is dead. */
  readonly aliveUntil: number;
}

/** What is known of a type that a worker has announced. */
export interface AnnouncedType {
  /** Milliseconds since a worker last announced it. */
  readonly agoMs: number;
  readonly timeoutMs?: number;
  readonly maxAttempts?: number;
}

/** Who runs what. */
export interface WorkerDirectory {
  /**
   * A worker's heartbeat: it is alive for `leaseMs` (default 30 s). Tasks that were set aside for want of what it runs may be
   * claimed again.
   */
  announce(params: {
    readonly workerId: string;
    readonly runs: readonly Runnable[];
    readonly leaseMs?: number;
  }): Promise<void>;
  leave(params: { readonly workerId: string }): Promise<void>;
  /** What the last announcement of a type said; absent if there was none. */
  announced(params: { readonly type: string }): Promise<AnnouncedType | undefined>;
  /** Those that are alive. */
  list(): Promise<readonly WorkerEntry[]>;
}
