import type { TaskError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import { type PublishSystemEventParams, storageEvents } from '../storage/system-events.js';
import type { Wakeup } from '../storage/wakeups.js';
import type { Runnable } from '../storage/task-queue.js';
import { CacheBook } from './cache/cache-book.js';
import { TimerQueue } from './timers/timer-queue.js';
import { Heap } from './timers/heap.js';
import type { LoggedEvent } from './events/event-ring.js';
import type { TaskEntry } from './tasks/task-entry.js';
import { TenantDirectory } from './tenants/tenant-directory.js';
import { TenantState } from './tenants/tenant-state.js';
import { TicketBook } from './tenants/tickets.js';
import { UsageBook } from './tenants/usage-book.js';

/**
 * Timers of a task as a whole. The sweeper checks each again when it fires: the task may have changed since.
 */
export type TaskTimer = 'start' | 'deadline' | 'lease' | 'grace' | 'retention';
export type OtherTimer = 'step' | 'batch' | 'idempotency' | 'held' | 'session' | 'cancel';

/** Subject of a timer that is not about a task as a whole. */
export interface TimerTarget {
  readonly tenantId: string;
  /** Id of the task (`step`), batch, idempotency key, held report, session or cancellation. */
  readonly id: string;
  /** Key of the step, for `step` only. */
  readonly step?: string;
}

export type EngineLimits = { readonly [K in keyof typeof DEFAULTS]: number };

/** JSON that the commands of an engine depend on: the head of their log. */
export interface EngineSettings {
  /** Epoch of the event logs. */
  readonly epoch: string;
  readonly limits: EngineLimits;
}

/** The last claim of a slot: repeated, it returns the same tasks. */
export interface LastClaim {
  readonly claimId: string;
  readonly taken: readonly TaskEntry[];
}

export interface WorkerState {
  runs: readonly Runnable[];
  /** `runs` by type. */
  runnables: ReadonlyMap<string, Runnable>;
  seenAt: number;
  /** End of the heartbeat, epoch ms. 0: never announced. */
  aliveUntil: number;
  /** By claim slot. */
  readonly lastClaims: Map<string, LastClaim>;
  /** Id of the one running task that has lost several leases before. */
  suspect: string | undefined;
}

/**
 * Overdraft for outcomes, as a factor of `maxStoredBytesInAll`. Beyond it small outcomes are kept, and those
 * of tenants below their share: an equal part of `SHARED_OUT` of the limit, so that the sum stays below 1.5
 * times the limit. Equal parts of the whole limit would allow 2.25 times, which is more than the heap.
 */
const MOST_WITH_OUTCOMES = 1.25;
const SHARED_OUT = 0.25;
const ALWAYS_KEPT_BYTES = 1_024;

/** Error of an outcome that is dropped for want of memory. */
export function noRoomError(): TaskError {
  const message = 'the storage in memory is full: expected room for the outcome, got none';
  return { code: 'result_too_large', message, retryable: false };
}

/** Effects of a command outside of the state, to be delivered after it. */
export interface Effects {
  readonly wakeups: readonly Wakeup[];
  /** Followed tenants with new events. */
  readonly news: ReadonlySet<string>;
  /** For operators. */
  readonly systemEvents: readonly PublishSystemEventParams[];
}

const NO_EFFECTS: Effects = { wakeups: [], news: new Set(), systemEvents: [] };

/**
 * State shared by all parts of the engine: a function of the settings and the commands so far. Time and random numbers are
 * those of the current command. No field of the state is `#private`: it can be read as a whole, such as by a snapshot.
 */
export class EngineState {
  readonly tenants = new TenantDirectory();
  readonly timers = new TimerQueue<TaskTimer | OtherTimer, TaskEntry | TimerTarget>();
  readonly rotation = new Heap<TenantState>((a, b) => a.virtualTime < b.virtualTime);
  readonly workers = new Map<string, WorkerState>();
  readonly usage: UsageBook;
  readonly tickets = new TicketBook();
  readonly cache = new CacheBook();
  /** Sum over all tenants. */
  private readonly stored = { bytes: 0 };
  readonly announced = new Map<string, { readonly at: number; readonly run: Runnable }>();
  virtualTime = 0;
  readonly limits: EngineLimits;
  private epoch: string;
  /** Time and seed of the current command or read: no state. */
  #at = 0;
  #seed: string | undefined;
  /** Effects of the current command. */
  private wakeups: Wakeup[] = [];
  private news = new Set<string>();
  private systemEvents: PublishSystemEventParams[] = [];

  constructor({ epoch, limits }: EngineSettings) {
    // Those of an older log lack what was added since.
    this.limits = { ...DEFAULTS, ...limits };
    this.usage = new UsageBook(this.limits);
    this.epoch = epoch;
  }

  /** Begins a command or a read. */
  begin(at: number, seed?: string): void {
    this.#at = at;
    this.#seed = seed;
  }

  /** Time of the current command or read, epoch ms. */
  now(): number {
    return this.#at;
  }

  /** An id made of the seed of the current command. */
  seededId(): string {
    if (this.#seed === undefined) throw new Error('the command has no seed');
    return this.#seed;
  }

  takeEffects(): Effects {
    const { wakeups, news, systemEvents } = this;
    if (wakeups.length === 0 && news.size === 0 && systemEvents.length === 0) return NO_EFFECTS;
    this.wakeups = [];
    if (news.size > 0) this.news = new Set();
    if (systemEvents.length > 0) this.systemEvents = [];
    return { wakeups, news, systemEvents };
  }

  /** State of the tenant for a write; created on first use. */
  tenant(tenantId: string): TenantState {
    const tenant = this.lookUp(tenantId);
    this.tenants.add(tenant);
    return tenant;
  }

  /** State of the tenant for a read: creates nothing. */
  lookUp(tenantId: string): TenantState {
    const known = this.tenants.get(tenantId);
    if (known) return known;
    return new TenantState(tenantId, this.epochOf(tenantId), this.stored);
  }

  /** Gives every event log a new epoch: readers get a gap. */
  renewEpoch(epoch: string): void {
    this.epoch = epoch;
    for (const { tenantId, events } of this.tenants.after(undefined)) events.renew(this.epochOf(tenantId));
  }

  private epochOf(tenantId: string): string {
    const log = this.tenants.logOf(tenantId);
    return log === 0 ? this.epoch : `${this.epoch}${log.toString(36)}`;
  }

  /** Whether the tenant may store no more. A request accepted below the limit may exceed it once. */
  holdsTooMuch(tenant: TenantState): boolean {
    const { maxStoredBytes, maxStoredBytesInAll } = this.limits;
    return (
      tenant.storedBytes >= (tenant.settings.maxStoredBytes ?? maxStoredBytes) ||
      this.stored.bytes >= maxStoredBytesInAll
    );
  }

  /**
   * Whether an outcome of `bytes` has to be dropped: results may be far larger than the payloads accepted for
   * them, and must not end the process. Other tenants' data is no reason to drop the outcome of a tenant
   * below its share. The shares have a fixed sum, since no tenant gets its first task while the limit is
   * exceeded.
   */
  hasNoRoomFor(tenant: TenantState, bytes: number): boolean {
    if (bytes <= ALWAYS_KEPT_BYTES) return false;
    const { maxStoredBytesInAll } = this.limits;
    if (this.stored.bytes + bytes <= maxStoredBytesInAll * MOST_WITH_OUTCOMES) return false;
    return tenant.storedBytes + bytes > (maxStoredBytesInAll * SHARED_OUT) / this.tenants.size;
  }

  /**
   * Checks the next `max` tenants and drops the empty ones. A tenant that returns starts a new log with a new
   * epoch.
   */
  dropIdle(max: number): void {
    const { maxEventAgeMs } = this.limits;
    for (let scanned = 0; scanned < max; scanned += 1) {
      const tenant = this.tenants.next();
      if (!tenant) return;
      tenant.events.trim(this.limits, this.now() - maxEventAgeMs);
      if (tenant.isEmpty) this.tenants.drop(tenant);
    }
  }

  /**
   * Forgets types without an announcement for `unknownWorkflowAfterMs`: their tasks are refused from then on.
   */
  forgetTypes(now: number): void {
    for (const [type, { at }] of this.announced)
      if (now - at > this.limits.unknownWorkflowAfterMs) this.announced.delete(type);
  }

  /** The worker's entry, created on first use, with the types it runs now. */
  worker(workerId: string, runs: readonly Runnable[]): WorkerState {
    let worker = this.workers.get(workerId);
    if (!worker) {
      worker = {
        runs: [],
        runnables: new Map(),
        seenAt: this.now(),
        aliveUntil: 0,
        lastClaims: new Map(),
        suspect: undefined,
      };
      this.workers.set(workerId, worker);
    }
    if (!haveSameRuns(worker.runs, runs)) {
      worker.runs = structuredClone(runs);
      worker.runnables = new Map(worker.runs.map((run) => [run.type, run]));
    }
    return worker;
  }

  /** Removes workers whose heartbeat has expired. */
  buryWorkers(now: number): void {
    for (const [workerId, { aliveUntil }] of this.workers) {
      if (aliveUntil === 0 || aliveUntil > now) continue;
      this.workers.delete(workerId);
      this.publishSystemEvent(storageEvents.workerLost(workerId));
    }
  }

  /** Appends an event to the tenant's log. */
  log({ tenantId, events }: TenantState, event: LoggedEvent): void {
    events.append(event);
    if (events.followers > 0) this.news.add(tenantId);
  }

  publish(wakeup: Wakeup): void {
    // A batch makes a thousand tasks ready: one hint is enough.
    if (wakeup !== this.wakeups.at(-1)) this.wakeups.push(wakeup);
  }

  publishSystemEvent(event: PublishSystemEventParams): void {
    this.systemEvents.push(event);
  }

  schedule(kind: TaskTimer, at: number, what: TaskEntry): void;
  schedule(kind: OtherTimer, at: number, what: TimerTarget): void;
  schedule(kind: TaskTimer | OtherTimer, at: number, what: TaskEntry | TimerTarget): void {
    const isFirst = at < this.timers.earliest;
    this.timers.push(kind, at, what);
    if (isFirst) this.publish({ kind: 'timer', at });
  }
}

/** By value: a worker may pass the same list, changed. */
function haveSameRuns(some: readonly Runnable[], others: readonly Runnable[]): boolean {
  return some.length === others.length && some.every((run, at) => isSameRun(run, others[at] as Runnable));
}

function isSameRun(run: Runnable, other: Runnable): boolean {
  return (
    run.type === other.type &&
    run.timeoutMs === other.timeoutMs &&
    run.maxAttempts === other.maxAttempts &&
    run.versions.length === other.versions.length &&
    run.versions.every((version, at) => version === other.versions[at])
  );
}
