import type { TaskError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import type { Message } from '../protocol/session.js';
import type { Task } from '../protocol/task.js';
import type { Diagnostic } from '../protocol/thrown.js';
import type { JournalStep } from './call-journal.js';

/** Defaults of a task type, shared by its versions: the last registration wins. */
export interface TypeDefaults {
  /** Timeout of tasks submitted without one, ms. Default 15 min. */
  readonly timeoutMs?: number;
  /** Attempts of tasks submitted without `max_attempts`. Default 5. */
  readonly maxAttempts?: number;
}

/** A task type that a worker runs, with its versions. */
export interface Runnable extends TypeDefaults {
  readonly type: string;
  readonly versions: readonly number[];
}

/** The newest messages of a session, as they were when its task was claimed. */
export interface ClaimedMessages {
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** The session has older ones. */
  readonly hasOlder: boolean;
}

/** A task leased to one worker. */
export interface Claim {
  readonly task: Task;
  /** Fencing token: every write of the worker is checked against it. */
  readonly token: string;
  readonly version: number;
  /** Start of the first attempt, epoch ms: the workflow's time at its first step. */
  readonly startedAt: number;
  /** Seed of the workflow's random numbers; stable over retries and redrives. */
  readonly seed: string;
  readonly steps: readonly JournalStep[];
  /** The journal is too large to come with a claim: `steps` is empty, read it by `journal.read`. */
  readonly unread?: true;
  /** Journal revision that `steps` includes. */
  readonly journalRev: number;
  /** Journal revision that the previous run had processed when it parked: progress reported up to there is not repeated. */
  readonly replayedTo: number;
  /** Journal revision at the start of this attempt; 0 for the first. */
  readonly inherited: number;
  /** Claimed ahead of the worker's free slots: a lost lease does not count as a lost worker until the run has begun. */
  readonly prefetched: boolean;
  /** See `ClaimParams.readsMessages`. */
  readonly sessionMessages?: ClaimedMessages;
}

/** A worker's right to run a task. The tasks of one claim may share a token. */
export interface Lease {
  readonly tenantId: string;
  readonly taskId: string;
  readonly token: string;
  /** On renewal: the run has begun, so that a lost lease counts as a lost worker, see `Claim.prefetched`. */
  readonly begun?: boolean;
}

/** Outcome of a run, by which a worker ends its lease. */
export type Settlement =
  | {
      readonly kind: 'completed';
      readonly result: JsonValue;
      readonly answer?: { readonly message_id: string; readonly content: string };
    }
  | { readonly kind: 'failed'; readonly error: TaskError; readonly diagnostic?: Diagnostic }
  /**
   * Next attempt after `delayMs`. It inherits the journal without failed `call` and `run` steps, and without the failure of
   * step `drop`. With no attempt left the task fails, and the answer is `exhausted`.
   */
  | {
      readonly kind: 'retry';
      readonly error: TaskError;
      readonly diagnostic?: Diagnostic;
      readonly delayMs: number;
      readonly drop?: string;
    }
  | { readonly kind: 'parked'; readonly journalRev: number }
  /** Returned to the queue; costs no attempt. */
  | { readonly kind: 'released' }
  | { readonly kind: 'cancelled' };

/** Outcome of one sweep. */
export interface Swept {
  /** Number of timers fired, by kind. */
  readonly done: Readonly<Record<string, number>>;
  /** Clock of the storage, epoch ms: its server's, which may differ from the process's. */
  readonly now: number;
  /** Due time of the next timer by the same clock; absent if there is none. */
  readonly nextDueAt?: number;
}

/** Params of `TaskQueue.claim`. */
export interface ClaimParams {
  readonly workerId: string;
  /** A worker may have several claims in flight, one per slot. Default: the worker's id. */
  readonly claimSlot?: string;
  /** Idempotency key: repeating the slot's last claim returns the same tasks, so a lost answer loses none. */
  readonly claimId: string;
  readonly max: number;
  /** How many of the tasks, from the first on, start at once; the rest is prefetched. Default: all. */
  readonly begins?: number;
  readonly runs: readonly Runnable[];
  /**
   * Types whose runs first read the messages of their session. Up to 50 come with the claim of such a task if it starts at once
   * and has no journal yet, and if they fit into the 128 KiB of the claim: a run reads other messages by `sessions.messages`. A
   * repeated claim has none.
   */
  readonly readsMessages?: readonly string[];
  readonly leaseMs: number;
  /** Long poll: with nothing to claim, the storage may hold the request for up to `waitMs`. */
  readonly waitMs?: number;
  /** Ends the wait; nothing is claimed after it fires. */
  readonly signal?: AbortSignal;
}

/** Params of `TaskQueue.renew`. */
export interface RenewParams {
  readonly leases: readonly Lease[];
  readonly leaseMs: number;
}

/** Params of `TaskQueue.settle`. */
export interface SettleParams {
  readonly tenantId: string;
  readonly taskId: string;
  readonly token: string;
  readonly settlement: Settlement;
}

/** Answer of `TaskQueue.settle`. */
export type SettleResult = 'settled' | 'exhausted' | 'lease_lost' | 'newer_outcome';

/** Params of `TaskQueue.wake`. */
export interface WakeParams {
  readonly tenantId: string;
  readonly taskId: string;
}

/** Answer of `TaskQueue.wake`. */
export type WakeResult = 'woken' | 'not_parked';

/** Params of `TaskQueue.sweep`. */
export interface SweepParams {
  readonly max: number;
}

/** Storage port for workers and the sweeper. */
export interface TaskQueue {
  /**
   * Leases up to `max` tasks that this worker can run: fewer if their payloads exceed 1 MiB together (payloads up to 16 KiB do
   * not count), but at least one. The wakeup `ready` then reports the remaining ones.
   */
  claim(params: ClaimParams): Promise<readonly Claim[]>;
  /** Extends leases; returns the lost ones. */
  renew(params: RenewParams): Promise<readonly Lease[]>;
  settle(params: SettleParams): Promise<SettleResult>;
  /** Makes a parked task claimable without a journal change: its run continued while it was being parked. */
  wake(params: WakeParams): Promise<WakeResult>;
  /** Fires due timers, at most `max`. */
  sweep(params: SweepParams): Promise<Swept>;
}
