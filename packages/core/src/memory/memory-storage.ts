import { type Clock, systemClock } from '../clock.js';
import { DEFAULTS } from '../protocol/settings.js';
import { type Random, systemRandom } from '../random.js';
import type { Bells } from '../storage/bells.js';
import type { Storage } from '../storage/storage.js';
import { MemoryCallJournal } from './call-journal.js';
import { CallOutcomes } from './call-outcomes.js';
import { MemoryEventLog } from './event-log.js';
import { type MemoryLimits, MemoryState } from './memory-state.js';
import { MemorySessions } from './sessions.js';
import { Submissions } from './submissions.js';
import { Sweep } from './sweep.js';
import { TaskLife } from './task-life.js';
import { MemoryTaskQueue } from './task-queue.js';
import { MemoryTaskRecords } from './task-records.js';
import { MemoryTenants } from './tenants.js';
import { MemoryUsage } from './usage.js';
import { MemoryWorkerDirectory } from './worker-directory.js';

export interface MemoryStorageOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** Retention, bounds of the event log and the like. Default: `DEFAULTS`. */
  readonly limits?: Partial<MemoryLimits>;
}

/**
 * The reference adapter: everything in this process, nothing survives it. Each method changes the state in one
 * synchronous piece of code, so each is atomic.
 */
export class MemoryStorage implements Storage {
  readonly tasks: MemoryTaskRecords;
  readonly queue: MemoryTaskQueue;
  readonly journal: MemoryCallJournal;
  readonly sessions: MemorySessions;
  readonly events: MemoryEventLog;
  readonly tenants: MemoryTenants;
  readonly usage: MemoryUsage;
  readonly workers: MemoryWorkerDirectory;
  readonly bells: Bells;
  readonly #state: MemoryState;

  constructor(options: MemoryStorageOptions = {}) {
    const { clock = systemClock, random = systemRandom, limits } = options;
    const state = new MemoryState(clock, random, { ...DEFAULTS, ...limits });
    const life = new TaskLife(state);
    const outcomes = new CallOutcomes(state, life);
    this.#state = state;
    this.sessions = new MemorySessions(state, life);
    this.tasks = new MemoryTaskRecords(state, life, new Submissions(state, life, this.sessions), outcomes);
    this.queue = new MemoryTaskQueue(
      state,
      life,
      this.sessions,
      new Sweep(state, life, outcomes, this.sessions),
    );
    this.journal = new MemoryCallJournal(state, life, outcomes);
    this.events = new MemoryEventLog(state);
    this.tenants = new MemoryTenants(state, life);
    this.usage = new MemoryUsage(state);
    this.workers = new MemoryWorkerDirectory(state);
    this.bells = { listen: (listener) => state.listen(listener) };
  }

  async ping(): Promise<void> {
    this.#state.checkOpen();
  }

  async close(): Promise<void> {
    this.#state.closed = true;
  }
}
