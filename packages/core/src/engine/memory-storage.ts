import { getHeapStatistics } from 'node:v8';
import { type Clock, systemClock } from '../runtime/clock.js';
import { DEFAULTS } from '../protocol/settings.js';
import { type Random, systemRandom } from '../runtime/random.js';
import type { SystemEvents } from '../storage/system-events.js';
import type { Wakeups } from '../storage/wakeups.js';
import type { CallJournal } from '../storage/call-journal.js';
import type { EventLog } from '../storage/event-log.js';
import type { SessionStore } from '../storage/session-store.js';
import type { TaskQueue } from '../storage/task-queue.js';
import type { TaskRecords } from '../storage/task-records.js';
import type { TenantStore } from '../storage/tenant-store.js';
import type { TicketStore } from '../storage/ticket-store.js';
import type { UsageLedger } from '../storage/usage-ledger.js';
import type { WorkerDirectory } from '../storage/worker-directory.js';
import type { Storage } from '../storage/storage.js';
import { type CommandObserver, EngineGate } from './engine-gate.js';
import type { EngineLimits } from './engine-state.js';
import { storagePorts } from './ports/storage-ports.js';

/** Options of `MemoryStorage`. */
export interface MemoryStorageOptions {
  /** Default: system clock. */
  readonly clock?: Clock;
  readonly random?: Random;
  /**
   * Retention, event log bounds and the like. Default: `DEFAULTS`; in a process with a small heap a quarter
   * of it for a tenant's data, half of it for all tenants, a sixteenth for a tenant's event log.
   */
  readonly limits?: Partial<EngineLimits>;
}

/** For tests of the engine: observes each command. */
export interface ObservedStorageOptions extends MemoryStorageOptions {
  readonly onCommand?: CommandObserver;
}

/** Limits in bytes that keep the process alive at its heap limit: all state is in memory. */
export function withinHeap(): Partial<EngineLimits> {
  const heap = getHeapStatistics().heap_size_limit;
  return {
    maxStoredBytes: Math.min(DEFAULTS.maxStoredBytes, Math.floor(heap / 4)),
    maxStoredBytesInAll: Math.min(DEFAULTS.maxStoredBytesInAll, Math.floor(heap / 2)),
    maxEventBytes: Math.min(DEFAULTS.maxEventBytes, Math.floor(heap / 16)),
  };
}

/**
 * Storage in memory: the engine without a log. Nothing survives the process. Each method is one command of the engine, or
 * one for each portion.
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
  readonly systemEvents: SystemEvents;
  private readonly gate: EngineGate;

  constructor(options: MemoryStorageOptions = {}) {
    const { clock = systemClock, random = systemRandom, limits, onCommand }: ObservedStorageOptions = options;
    const gate = new EngineGate({
      clock,
      random,
      limits: { ...DEFAULTS, ...withinHeap(), ...limits },
      onCommand,
    });
    this.gate = gate;
    const ports = storagePorts(gate);
    this.tasks = ports.tasks;
    this.queue = ports.queue;
    this.journal = ports.journal;
    this.sessions = ports.sessions;
    this.events = ports.events;
    this.tenants = ports.tenants;
    this.tickets = ports.tickets;
    this.usage = ports.usage;
    this.workers = ports.workers;
    this.wakeups = gate.wakeups;
    this.systemEvents = gate.systemEvents;
  }

  async ping(): Promise<void> {
    this.gate.checkOpen();
  }

  async close(): Promise<void> {
    this.gate.close();
  }
}
