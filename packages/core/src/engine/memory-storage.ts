import { getHeapStatistics } from 'node:v8';
import { type Clock, systemClock } from '../runtime/clock.js';
import { DEFAULTS } from '../protocol/settings.js';
import { type Random, systemRandom } from '../runtime/random.js';
import type { Wakeups } from '../storage/wakeups.js';
import type { CallJournal } from '../storage/call-journal.js';
import { checked, type StoragePorts } from '../storage/checked-storage.js';
import type { EventLog } from '../storage/event-log.js';
import type { SessionStore } from '../storage/session-store.js';
import type { TaskQueue } from '../storage/task-queue.js';
import type { TaskRecords } from '../storage/task-records.js';
import type { TenantStore } from '../storage/tenant-store.js';
import type { TicketStore } from '../storage/ticket-store.js';
import type { UsageLedger } from '../storage/usage-ledger.js';
import type { WorkerDirectory } from '../storage/worker-directory.js';
import type { Storage } from '../storage/storage.js';
import { MemoryCallJournal } from './journal/call-journal.js';
import { CallOutcomes } from './journal/call-outcomes.js';
import { MemoryEventLog } from './events/event-log.js';
import { type MemoryLimits, MemoryState } from './engine-state.js';
import { MemorySessions } from './sessions/sessions.js';
import { Submissions } from './tasks/submissions.js';
import { Sweep } from './timers/sweep.js';
import { TaskLife } from './tasks/task-life.js';
import { MemoryTaskQueue } from './queue/task-queue.js';
import { MemoryTaskRecords } from './tasks/task-records.js';
import { MemoryTenants } from './tenants/tenants.js';
import { MemoryTickets } from './tenants/tickets.js';
import { MemoryUsage } from './tenants/usage.js';
import { MemoryWorkerDirectory } from './queue/worker-directory.js';

export interface MemoryStorageOptions {
  /** Default: system clock. */
  readonly clock?: Clock;
  readonly random?: Random;
  /**
   * Retention, event log bounds and the like. Default: `DEFAULTS`; in a process with a small heap a quarter
   * of it for a tenant's data, half of it for all tenants, a sixteenth for a tenant's event log.
   */
  readonly limits?: Partial<MemoryLimits>;
}

/** Limits in bytes that keep the process alive at its heap limit. */
function withinHeap(): Partial<MemoryLimits> {
  const heap = getHeapStatistics().heap_size_limit;
  return {
    maxStoredBytes: Math.min(DEFAULTS.maxStoredBytes, Math.floor(heap / 4)),
    maxStoredBytesInAll: Math.min(DEFAULTS.maxStoredBytesInAll, Math.floor(heap / 2)),
    maxEventBytes: Math.min(DEFAULTS.maxEventBytes, Math.floor(heap / 16)),
  };
}

/**
 * Storage in memory: the engine without a log. Nothing survives the process. Each method changes the state in
 * one synchronous piece of code, so each is atomic.
 */
export class MemoryStorage implements Storage {
  readonly tasks: TaskRecords;
  readonly queue: TaskQueue;
  readonly journal: CallJournal;
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly tenants: TenantStore;
  readonly tickets: TicketStore;
  readonly usage: UsageLedger;
  readonly workers: WorkerDirectory;
  readonly wakeups: Wakeups;
  private readonly state: MemoryState;

  constructor(options: MemoryStorageOptions = {}) {
    const { clock = systemClock, random = systemRandom, limits } = options;
    const state = new MemoryState(clock, random, { ...DEFAULTS, ...withinHeap(), ...limits });
    const life = new TaskLife(state);
    const outcomes = new CallOutcomes(state, life);
    this.state = state;
    const sessions = new MemorySessions(state, life);
    const submissions = new Submissions(state, life, sessions);
    const sweep = new Sweep(state, life, outcomes, sessions);
    const ports = checked<StoragePorts>({
      sessions,
      tasks: new MemoryTaskRecords(state, life, submissions, outcomes),
      queue: new MemoryTaskQueue(state, life, sessions, sweep),
      journal: new MemoryCallJournal(state, life, outcomes),
      events: new MemoryEventLog(state),
      tenants: new MemoryTenants(state, life),
      tickets: new MemoryTickets(state),
      usage: new MemoryUsage(state),
      workers: new MemoryWorkerDirectory(state),
    });
    this.tasks = ports.tasks;
    this.queue = ports.queue;
    this.journal = ports.journal;
    this.sessions = ports.sessions;
    this.events = ports.events;
    this.tenants = ports.tenants;
    this.tickets = ports.tickets;
    this.usage = ports.usage;
    this.workers = ports.workers;
    this.wakeups = { subscribe: (listener) => state.subscribe(listener) };
  }

  async ping(): Promise<void> {
    this.state.checkOpen();
  }

  async close(): Promise<void> {
    this.state.closed = true;
  }
}
