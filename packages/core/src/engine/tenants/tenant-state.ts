import type { TaskError } from '../../protocol/errors.js';
import type { Message, Session } from '../../protocol/session.js';
import type { TaskStatus } from '../../protocol/task.js';
import type { Bucket } from '../../storage/bucket.js';
import type { TokensTaken } from './call-rates.js';
import type { TaskState } from '../../protocol/task-state.js';
import type { TenantSettings } from '../../storage/tenant-store.js';
import type { Cancellation } from '../tasks/cancellations.js';
import { EventRing } from '../events/event-ring.js';
import { HeldReports } from '../journal/held-reports.js';
import { InOrder } from '../in-order.js';
import { type BytesOwner, bytesOf, keepJson, type KeptJson } from '../kept-json.js';
import { ConcurrencyGroup } from '../queue/concurrency-group.js';
import type { ReadyQueue } from '../queue/ready-queue.js';
import type { CallEntry, TaskEntry } from '../tasks/task-entry.js';

export class SessionEntry implements BytesOwner {
  readonly messages: Message[] = [];
  readonly messageIds = new Set<string>();
  readonly group = new ConcurrencyGroup<TaskEntry>(1, true);
  /** Tasks of the session without a final state, parallel ones included. */
  readonly live = new Set<TaskEntry>();
  context: KeptJson;
  /** Size of context and messages, as JSON. */
  bytes = 0;

  /** @param sequence order of creation within the tenant. */
  constructor(
    private readonly tenant: TenantState,
    readonly sequence: number,
    public session: Omit<Session, 'context'>,
    context: KeptJson,
  ) {
    this.context = keepJson(context, this);
  }

  charge(bytes: number): void {
    this.bytes += bytes;
    this.tenant.charge(bytes);
  }

  putContext(context: KeptJson): void {
    this.charge(-bytesOf(this.context));
    this.context = keepJson(context, this);
  }
}

/** What remains of an item after its task was removed. */
interface GoneItem {
  readonly goneId: string;
  readonly state: TaskState;
}

export interface BatchEntry {
  readonly batchId: string;
  readonly createdAt: number;
  readonly failFast: boolean;
  readonly group: ConcurrencyGroup<TaskEntry>;
  /** By index: a task, what remains of it, or the error of an item without one. */
  readonly items: (TaskEntry | GoneItem | TaskError)[];
  /** Number of leading items known to have no stored task. */
  passed: number;
}

export interface RememberedKey {
  readonly until: number;
  readonly fingerprint: string;
  readonly entry: TaskEntry | BatchEntry | SessionEntry;
}

/** Settings of a tenant without its own. */
export const DEFAULT_SETTINGS: TenantSettings = Object.freeze({ weight: 1, paused: false });

/** Whether a tenant has no setting of its own. */
export function areDefault({ weight, paused, ...limits }: TenantSettings): boolean {
  return (
    weight === DEFAULT_SETTINGS.weight &&
    !paused &&
    Object.values(limits).every((setting) => setting === undefined)
  );
}

/** All state of one tenant. On Redis all of it shares a slot. */
export class TenantState {
  readonly tasks = new Map<string, TaskEntry>();
  /** The same tasks by sequence. */
  readonly tasksInOrder = new InOrder<TaskEntry>();
  /** Leased tasks by id: few, and looked up constantly. */
  readonly leased = new Map<string, TaskEntry>();
  readonly counts: Record<TaskStatus, number> = {
    pending: 0,
    processing: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
  };
  /** Ready and woken tasks by group key; and their number. */
  readonly ready = new Map<string, ReadyQueue<TaskEntry>>();
  queued = 0;
  readonly calls = new Map<string, { readonly entry: TaskEntry; readonly call: CallEntry }>();
  readonly jobs = new Map<string, string>();
  /** Unanswered calls by service. */
  readonly sending = new Map<string, number>();
  readonly held = new HeldReports();
  readonly sessions = new Map<string, SessionEntry>();
  readonly sessionsInOrder = new InOrder<SessionEntry>();
  sessionsMade = 0;
  readonly batches = new Map<string, BatchEntry>();
  /** Grows with each member that has to wait in a group: its order. */
  lined = 0;
  /** Sessions and batches with a cancellation in progress. */
  readonly cancellations = new Map<string, Cancellation>();
  readonly idempotency = new Map<string, RememberedKey>();
  readonly events: EventRing;
  settings: TenantSettings = DEFAULT_SETTINGS;
  /** Size of tasks and sessions, as JSON. */
  storedBytes = 0;
  /** Sum of the tokens that live tasks have reserved. */
  reservedTokens = 0;
  /** Used parts of the rates of its calls and tokens. */
  readonly rateBuckets = new Map<string, Bucket & { readonly perMinute: number }>();
  /** Of operations, while its tokens have a rate. */
  readonly lastUsage = new Map<string, TokensTaken>();
  /** Tasks claimed so far: every tenth claim takes the oldest ready task. */
  claimed = 0;
  /** Virtual time of weighted fair queueing; whether the tenant is in the rotation. */
  virtualTime = 0;
  inRotation = false;

  constructor(
    readonly tenantId: string,
    epoch: string,
    private readonly storedInAll = { bytes: 0 },
  ) {
    this.events = new EventRing(tenantId, epoch);
  }

  charge(bytes: number): void {
    this.storedBytes += bytes;
    this.storedInAll.bytes += bytes;
  }

  /** Whether any state was stored: reads leave no trace. */
  get isRegistered(): boolean {
    return this.events.seq > 0 || this.settings !== DEFAULT_SETTINGS;
  }

  /** Whether no readable state is left. The rotation drops the tenant at the next claim. */
  get isEmpty(): boolean {
    const kept = [this.tasks, this.sessions, this.batches, this.idempotency];
    return (
      kept.every(({ size }) => size === 0) &&
      areDefault(this.settings) &&
      this.held.isEmpty &&
      this.events.isEmpty
    );
  }

  /** Number of further tasks that may be leased. */
  get room(): number {
    if (this.settings.paused) return 0;
    return (this.settings.maxRunning ?? Number.POSITIVE_INFINITY) - this.leased.size;
  }
}

/** Whether a name is on the tenant's list; without a list every name is. */
export function mayUse(list: readonly string[] | undefined, name: string): boolean {
  return list?.includes(name) ?? true;
}

export function jobKey(service: string, jobId: string): string {
  return `${service}\n${jobId}`;
}
