import type { TaskError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import type { Task } from '../protocol/task.js';
import type { Diagnostic } from '../protocol/thrown.js';
import type { JournalStep } from './call-journal.js';

/** A type of task that a worker runs, and in which versions. */
export interface Runnable {
  readonly type: string;
  readonly versions: readonly number[];
  /** For tasks that are submitted without a limit of their own, in milliseconds. Default 15 min. */
  readonly timeoutMs?: number;
  /** For tasks that are submitted without a number of their own. Default 5. */
  readonly maxAttempts?: number;
}

/** A task in the hands of one worker, until its lease ends. */
export interface Claim {
  readonly task: Task;
  /** Every write of the worker is compared with it. */
  readonly token: string;
  readonly version: number;
  /** When the first attempt began, in milliseconds since 1970: the time of the workflow's first step. */
  readonly startedAt: number;
  /** Stays the same over retries and redrives: what the workflow's random is drawn from. */
  readonly seed: string;
  readonly steps: readonly JournalStep[];
  /** The journal is larger than what comes with a claim: `steps` has none of it, and `journal.read` has all. */
  readonly unread?: true;
  /** The last change of the journal that `steps` has. */
  readonly journalRev: number;
  /** The last change that an earlier run had dealt with when it parked the task: what it told before is not told again. */
  readonly replayedTo: number;
  /** The last change of the journal before this attempt began; 0 for the first. */
  readonly inherited: number;
  /** Claimed ahead of the worker's free slots: losing the lease is no loss of the task until its run has begun. */
  readonly prefetched: boolean;
}

/** A worker's right to run a task. The tasks of one claim may share a token. */
export interface Lease {
  readonly tenantId: string;
  readonly taskId: string;
  readonly token: string;
  /** When it is renewed: its run has begun, so that losing it counts, see `Claim.prefetched`. */
  readonly begun?: boolean;
}

/** How a worker gives a task back. */
export type Settlement =
  | {
      readonly kind: 'completed';
      readonly result: JsonValue;
      readonly answer?: { readonly message_id: string; readonly content: string };
    }
  | { readonly kind: 'failed'; readonly error: TaskError; readonly diagnostic?: Diagnostic }
  /**
   * Again after `delayMs`. The next attempt inherits the journal without the failures of calls and of the host's own work,
   * and without that of step `drop`. `failed` when no attempt is left: then the answer is `exhausted`.
   */
  | {
      readonly kind: 'retry';
      readonly error: TaskError;
      readonly diagnostic?: Diagnostic;
      readonly delayMs: number;
      readonly drop?: string;
    }
  | { readonly kind: 'parked'; readonly journalRev: number }
  /** Given back unharmed: costs no attempt. */
  | { readonly kind: 'released' }
  | { readonly kind: 'cancelled' };

export interface Swept {
  /** How much there was to do, by timer. */
  readonly done: Readonly<Record<string, number>>;
  /** The time of the storage, in milliseconds since 1970: that of its server, which may not be the process's. */
  readonly now: number;
  /** When the next timer is due, by the same clock; absent when there is none. */
  readonly nextDueAt?: number;
}

/** What workers and the sweeper ask of the storage. */
export interface TaskQueue {
  /**
   * Leases up to `max` tasks that this worker can run: fewer when their payloads have more than 1 MiB together, those of at most
   * 16 KiB not counted, but at least one. Then the wakeup `ready` says that more wait.
   */
  claim(params: {
    readonly workerId: string;
    /** Who asks: a worker may have several claims under way, each of another claimSlot. Default the worker's id. */
    readonly claimSlot?: string;
    /** The last one of the claimSlot, asked again, is the same claim: a lost answer loses no task. */
    readonly claimId: string;
    readonly max: number;
    /** How many of them, the first ones, the worker begins at once. The others are claimed ahead. Default: all. */
    readonly begins?: number;
    readonly runs: readonly Runnable[];
    readonly leaseMs: number;
    /**
     * Where nothing can be claimed, the storage may wait for so long, and answer with what comes: that saves a round trip. Or
     * it answers at once, with nothing.
     */
    readonly waitMs?: number;
    /** Ends the wait: from now on nothing new is taken. */
    readonly signal?: AbortSignal;
  }): Promise<readonly Claim[]>;
  /** Prolongs leases; returns those that are lost. */
  renew(params: { readonly leases: readonly Lease[]; readonly leaseMs: number }): Promise<readonly Lease[]>;
  settle(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly token: string;
    readonly settlement: Settlement;
  }): Promise<'settled' | 'exhausted' | 'lease_lost' | 'newer_outcome'>;
  /** A parked task may be claimed again although nothing has arrived: its run went on while it was being parked. */
  wake(params: { readonly tenantId: string; readonly taskId: string }): Promise<'woken' | 'not_parked'>;
  /** Does what is due, at most `max` timers. */
  sweep(params: { readonly max: number }): Promise<Swept>;
}
