import type { TaskError } from '../../protocol/errors.js';
import type { Message, Session } from '../../protocol/session.js';
import type { TaskStatus } from '../../protocol/task.js';
import type { TaskState } from '../../tasks/task-state.js';
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
  /** Tasks of the session that have not ended, those that run in parallel included. */
  readonly live = new Set<TaskEntry>();
  context: KeptJson;
  /** Of its context and its messages, as JSON. */
  bytes = 0;

  /** @param sequence rises with each session of the tenant. */
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

/** What is left of an item whose task is no longer kept. */
export interface GoneItem {
  readonly goneId: string;
  readonly state: TaskState;
}

export interface BatchEntry {
  readonly batchId: string;
  readonly createdAt: number;
  readonly failFast: boolean;
  readonly group: ConcurrencyGroup<TaskEntry>;
  /** By index: a task, or why there is none. */
  readonly items: (TaskEntry | GoneItem | TaskError)[];
  /** So many of the first items have no task that is still kept, as far as was looked. */
  passed: number;
}

export interface RememberedKey {
  readonly until: number;
  readonly fingerprint: string;
  readonly entry: TaskEntry | BatchEntry | SessionEntry;
}

/** Of a tenant that nothing was set for. */
export const DEFAULT_SETTINGS: TenantSettings = Object.freeze({ weight: 1, paused: false });

/** Everything of one tenant. In Redis all of it shares one slot. */
export class TenantState {
  readonly tasks = new Map<string, TaskEntry>();
  /** The same by sequence. */
  readonly tasksInOrder = new InOrder<TaskEntry>();
  /** Those that a worker holds: a few, which are asked for all the time. */
  readonly leased = new Map<string, TaskEntry>();
  readonly counts: Record<TaskStatus, number> = {
    pending: 0,
    processing: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
  };
  /** Ready and woken tasks, by who can run them; and how many they are. */
  readonly ready = new Map<string, ReadyQueue<TaskEntry>>();
  queued = 0;
  readonly calls = new Map<string, { readonly entry: TaskEntry; readonly call: CallEntry }>();
  readonly jobs = new Map<string, string>();
  /** How many calls of a service have not been answered yet. */
  readonly sending = new Map<string, number>();
  readonly held = new HeldReports();
  readonly sessions = new Map<string, SessionEntry>();
  readonly sessionsInOrder = new InOrder<SessionEntry>();
  sessionsMade = 0;
  readonly batches = new Map<string, BatchEntry>();
  /** Rises with each task that has to wait in a group: their order. */
  lined = 0;
  /** Sessions and batches whose tasks are being cancelled. */
  readonly cancellations = new Map<string, Cancellation>();
  readonly idempotency = new Map<string, RememberedKey>();
  readonly events: EventRing;
  settings: TenantSettings = DEFAULT_SETTINGS;
  /** Of what its tasks and sessions keep, as JSON. */
  storedBytes = 0;
  /** Tasks claimed so far: every tenth claim goes to whatever has waited longest. */
  claimed = 0;
  /** Virtual time of fair queueing, and whether the tenant stands in the rotation. */
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

  /** Whether anything was stored for it: to be asked about leaves no trace. */
  get isRegistered(): boolean {
    return this.events.seq > 0 || this.settings !== DEFAULT_SETTINGS;
  }

  /** Whether nothing is kept of it that could be asked for. The rotation admits go of it at the next claim. */
  get isEmpty(): boolean {
    const kept = [this.tasks, this.sessions, this.batches, this.idempotency];
    const { weight, paused, maxRunning } = this.settings;
    return (
      kept.every(({ size }) => size === 0) &&
      weight === DEFAULT_SETTINGS.weight &&
      !paused &&
      maxRunning === undefined &&
      this.held.isEmpty &&
      this.events.isEmpty
    );
  }

  /** How many more of its tasks may be leased. */
  get room(): number {
    if (this.settings.paused) return 0;
    return (this.settings.maxRunning ?? Number.POSITIVE_INFINITY) - this.leased.size;
  }
}

export function jobKey(service: string, jobId: string): string {
  return `${service}\n${jobId}`;
}
