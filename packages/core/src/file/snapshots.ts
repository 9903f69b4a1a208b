import { Worker } from 'node:worker_threads';
import type { EngineSettings } from '../engine/engine-state.js';
import type { Disk } from './disk.js';
import type { FolderLock } from './folder-lock.js';
import { isObsolete, readFolder } from './folder-state.js';
import { temporaryName, writeSnapshot } from './snapshot-file.js';

/**
 * Writes the snapshot with this number, of the snapshot before and the logs before `number`; returns its size in bytes. May
 * give up when `signal` fires.
 */
export type SnapshotJob = (number: number, signal: AbortSignal) => Promise<number>;

const NO_SETTINGS = { epoch: '', limits: {} } as unknown as EngineSettings;

/** Writes a snapshot in this thread: the engine is built anew, as at the next start. */
export async function snapshotOfFiles(disk: Disk, where: string, number: number): Promise<number> {
  const { engine } = await readFolder({ disk, where, settings: NO_SETTINGS, beforeLog: number });
  return writeSnapshot(disk, number, engine);
}

/** A snapshot to be written by a thread of its own, and its answer. */
export interface SnapshotRequest {
  readonly folder: string;
  readonly number: number;
}

/** Writes snapshots of a folder in a thread: the event loop of this one is not held up. */
export function inThread(folder: string): SnapshotJob {
  return (number, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const request: SnapshotRequest = { folder, number };
      // Not the arguments of this process, such as a program given with `--eval`.
      const options = { workerData: request, execArgv: [] };
      const worker = new Worker(new URL('./snapshot-worker.js', import.meta.url), options);
      // The process may end meanwhile: the next start removes what is left of the file.
      worker.unref();
      signal.addEventListener('abort', () => void worker.terminate(), { once: true });
      worker.once('message', (bytes: number) => resolve(bytes));
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the thread has ended with code ${code}`)));
    });
}

export interface SnapshotsOptions {
  readonly disk: Disk;
  /** Of the folder: nothing is removed without it. */
  readonly lock: Pick<FolderLock, 'confirm'>;
  readonly job: SnapshotJob;
  /** Size of the newest snapshot. */
  readonly bytes: number;
  readonly onFailure: (error: unknown) => void;
}

/** Snapshots of a folder, one at a time. One that fails is made up for by the next. */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  #job: SnapshotJob;
  #bytes: number;
  #running: Promise<void> | undefined;
  #cancelled = new AbortController();

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#job = options.job;
    this.#bytes = options.bytes;
  }

  /** How further ones are written. */
  writeWith(job: SnapshotJob): void {
    this.#job = job;
  }

  /** Size of the newest one, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Begins the snapshot of all logs before `number`. */
  begin(number: number): void {
    const before = this.#running ?? Promise.resolve();
    const job = this.#job;
    const { signal } = this.#cancelled;
    const running = before.then(() => this.#take(number, job, signal));
    this.#running = running;
    void running.finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
  }

  /** Gives up the one that is being written. */
  cancel(): void {
    this.#cancelled.abort();
    this.#cancelled = new AbortController();
  }

  /** Resolves once none is being written. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #take(number: number, job: SnapshotJob, signal: AbortSignal): Promise<void> {
    const { disk, lock, onFailure } = this.#options;
    try {
      this.#bytes = await this.#write(job, number, signal);
      await lock.confirm();
    } catch (error) {
      if (!signal.aborted) onFailure(error);
      return;
    }
    await removeObsolete(disk, number);
  }

  /** What is there of a snapshot that failed would take the room that the log needs. */
  async #write(job: SnapshotJob, number: number, signal: AbortSignal): Promise<number> {
    try {
      return await job(number, signal);
    } catch (error) {
      await this.#options.disk.remove(temporaryName(number)).catch(() => undefined);
      throw error;
    }
  }
}

/** Files before a snapshot. What cannot be removed does no harm, and is removed after a later snapshot or at the next start. */
async function removeObsolete(disk: Disk, snapshot: number): Promise<void> {
  const names = await disk.list().catch(() => []);
  for (const name of names) if (isObsolete(name, snapshot)) await disk.remove(name).catch(() => undefined);
}
