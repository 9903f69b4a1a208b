import { keepJson, type KeptJson } from '../kept-json.js';
import { copyJson } from '../../protocol/bounded-json.js';
import type { JsonObject } from '../../protocol/json.js';
import type { TaskError } from '../../protocol/errors.js';
import type { Progress } from '../../protocol/task.js';
import type { Diagnostic } from '../../protocol/thrown.js';
import type { StepKind, StepOutcome } from '../../storage/call-journal.js';
import type { NewTask } from '../../storage/task-records.js';
import type { TaskState } from '../../protocol/task-state.js';
import type { ConcurrencyGroup } from '../queue/concurrency-group.js';
import type { ReadyQueue } from '../queue/ready-queue.js';
import type { TokensTaken } from '../tenants/call-rates.js';
import type { BatchEntry, TenantState } from '../tenants/tenant-state.js';

/** A stored outcome. */
export type KeptOutcome =
  | { readonly ok: true; readonly value: KeptJson }
  | Extract<StepOutcome, { readonly ok: false }>;

/** One try of a step at a service. */
export interface CallEntry {
  readonly callId: string;
  readonly stepKey: string;
  readonly service: string;
  readonly operation: string;
  readonly silenceMs: number;
  readonly retryDelayMs: number;
  /** `sending` until the service responds; `waiting` for the notification on a job. */
  state: 'sending' | 'waiting' | 'ended';
  jobId?: string;
  /** End of the silence limit while `waiting`, epoch ms. */
  silentAt?: number;
  ok?: boolean;
  /** Its usage is in the ledger. */
  counted?: boolean;
  /** Tokens taken from the tenant's rate in advance. */
  taken?: TokensTaken;
  /** Tells a repeated outcome from a different one. */
  outcomeFingerprint?: string;
  lastSeq?: number;
  seenMessages?: Set<string>;
}

export interface StepEntry {
  readonly key: string;
  readonly kind: StepKind;
  readonly name: string;
  readonly maxTries: number;
  readonly calls: CallEntry[];
  rev: number;
  outcome: KeptOutcome | undefined;
  /** Size of the outcome as JSON. */
  outcomeBytes: number;
  endedAt: number | undefined;
  /** Earliest start of the next try, epoch ms. */
  retryAt: number | undefined;
  /** Time at which the step ends by itself, epoch ms. */
  dueAt: number | undefined;
  readonly signal: string | undefined;
  /** Its next call has its part of the tenant's rates, and waits until there is room for it. */
  admitted?: { readonly taken?: TokensTaken } | undefined;
  /** Failed attempts before the step began: a step of an earlier era is inherited. */
  readonly era: number;
}

/** Era of a step begun by the task that this one redrives. */
export const REDRIVEN_ERA = -1;

/** Steps of a task and their outcomes. `rev` numbers the changes. */
export interface Journal {
  readonly steps: Map<string, StepEntry>;
  /** Signals without a waiting step, oldest first. */
  readonly mailbox: { readonly name: string; readonly payload: KeptJson; readonly bytes: number }[];
  /** Signal id to its use, bounded by the limits on steps and mailbox. */
  signalIds: Map<string, string> | undefined;
  rev: number;
  /** Size of all outcomes and the mailbox, as JSON. */
  bytes: number;
  mailBytes: number;
}

export interface Lease {
  readonly token: string;
  readonly workerId: string;
  expiresAt: number;
  /** Claimed ahead of a free slot; the run is not known to have begun. */
  prefetched: boolean;
}

/** Shared by all tasks without steps, which are most: read-only, see `ownJournal`. */
const EMPTY_JOURNAL: Journal = Object.freeze(newJournal());

function newJournal(): Journal {
  return { steps: new Map(), mailbox: [], signalIds: undefined, rev: 0, bytes: 0, mailBytes: 0 };
}

const NO_GROUPS: readonly never[] = Object.freeze([]);
const NO_CALLS: readonly CallEntry[] = Object.freeze([]);

/** Origin of a task that was not submitted on its own. */
export interface Origin {
  readonly batch?: BatchEntry;
  readonly redrivenFrom?: string;
  readonly seed?: string;
  readonly version?: number | undefined;
  readonly startedAt?: number;
}

/**
 * A task in memory. Every field exists from the start, and is set to `undefined` instead of deleted: V8 keeps
 * objects small and fast only while their shape stays the same.
 */
export class TaskEntry {
  readonly seed: string;
  readonly batch: BatchEntry | undefined;
  readonly redrivenFrom: string | undefined;
  /** Created with the first step. */
  journal: Journal = EMPTY_JOURNAL;
  /** Groups of the session and the batch that the task has joined. */
  groups: readonly ConcurrencyGroup<TaskEntry>[] = NO_GROUPS;
  state: TaskState = 'ready';
  /** Time of the last state change, epoch ms. */
  since: number;
  updatedAt: number;
  attempt = 0;
  lostLeases = 0;
  /** Attempts that ended with a retryable failure. */
  failures = 0;
  rev = 0;
  /** Priority in the ready queue: its own, or that of a more urgent task behind it in its session. */
  queuePriority: number;
  queued: ReadyQueue<TaskEntry> | undefined = undefined;
  /** Whether a released task becomes `woken` (it was parked before) or `ready`. */
  resumes = false;
  /** Journal revision up to which a run had replayed when it parked the task. */
  replayedTo = 0;
  /** Journal revision at the start of this attempt. */
  inherited = 0;
  lease: Lease | undefined = undefined;
  version: number | undefined;
  startedAt: number | undefined;
  dueAt: number | undefined = undefined;
  finishedAt: number | undefined = undefined;
  /** Id of the task created by a redrive of this one. */
  redrivenTo: string | undefined = undefined;
  cancelling: { readonly reason: string } | undefined = undefined;
  progress: Progress | undefined = undefined;
  tokens = 0;
  /** Tokens drawn from its budget, with those of child tasks; and what of it is reserved still. */
  drawnTokens = 0;
  reservedTokens = 0;
  result: KeptJson | undefined = undefined;
  error: TaskError | undefined = undefined;
  diagnostic: Diagnostic | undefined = undefined;

  readonly spec: Omit<NewTask, 'payload'>;
  payload: KeptJson;
  /** Calls of steps that the current attempt did not inherit. */
  dropped: readonly CallEntry[] = NO_CALLS;
  /** Size of payload, result and journal, as JSON. */
  bytes = 0;

  /** @param sequence order of submission; kept over retries and wake-ups. */
  constructor(
    readonly tenant: TenantState,
    { payload, ...spec }: NewTask,
    readonly createdAt: number,
    readonly sequence: number,
    origin: Origin,
  ) {
    this.spec = { ...spec, metadata: copyJson(spec.metadata as JsonObject) };
    this.payload = keepJson(payload, this);
    this.seed = origin.seed ?? spec.task_id;
    this.batch = origin.batch;
    this.redrivenFrom = origin.redrivenFrom;
    this.startedAt = origin.startedAt;
    this.version = origin.version;
    this.since = createdAt;
    this.updatedAt = createdAt;
    this.queuePriority = spec.priority;
  }

  charge(bytes: number): void {
    this.bytes += bytes;
    this.tenant.charge(bytes);
  }

  /** Drops all large values of a removed task, which its timers still refer to. */
  forget(): void {
    this.payload = null;
    this.journal = EMPTY_JOURNAL;
    this.dropped = NO_CALLS;
    this.result = undefined;
    this.error = undefined;
    this.diagnostic = undefined;
  }

  /** The journal for writing: replaces the shared empty one. */
  get ownJournal(): Journal {
    if (this.journal === EMPTY_JOURNAL) this.journal = newJournal();
    return this.journal;
  }
}
