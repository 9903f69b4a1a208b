import { OrchestratorError } from '../protocol/errors.js';
import { messageOf } from '../protocol/thrown.js';
import type { StoredEntry } from '../storage/entry-store.js';
import { DamagedFolderError } from './damage.js';
import type { Disk, DiskFile } from './disk.js';
import {
  entryFileName,
  entryFilesOf,
  entryHead,
  isObsoleteEntryFile,
  liveBodies,
  liveEntries,
  scanEntries,
} from './entry-file.js';
import { otherKind } from './folder-access.js';
import type { FolderLock } from './folder-lock.js';
import { FRAME_HEADER_BYTES } from './frame.js';
import { logsOf } from './folder-state.js';
import { type FileName, scanFrames } from './log-reader.js';
import { type Durability, isWithoutRoom, LogWriter } from './log-writer.js';

export interface EntryLogOptions {
  readonly disk: Disk;
  /** Of the folder: nothing is written without it. */
  readonly lock: Pick<FolderLock, 'confirm' | 'confirmSometimes'>;
  /** The folder, for messages. */
  readonly where: string;
  readonly durability: Durability;
  /** Replaced and removed entries that are kept at least, bytes. */
  readonly minGarbageBytes: number;
  /** Called when the log could not be compacted: nothing is lost, and it is tried again. */
  readonly onFailure: (error: unknown) => void;
  /** Called with the position where an end is cut off that was written in part. */
  readonly onTorn: (file: FileName, position: number) => void;
}

/** The file of a log. */
interface OpenFile {
  readonly number: number;
  readonly file: DiskFile;
  readonly writer: LogWriter;
}

/** What is written while entries are copied is copied in rounds; what then is left, while writers wait. */
const MAX_ROUNDS = 20;
const COPIED_AT_ONCE = 2 ** 20;

/**
 * Log of entries in one file. Once it holds more garbage than live entries, the live ones are copied to a new file while
 * writing goes on; only the end of the copy and the exchange of the files hold up the writers. Until then the old file counts.
 */
export class EntryLog {
  readonly #options: EntryLogOptions;
  #current: OpenFile;
  /** Size at which the file is compacted. */
  #compactAt: number;
  #compaction: Promise<void> | undefined;
  /** Appending, or exchanging the files. */
  #turn: Promise<unknown> = Promise.resolve();
  #isClosing = false;
  #end: unknown;

  private constructor(options: EntryLogOptions, current: OpenFile, liveBytes: number) {
    this.#options = options;
    this.#current = current;
    this.#compactAt = this.#limitAfter(liveBytes);
  }

  /**
   * Opens the log of a folder that is locked; begins one in an empty folder. What was written in part is cut off.
   *
   * @throws {DamagedFolderError} for damage. @throws the error of the disk.
   */
  static async open(options: EntryLogOptions): Promise<EntryLog> {
    const { disk, where, durability } = options;
    const names = await disk.list();
    if (entryFilesOf(names).length === 0 && logsOf(names).length > 0)
      throw otherKind(where, 'the folder of the state of a service', 'that of a storage');
    const number = entryFilesOf(names).at(-1) ?? 1;
    const name = entryFileName(number);
    const file = await disk.open(name);
    try {
      const { end, liveBytes } = await scanEntries(file, { folder: where, name });
      const { position } = end;
      // A file after the first one is whole before it has its name.
      if (position === 0 && number > 1)
        throw new DamagedFolderError({ file: name }, `${where}/${name}: expected entries, got none`);
      for (const old of names) if (isObsoleteEntryFile(old, number)) await disk.remove(old);
      if (end.isTorn) options.onTorn({ folder: where, name }, position);
      await file.truncate(position);
      const writer = new LogWriter({ file, position, durability });
      if (position === 0) {
        await writer.append([entryHead()]);
        await writer.sync();
        await disk.sync();
      }
      const log = new EntryLog(options, { number, file, writer }, liveBytes);
      log.#compactIfLong();
      return log;
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  /** The entries that are durable now. */
  async *entries(): AsyncGenerator<StoredEntry> {
    const { number, writer } = this.#current;
    const name = entryFileName(number);
    const until = writer.position;
    // A file of its own: the current one may be replaced meanwhile.
    const file = await this.#options.disk.open(name);
    try {
      yield* liveEntries(file, { folder: this.#options.where, name }, until);
    } finally {
      await file.close();
    }
  }

  /**
   * Resolves once the lines are durable.
   *
   * @throws {OrchestratorError} `storage_unavailable` for a disk without room: nothing was written.
   * @throws any other error of the disk, after which the log is of no use.
   */
  async append(lines: readonly Buffer[]): Promise<void> {
    await this.#exclusively(async () => {
      await this.#options.lock.confirmSometimes().catch((error: unknown) => this.#endWith(error));
      let bytes = FRAME_HEADER_BYTES;
      for (const { length } of lines) bytes += length;
      const { writer } = this.#current;
      await writer.reserve(bytes).catch((error: unknown) => {
        throw isWithoutRoom(error) ? this.#withoutRoom(error) : error;
      });
      await writer.append(lines);
    });
    this.#compactIfLong();
  }

  /** Resolves once nothing is written any more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#compaction;
    await this.#turn;
    await this.#current.file.close();
  }

  #endWith(error: unknown): never {
    this.#end = error;
    throw error;
  }

  #withoutRoom(cause: unknown): OrchestratorError {
    const message = `${this.#options.where}: the disk has no room: ${messageOf(cause)}`;
    return new OrchestratorError('storage_unavailable', message, { cause });
  }

  #exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(() => {
      if (this.#end !== undefined) throw this.#end;
      return work();
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #limitAfter(liveBytes: number): number {
    return 2 * liveBytes + this.#options.minGarbageBytes;
  }

  #compactIfLong(): void {
    const { position } = this.#current.writer;
    if (this.#compaction || this.#isClosing || position < this.#compactAt) return;
    this.#compaction = this.#compact()
      .catch((error: unknown) => {
        this.#compactAt = this.#current.writer.position + this.#options.minGarbageBytes;
        if (!this.#isClosing) this.#options.onFailure(error);
      })
      .finally(() => {
        this.#compaction = undefined;
      });
  }

  async #compact(): Promise<void> {
    const { disk, where, lock } = this.#options;
    await lock.confirm();
    const old = this.#current;
    const name = entryFileName(old.number);
    const temporary = `${entryFileName(old.number + 1)}.tmp`;
    const file = await disk.open(temporary);
    try {
      await file.truncate(0);
      const copy = new LogWriter({ file, position: 0, durability: 'process' });
      await copy.append([entryHead()]);
      let copied = old.writer.position;
      for await (const body of liveBodies(old.file, { folder: where, name }, copied)) {
        this.#checkOpen();
        await copy.append([body]);
      }
      const liveBytes = copy.position;
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        if (old.writer.position - copied < COPIED_AT_ONCE) break;
        copied = await this.#copyFrames(old, copied, copy);
      }
      await copy.sync();
      await this.#exclusively(async () => {
        this.#checkOpen();
        await this.#copyFrames(old, copied, copy);
        await copy.sync();
        await lock.confirm().catch((error: unknown) => this.#endWith(error));
        await this.#exchange(old, temporary, { file, position: copy.position });
      });
      this.#compactAt = this.#limitAfter(liveBytes);
    } catch (error) {
      if (this.#current === old) {
        await file.close().catch(() => undefined);
        await disk.remove(temporary).catch(() => undefined);
      }
      throw error;
    }
    await old.file.close().catch(() => undefined);
    await disk.remove(name);
  }

  #checkOpen(): void {
    if (this.#isClosing) throw new OrchestratorError('storage_unavailable', 'the store is closed');
  }

  /** Copies what was written since `from`, garbage too; returns where it ends. */
  async #copyFrames({ number, file, writer }: OpenFile, from: number, copy: LogWriter): Promise<number> {
    const end = writer.position;
    let copied = from;
    for await (const { position, body } of scanFrames(file, from)) {
      if (position >= end) break;
      if (position !== copied) break;
      this.#checkOpen();
      await copy.append([body]);
      copied += FRAME_HEADER_BYTES + body.length;
    }
    if (copied === end) return end;
    const name = entryFileName(number);
    const message = `${this.#options.where}/${name}: expected an intact frame at byte ${copied}, got damage`;
    throw new DamagedFolderError({ file: name, position: copied }, message);
  }

  /** From the moment the new file may have its name, the old one is not written any more. */
  async #exchange(
    { number }: OpenFile,
    temporary: string,
    { file, position }: { readonly file: DiskFile; readonly position: number },
  ): Promise<void> {
    const { disk, durability } = this.#options;
    try {
      await disk.rename(temporary, entryFileName(number + 1));
    } catch (error) {
      // Without room it has kept its name. After any other error that is not known.
      if (!isWithoutRoom(error)) this.#end = error;
      throw error;
    }
    await disk.sync().catch((error: unknown) => this.#endWith(error));
    const writer = new LogWriter({ file, position, durability });
    this.#current = { number: number + 1, file, writer };
  }
}
