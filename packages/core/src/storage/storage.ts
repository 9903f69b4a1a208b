import type { Wakeups } from './wakeups.js';
import type { CacheStore } from './cache-store.js';
import type { CallJournal } from './call-journal.js';
import type { EventLog } from './event-log.js';
import type { RateStore } from './rate-store.js';
import type { SessionStore } from './session-store.js';
import type { SystemEvents } from './system-events.js';
import type { TaskQueue } from './task-queue.js';
import type { TaskRecords } from './task-records.js';
import type { TenantStore } from './tenant-store.js';
import type { TicketStore } from './ticket-store.js';
import type { UsageLedger } from './usage-ledger.js';
import type { WorkerDirectory } from './worker-directory.js';

/** The storage port that adapters implement: one narrow interface per consumer, all over one store. */
export interface Storage {
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
  /** Rejects with `storage_unavailable` if the storage does not respond. */
  ping(): Promise<void>;
  /** Closes the connections that the storage itself opened. Later calls reject with `storage_unavailable`. */
  close(): Promise<void>;
}
