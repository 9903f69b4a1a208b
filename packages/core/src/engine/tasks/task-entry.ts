import { keepJson, type KeptJson } from '../kept-json.js';
import type { TaskError } from '../../protocol/errors.js';
import type { Progress } from '../../protocol/task.js';
import type { Diagnostic } from '../../protocol/thrown.js';
import type { StepKind, StepOutcome } from '../../storage/call-journal.js';
import type { NewTask } from '../../storage/task-records.js';
import type { TaskState } from '../../tasks/task-state.js';
import type { ConcurrencyGroup } from '../queue/concurrency-group.js';
import type { ReadyQueue } from '../queue/ready-queue.js';
import type { BatchEntry, TenantState } from '../tenants/tenant-state.js';

/** An outcome as it is kept. */
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
  /** `sending` until the service answers; `waiting` for the notification of a job. */
  state: 'sending' | 'waiting' | 'ended';
  jobId?: string;
  /** While waiting: when the silence is too long. */
  silentAt?: number;
  ok?: boolean;
  /** To tell a repeated outcome from a different one. */
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
  /** Of the outcome as JSON. */
  outcomeBytes: number;
  endedAt: number | undefined;
  /** The next try may begin then. */
  retryAt: number | undefined;
  /** It ends by itself then. */
  dueAt: number | undefined;
  readonly signal: string | undefined;
  /** How many attempts had failed when it was begun: what was begun before the last of them is inherited. */
  readonly era: number;
}

/** Begun by another task, whose journal this one takes over. */
export const REDRIVEN_ERA = -1;

/** What a task's workflow asked for, and what came of it. `rev` numbers the changes. */
export interface Journal {
  readonly steps: Map<string, StepEntry>;
  /** Signals that nobody has asked for yet, oldest first. */
  readonly mailbox: { readonly name: string; readonly payload: KeptJson; readonly bytes: number }[];
  /** By id, of all signals that were taken, what it was used for: as many as there are steps, and the mailbox, have room for. */
  signalIds: Map<string, string> | undefined;
  rev: number;
  /** Of all outcomes, and of the mailbox, as JSON. */
  bytes: number;
  mailBytes: number;
}

export interface Lease {
  readonly token: string;
  readonly workerId: string;
  expiresAt: number;
  /** Its run has not begun, as far as is known. */
  prefetched: boolean;
}

/** Shared by all tasks that have not asked for anything, which are most: only read, see `ownJournal`. */
const EMPTY_JOURNAL: Journal = Object.freeze(newJournal());

function newJournal(): Journal {
  return { steps: new Map(), mailbox: [], signalIds: undefined, rev: 0, bytes: 0, mailBytes: 0 };
}

const NO_GROUPS: readonly never[] = Object.freeze([]);
const NO_CALLS: readonly CallEntry[] = Object.freeze([]);

/** Where a task comes from, if it is not simply submitted. */
export interface Origin {
  readonly batch?: BatchEntry;
  readonly redrivenFrom?: string;
  readonly seed?: string;
  readonly version?: number | undefined;
  readonly startedAt?: number;
}

/**
 * A task in memory. Every field is there from the start, and what ends is set to `undefined`, never deleted: there are
 * very many of these, and V8 keeps objects small and fast only while their shape stays the same.
 */
export class TaskEntry {
  readonly seed: string;
  readonly batch: BatchEntry | undefined;
  readonly redrivenFrom: string | undefined;
  /** What its workflow has asked for; made when the first thing is. */
  journal: Journal = EMPTY_JOURNAL;
  /** The session's and the batch's group, as far as it stands in them. */
  groups: readonly ConcurrencyGroup<TaskEntry>[] = NO_GROUPS;
  state: TaskState = 'ready';
  /** Since when it is in `state`. */
  since: number;
  updatedAt: number;
  attempt = 0;
  lostLeases = 0;
  /** Attempts that ended by a failure which may be tried again. */
  failures = 0;
  rev = 0;
  /** The priority it is queued with: its own, or that of a more urgent task behind it in its session. */
  queuePriority: number;
  queued: ReadyQueue<TaskEntry> | undefined = undefined;
  /** A task that was parked and then given back is woken, not new. */
  resumes = false;
  /** The journal's last change that a run had dealt with when it parked the task. */
  replayedTo = 0;
  /** The journal's last change before this attempt began. */
  inherited = 0;
  lease: Lease | undefined = undefined;
  version: number | undefined;
  startedAt: number | undefined;
  dueAt: number | undefined = undefined;
  finishedAt: number | undefined = undefined;
  /** The task that has taken its sequence. */
  redrivenTo: string | undefined = undefined;
  cancelling: { readonly reason: string } | undefined = undefined;
  progress: Progress | undefined = undefined;
  tokens = 0;
  result: KeptJson | undefined = undefined;
  error: TaskError | undefined = undefined;
  diagnostic: Diagnostic | undefined = undefined;

  readonly spec: Omit<NewTask, 'payload'>;
  readonly payload: KeptJson;
  /** Calls of steps that a new attempt has not inherited. */
  dropped: readonly CallEntry[] = NO_CALLS;
  /** Of its payload, its result and its journal, as JSON. */
  bytes = 0;

  /** @param sequence in group: rises with each submission, kept over retries and wake-ups. */
  constructor(
    readonly tenant: TenantState,
    { payload, ...spec }: NewTask,
    readonly createdAt: number,
    readonly sequence: number,
    origin: Origin,
  ) {
    this.spec = { ...spec, metadata: { ...spec.metadata } };
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

  /** The journal, to write in. */
  get ownJournal(): Journal {
    if (this.journal === EMPTY_JOURNAL) this.journal = newJournal();
    return this.journal;
  }
}
