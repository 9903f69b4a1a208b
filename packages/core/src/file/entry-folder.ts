import { resolve } from 'node:path';
import { OrchestratorError } from '../protocol/errors.js';
import { messageOf } from '../protocol/thrown.js';
import { Fifo } from '../runtime/fifo.js';
import {
  type EntryStore,
  entryTexts,
  type PutEntriesParams,
  type ReadEntriesParams,
  type StoredEntry,
} from '../storage/entry-store.js';
import { type Disk, openFolder } from './disk.js';
import { entryLines } from './entry-file.js';
import { EntryLog } from './entry-log.js';
import { cutEnd, guarded, unusable, warnOfNetwork } from './folder-access.js';
import { FolderLock } from './folder-lock.js';
import type { FileName } from './log-reader.js';
import type { Durability } from './log-writer.js';

/** Options of `EntryFolder.open`. */
export interface EntryFolderOptions {
  /** As of `FileStorage`. Default `power`. */
  readonly durability?: Durability;
  /** Called when something went wrong that loses nothing. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
}

/** For tests: a folder that is not one of the file system, and when it is compacted. */
interface DiskOptions extends EntryFolderOptions {
  readonly disk?: Disk;
  readonly minGarbageBytes?: number;
}

/** Changes of one call, to be written. */
interface WaitingPut {
  readonly lines: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const MIN_GARBAGE_BYTES = 2 ** 22;
/** Puts that share a frame; a single one may be larger. */
const FRAME_BYTES = 2 ** 20;
const MAX_WAITING_BYTES = 2 ** 26;

const nextTurn = () => new Promise((next) => setImmediate(next));

/**
 * State of one service in a folder that it has to itself: a log of entries, compacted as it grows. What is put in one turn of
 * the event loop, and while the log is written, shares one write and one `fdatasync`.
 *
 * A disk without room refuses a put, and nothing has changed; after any other error of the disk, every further put is refused
 * until the folder is opened again.
 */
export class EntryFolder implements EntryStore {
  readonly #where: string;
  readonly #lock: FolderLock;
  readonly #log: EntryLog;
  readonly #waiting = new Fifo<WaitingPut>();
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #end: OrchestratorError | undefined;

  private constructor(where: string, lock: FolderLock, log: EntryLog) {
    this.#where = where;
    this.#lock = lock;
    this.#log = log;
  }

  /**
   * Opens a folder; creates it if it does not exist.
   *
   * @throws {OrchestratorError} `conflict` while another process uses the folder; `invalid_request` for a path that is no
   *   folder to write to; `storage_unavailable` for a disk that is full; `internal_error` for a damaged log.
   */
  static async open(folder: string, options: EntryFolderOptions = {}): Promise<EntryFolder> {
    const where = resolve(folder);
    try {
      return await EntryFolder.#open(where, options);
    } catch (error) {
      throw error instanceof OrchestratorError ? error : unusable(where, error);
    }
  }

  static async #open(where: string, options: DiskOptions): Promise<EntryFolder> {
    const { durability = 'power', minGarbageBytes = MIN_GARBAGE_BYTES } = options;
    const onWarning = guarded(options.onWarning);
    const disk = options.disk ?? (await openFolder(where));
    if (!options.disk) await warnOfNetwork(where, onWarning);
    const lock = await FolderLock.take(disk, where);
    const onFailure = (error: unknown) =>
      onWarning(`${where}: the log was not compacted, and grows on: ${messageOf(error)}`);
    const onTorn = (file: FileName, position: number) => onWarning(cutEnd(file, position));
    try {
      const log = await EntryLog.open({ disk, lock, where, durability, minGarbageBytes, onFailure, onTorn });
      return new EntryFolder(where, lock, log);
    } catch (error) {
      await lock.release().catch(() => undefined);
      throw error;
    }
  }

  /** The entries that are durable at the call, in the order of their last change. */
  async *entries({ signal }: ReadEntriesParams): AsyncGenerator<StoredEntry> {
    this.#checkOpen();
    for await (const entry of this.#log.entries()) {
      signal.throwIfAborted();
      yield entry;
    }
  }

  async put(params: PutEntriesParams): Promise<void> {
    this.#checkOpen();
    const texts = entryTexts(params);
    if (texts.length === 0) return;
    const lines = entryLines(params.tenantId, texts);
    if (this.#waiting.size > 0 && this.#waitingBytes + lines.length > MAX_WAITING_BYTES) {
      const message = `${this.#where}: expected at most ${MAX_WAITING_BYTES} bytes that wait to be written, got more`;
      throw new OrchestratorError('storage_unavailable', message);
    }
    await new Promise<void>((done, reject) => {
      this.#waiting.push({ lines, resolve: done, reject });
      this.#waitingBytes += lines.length;
      this.#running ??= this.#run();
    });
  }

  /** Resolves once everything put is durable and the folder is free. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#end ??= new OrchestratorError('storage_unavailable', `${this.#where}: the store is closed`);
    await this.#running;
    try {
      await this.#log.close();
    } finally {
      await this.#lock.release();
    }
  }

  #checkOpen(): void {
    if (this.#end) throw this.#end;
  }

  async #run(): Promise<void> {
    await nextTurn();
    while (this.#waiting.size > 0) await this.#write(this.#nextBatch());
    this.#running = undefined;
  }

  #nextBatch(): WaitingPut[] {
    const batch: WaitingPut[] = [];
    let bytes = 0;
    for (let next = this.#waiting.first; next; next = this.#waiting.first) {
      if (batch.length > 0 && bytes + next.lines.length > FRAME_BYTES) break;
      this.#waiting.shift();
      bytes += next.lines.length;
      batch.push(next);
    }
    this.#waitingBytes -= bytes;
    return batch;
  }

  async #write(batch: readonly WaitingPut[]): Promise<void> {
    try {
      await this.#log.append(batch.map(({ lines }) => lines));
    } catch (error) {
      const isRefused = error instanceof OrchestratorError && error.code === 'storage_unavailable';
      const reason = isRefused ? error : this.#fail(error);
      for (const { reject } of batch) reject(reason);
      return;
    }
    for (const { resolve: done } of batch) done();
  }

  /** What the disk holds is not known: a second try could succeed without having written anything. */
  #fail(cause: unknown): OrchestratorError {
    const message = `${this.#where}: the log cannot be written, and is closed: ${messageOf(cause)}`;
    const error = new OrchestratorError('storage_unavailable', message, { cause });
    this.#end = error;
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) next.reject(error);
    this.#waitingBytes = 0;
    return error;
  }
}
