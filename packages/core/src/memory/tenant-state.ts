import type { TaskError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import type { Message, Session } from '../protocol/session.js';
import type { Progress, TaskStatus } from '../protocol/task.js';
import type { Report, ReportAnswer, StepKind, StepOutcome } from '../storage/call-journal.js';
import type { NewTask } from '../storage/task-records.js';
import type { UsageRow } from '../storage/usage-ledger.js';
import type { TaskState } from '../tasks/task-state.js';
import { EventRing } from './event-ring.js';
import type { Line } from './line.js';
import type { ReadyLanes } from './ready-lanes.js';

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
  outcomeHash?: string;
  lastSeq?: number;
  seenMessages?: Set<string>;
}

export interface StepEntry {
  readonly key: string;
  readonly kind: StepKind;
  readonly name: string;
  readonly maxTries: number;
  readonly calls: CallEntry[];
  changed: number;
  outcome?: StepOutcome;
  endedAt?: number;
  /** The next try may begin then. */
  retryAt?: number;
  /** It ends by itself then. */
  dueAt?: number;
  signal?: string;
}

/** What a task's workflow asked for, and what came of it. `changed` numbers the changes. */
export interface Journal {
  readonly steps: Map<string, StepEntry>;
  /** Signals that nobody has asked for yet, oldest first. */
  readonly mailbox: { readonly name: string; readonly payload: JsonValue }[];
  changed: number;
}

export interface Lease {
  readonly token: string;
  readonly workerId: string;
  expiresAt: number;
}

export interface TaskEntry {
  readonly spec: NewTask;
  readonly createdAt: number;
  readonly deadlineAt: number;
  /** Place in line: rises with each submission, kept over retries and wake-ups. */
  readonly place: number;
  readonly seed: string;
  readonly batch?: BatchEntry;
  readonly redrivenFrom?: string;
  readonly journal: Journal;
  /** The session's and the batch's line, as far as it stands in them. */
  readonly lines: Line<TaskEntry>[];
  state: TaskState;
  /** Since when it is in `state`. */
  since: number;
  updatedAt: number;
  attempt: number;
  lostLeases: number;
  rev: number;
  /** The priority it is queued with: its own, or that of a more urgent task behind it in its session. */
  lane: number;
  queued?: ReadyLanes<TaskEntry>;
  /** A task that was parked and then given back is woken, not new. */
  resumes: boolean;
  /** The journal's last change that a run had dealt with when it parked the task. */
  shown: number;
  lease?: Lease;
  version?: number;
  startedAt?: number;
  dueAt?: number;
  finishedAt?: number;
  cancelling?: { readonly reason: string };
  progress?: Progress;
  tokens: number;
  result?: JsonValue;
  error?: TaskError;
}

export interface SessionEntry {
  session: Session;
  readonly messages: Message[];
  readonly messageIds: Set<string>;
  readonly line: Line<TaskEntry>;
  /** Tasks of the session that have not ended, those that run in parallel included. */
  readonly live: Set<TaskEntry>;
}

export interface BatchEntry {
  readonly batchId: string;
  readonly createdAt: number;
  readonly failFast: boolean;
  readonly line: Line<TaskEntry>;
  /** By index: a task, or why there is none. */
  readonly items: (TaskEntry | TaskError)[];
}

export interface HeldReport {
  readonly report: Report;
  answer: ReportAnswer;
}

export interface RememberedKey {
  readonly fingerprint: string;
  readonly entry: TaskEntry | BatchEntry;
}

/** Everything of one tenant. In Redis all of it shares one slot. */
export class TenantState {
  readonly tasks = new Map<string, TaskEntry>();
  readonly counts: Record<TaskStatus, number> = {
    pending: 0,
    processing: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
  };
  /** Ready tasks by who can run them, see `groupOf`. */
  readonly ready = new Map<string, ReadyLanes<TaskEntry>>();
  readonly calls = new Map<string, { readonly entry: TaskEntry; readonly call: CallEntry }>();
  readonly jobs = new Map<string, string>();
  /** How many calls of a service have not been answered yet. */
  readonly sending = new Map<string, number>();
  readonly held = new Map<string, HeldReport>();
  readonly sessions = new Map<string, SessionEntry>();
  readonly batches = new Map<string, BatchEntry>();
  readonly idempotency = new Map<string, RememberedKey>();
  readonly usage = new Map<string, UsageRow>();
  readonly usageIds = new Set<string>();
  readonly events: EventRing;
  /** Tasks claimed so far: every tenth claim goes to whatever has waited longest. */
  claimed = 0;
  /** Virtual time of fair queueing, and whether the tenant stands in the rotation. */
  virtualTime = 0;
  inRotation = false;

  constructor(
    readonly tenantId: string,
    epoch: string,
  ) {
    this.events = new EventRing(epoch);
  }
}

export function jobKey(service: string, jobId: string): string {
  return `${service}\n${jobId}`;
}
