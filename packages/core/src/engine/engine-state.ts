import type { Clock } from '../runtime/clock.js';
import { OrchestratorError, type TaskError } from '../protocol/errors.js';
import type { DEFAULTS } from '../protocol/settings.js';
import type { Random } from '../runtime/random.js';
import type { Wakeup } from '../storage/wakeups.js';
import type { Runnable } from '../storage/task-queue.js';
import { TimerQueue } from './timers/timer-queue.js';
import { Heap } from './timers/heap.js';
import type { TaskEntry } from './tasks/task-entry.js';
import { TenantDirectory } from './tenants/tenant-directory.js';
import { TenantState } from './tenants/tenant-state.js';
import { UsageBook } from './tenants/usage.js';

/** What the sweeper has to look at when its time has come. It looks again whether that is still so. */
export type TaskTimer = 'start' | 'deadline' | 'lease' | 'grace' | 'retention';
export type OtherTimer = 'step' | 'batch' | 'idempotency' | 'held' | 'session' | 'cancel';

/** What a timer is about that is not about a task as a whole. */
export interface TimerTarget {
  readonly tenantId: string;
  /** Of the task, the batch, the key, the frame, the session or the cancellation. */
  readonly id: string;
  /** For `step`: its key. */
  readonly step?: string;
}

export type MemoryLimits = { readonly [K in keyof typeof DEFAULTS]: number };

export interface WorkerState {
  runs: readonly Runnable[];
  /** `runs` by type. */
  runnables: ReadonlyMap<string, Runnable>;
  seenAt: number;
  /** Unless it is announced again until then, it is dead. 0: it was never announced. */
  aliveUntil: number;
  /** By claimSlot. */
  readonly lastClaims: Map<string, { readonly claimId: string; readonly claims: readonly unknown[] }>;
  /** The one task it runs that has lost several leases before. */
  suspect: string | undefined;
}

/**
 * How far outcomes may exceed what all tenants together may store. Beyond it small ones are kept, and those of tenants that hold
 * less than their share: an equal part of another quarter, so that all is at most half more than the limit. With equal parts of
 * the limit itself it would be more than twice the limit, which is half of the heap.
 */
const MOST_WITH_OUTCOMES = 1.25;
const SHARED_OUT = 0.25;
const ALWAYS_KEPT_BYTES = 1_024;

/** Why an outcome is not kept that the process has no room for. */
export function noRoomError(): TaskError {
  const message = 'the storage in memory is full: expected room for the outcome, got none';
  return { code: 'result_too_large', message, retryable: false };
}

/** What all parts of the memory storage share. Every change happens in one synchronous piece of code. */
export class MemoryState {
  readonly tenants = new TenantDirectory();
  readonly timers = new TimerQueue<TaskTimer | OtherTimer, TaskEntry | TimerTarget>();
  readonly rotation = new Heap<TenantState>((a, b) => a.virtualTime < b.virtualTime);
  readonly workers = new Map<string, WorkerState>();
  readonly usage: UsageBook;
  /** By all tenants. */
  readonly #stored = { bytes: 0 };
  readonly announced = new Map<string, { readonly at: number; readonly run: Runnable }>();
  readonly #listeners = new Set<(wakeup: Wakeup) => void>();
  readonly #epoch: string;
  virtualTime = 0;
  closed = false;

  constructor(
    readonly clock: Clock,
    readonly random: Random,
    readonly limits: MemoryLimits,
  ) {
    this.usage = new UsageBook(limits);
    this.#epoch = random.uuid().replaceAll('-', '').slice(0, 12);
  }

  now(): number {
    return this.clock.now();
  }

  /** @throws {OrchestratorError} `storage_unavailable` once it is closed. */
  checkOpen(): void {
    if (this.closed) throw new OrchestratorError('storage_unavailable', 'the storage is closed');
  }

  /** The tenant's state, for what changes it: made when there is none. */
  tenant(tenantId: string): TenantState {
    const tenant = this.lookUp(tenantId);
    this.tenants.add(tenant);
    return tenant;
  }

  /** The same for what only reads: to be asked about leaves no trace of a tenant. */
  lookUp(tenantId: string): TenantState {
    this.checkOpen();
    const known = this.tenants.get(tenantId);
    if (known) return known;
    const log = this.tenants.logOf(tenantId);
    const epoch = log === 0 ? this.#epoch : `${this.#epoch}${log.toString(36)}`;
    return new TenantState(tenantId, epoch, this.#stored);
  }

  /** Whether the tenant may store no more. What is taken on while there is room may exceed it, by one request. */
  holdsTooMuch(tenant: TenantState): boolean {
    const { maxStoredBytes, maxStoredBytesInAll } = this.limits;
    return tenant.storedBytes >= maxStoredBytes || this.#stored.bytes >= maxStoredBytesInAll;
  }

  /**
   * Whether an outcome of so many bytes is kept no more: what was taken on may have results far larger than itself, and the
   * process with all that it keeps must not end for them. What others store is no reason to refuse that of a tenant which, with
   * it, holds no more than its share. Shares have a sum: while the limit is exceeded no tenant comes to have tasks.
   */
  hasNoRoomFor(tenant: TenantState, bytes: number): boolean {
    if (bytes <= ALWAYS_KEPT_BYTES) return false;
    const { maxStoredBytesInAll } = this.limits;
    if (this.#stored.bytes + bytes <= maxStoredBytesInAll * MOST_WITH_OUTCOMES) return false;
    return tenant.storedBytes + bytes > (maxStoredBytesInAll * SHARED_OUT) / this.tenants.size;
  }

  /**
   * Looks at the next `max` tenants, and drops those of which nothing is kept any more. One that comes back begins a new
   * log, so its epoch is a new one.
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

  /** Forgets types that no worker has announced for so long that their tasks are refused. */
  forgetTypes(now: number): void {
    for (const [type, { at }] of this.announced)
      if (now - at > this.limits.unknownWorkflowAfterMs) this.announced.delete(type);
  }

  /** A worker that was heard of before or not, with what it runs now. */
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
    if (worker.runs !== runs) {
      worker.runs = runs;
      worker.runnables = new Map(runs.map((run) => [run.type, run]));
    }
    return worker;
  }

  /** Forgets workers that were not announced again in time. */
  buryWorkers(now: number): void {
    for (const [workerId, { aliveUntil }] of this.workers)
      if (aliveUntil > 0 && aliveUntil <= now) this.workers.delete(workerId);
  }

  subscribe(listener: (wakeup: Wakeup) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(wakeup: Wakeup): void {
    for (const listener of this.#listeners) listener(wakeup);
  }

  schedule(kind: TaskTimer, at: number, what: TaskEntry): void;
  schedule(kind: OtherTimer, at: number, what: TimerTarget): void;
  schedule(kind: TaskTimer | OtherTimer, at: number, what: TaskEntry | TimerTarget): void {
    const isFirst = at < this.timers.earliest;
    this.timers.push(kind, at, what);
    if (isFirst) this.publish({ kind: 'timer', at });
  }
}
