import type { Wakeups } from './wakeups.js';
import type { CallJournal } from './call-journal.js';
import type { EventLog } from './event-log.js';
import type { SessionStore } from './session-store.js';
import type { TaskQueue } from './task-queue.js';
import type { TaskRecords } from './task-records.js';
import type { TenantStore } from './tenant-store.js';
import type { TicketStore } from './ticket-store.js';
import type { UsageLedger } from './usage-ledger.js';
import type { WorkerDirectory } from './worker-directory.js';

/** What an adapter implements: narrow interfaces, each for one consumer, over one store. */
export interface Storage {
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
  /**
   * Tells operators of the whole system what is no matter of a single task. Best effort: nobody waits for it, and nothing
   * fails for want of it. Absent where nobody could read it.
   */
  tell?(kind: string, text: string, fields?: Readonly<Record<string, string>>): void;
  /** Rejects with `storage_unavailable` when the storage does not answer. */
  ping(): Promise<void>;
  /** Ends what the storage itself opened. Every later call rejects with `storage_unavailable`. */
  close(): Promise<void>;
}
