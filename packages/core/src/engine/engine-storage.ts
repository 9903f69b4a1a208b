import type { CacheStore } from '../storage/cache-store.js';
import type { CallJournal } from '../storage/call-journal.js';
import type { EventLog } from '../storage/event-log.js';
import type { RateStore } from '../storage/rate-store.js';
import type { SessionStore } from '../storage/session-store.js';
import type { Storage } from '../storage/storage.js';
import type { SystemEvents } from '../storage/system-events.js';
import type { TaskQueue } from '../storage/task-queue.js';
import type { TaskRecords } from '../storage/task-records.js';
import type { TenantStore } from '../storage/tenant-store.js';
import type { TicketStore } from '../storage/ticket-store.js';
import type { UsageLedger } from '../storage/usage-ledger.js';
import type { Wakeups } from '../storage/wakeups.js';
import type { WorkerDirectory } from '../storage/worker-directory.js';
import type { CommandGate } from './engine-gate.js';
import { storagePorts } from './ports/storage-ports.js';

/** A storage of one process: an engine behind a gate. Each method is one command of the engine, or one for each portion. */
export abstract class EngineStorage implements Storage {
  readonly tasks: TaskRecords;
  readonly queue: TaskQueue;
  readonly journal: CallJournal;
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly tenants: TenantStore;
  readonly tickets: TicketStore;
  readonly rates: RateStore;
  readonly usage: UsageLedger;
  readonly cache: CacheStore;
  readonly workers: WorkerDirectory;
  readonly wakeups: Wakeups;
  readonly systemEvents: SystemEvents;

  constructor(private readonly commands: CommandGate) {
    const ports = storagePorts(commands);
    this.tasks = ports.tasks;
    this.queue = ports.queue;
    this.journal = ports.journal;
    this.sessions = ports.sessions;
    this.events = ports.events;
    this.tenants = ports.tenants;
    this.tickets = ports.tickets;
    this.rates = ports.rates;
    this.usage = ports.usage;
    this.cache = ports.cache;
    this.workers = ports.workers;
    this.wakeups = commands.wakeups;
    this.systemEvents = commands.systemEvents;
  }

  /** Resolves while the storage is open. @throws {OrchestratorError} `storage_unavailable` else. */
  async ping(): Promise<void> {
    this.commands.checkOpen();
  }

  abstract close(): Promise<void>;
}
