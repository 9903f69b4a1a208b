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

export type MemoryLimits = { readonly [K in keyof typeof DEFAULTS]: number };

export interface WorkerState {
  runs: readonly Runnable[];
  /** `runs` by type. */
  runnables: ReadonlyMap<string, Runnable>;
  seenAt: number;
  /** End of the heartbeat, epoch ms. 0: never announced. */
  aliveUntil: number;
  /** By claim slot. */
  readonly lastClaims: Map<string, { readonly claimId: string; readonly claims: readonly unknown[] }>;
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

/** State shared by all parts of the engine. Every change happens in one synchronous piece of code. */
export class MemoryState {
  readonly tenants = new TenantDirectory();
  readonly timers = new TimerQueue<TaskTimer | OtherTimer, TaskEntry | TimerTarget>();
  readonly rotation = new Heap<TenantState>((a, b) => a.virtualTime < b.virtualTime);
  readonly workers = new Map<string, WorkerState>();
  readonly usage: UsageBook;
  /** Sum over all tenants. */
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

  /** @throws {OrchestratorError} `storage_unavailable` after `close`. */
  checkOpen(): void {
    if (this.closed) throw new OrchestratorError('storage_unavailable', 'the storage is closed');
  }

  /** State of the tenant for a write; created on first use. */
  tenant(tenantId: string): TenantState {
    const tenant = this.lookUp(tenantId);
    this.tenants.add(tenant);
    return tenant;
  }

  /** State of the tenant for a read: creates nothing. */
  lookUp(tenantId: string): TenantState {
    this.checkOpen();
    const known = this.tenants.get(tenantId);
    if (known) return known;
    const log = this.tenants.logOf(tenantId);
    const epoch = log === 0 ? this.#epoch : `${this.#epoch}${log.toString(36)}`;
    return new TenantState(tenantId, epoch, this.#stored);
  }

  /** Whether the tenant may store no more. A request accepted below the limit may exceed it once. */
  holdsTooMuch(tenant: TenantState): boolean {
    const { maxStoredBytes, maxStoredBytesInAll } = this.limits;
    return tenant.storedBytes >= maxStoredBytes || this.#stored.bytes >= maxStoredBytesInAll;
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
    if (this.#stored.bytes + bytes <= maxStoredBytesInAll * MOST_WITH_OUTCOMES) return false;
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
    if (worker.runs !== runs) {
      worker.runs = runs;
      worker.runnables = new Map(runs.map((run) => [run.type, run]));
    }
    return worker;
  }

  /** Removes workers whose heartbeat has expired. */
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
