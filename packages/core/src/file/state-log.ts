import type { Disk } from './disk.js';
import { FRAME_HEADER_BYTES } from './frame.js';
import type { FolderLock } from './folder-lock.js';
import { logName } from './folder-state.js';
import { writeHead } from './log-entries.js';
import { type Durability, LogWriter } from './log-writer.js';

/** After a log that could not be begun, the old one goes on for so many bytes. */
const RETRY_AFTER_BYTES = 2 ** 20;

export interface StateLogOptions {
  readonly disk: Disk;
  /** Of the folder: nothing is written without it. */
  readonly lock: Pick<FolderLock, 'confirm' | 'confirmSometimes'>;
  readonly durability: Durability;
  readonly writer: LogWriter;
  /** Number of the writer's log. */
  readonly number: number;
  /** Whether a log of so many bytes is to be followed by a new one. */
  readonly isLongEnough: (bytes: number) => boolean;
  /** A new log goes on: the logs before it are whole, and belong to a snapshot with its number. */
  readonly onNext: (number: number) => void;
  /** A new log could not be begun. */
  readonly onFailure: (error: unknown) => void;
}

/** The logs of a folder, one after the other: frames are appended to the last one. */
export class StateLog {
  readonly #options: StateLogOptions;
  #writer: LogWriter;
  #number: number;
  #notBefore = 0;

  constructor(options: StateLogOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.#number = options.number;
  }

  /** Bytes of the last log. */
  get position(): number {
    return this.#writer.position;
  }

  /** Reserved bytes that are free. */
  get room(): number {
    return this.#writer.room;
  }

  /** @throws the error of the disk, after which as much is reserved as before. */
  reserve(bytes: number): Promise<void> {
    return this.#writer.reserve(bytes);
  }

  /** Resolves once the frame is durable. @throws the error of the disk, after which the log is of no use. */
  async append(body: readonly Buffer[]): Promise<void> {
    await this.#options.lock.confirmSometimes();
    const { position } = this.#writer;
    if (position >= this.#notBefore && this.#options.isLongEnough(position)) await this.next();
    await this.#writer.append(body);
  }

  /**
   * Ends the log; a new one goes on. If it cannot be begun, the old one goes on.
   *
   * @returns whether a new one goes on.
   * @throws the error of a sync, or that the folder is that of another process, after which the log is of no use.
   */
  async next(): Promise<boolean> {
    await this.#options.lock.confirm();
    // A log counts only if the one before is whole.
    await this.#writer.sync();
    try {
      await this.#begin();
      return true;
    } catch (error) {
      this.#notBefore = this.#writer.position + RETRY_AFTER_BYTES;
      this.#options.onFailure(error);
      return false;
    }
  }

  async #begin(): Promise<void> {
    const { disk, durability, onNext } = this.#options;
    const old = this.#writer;
    const number = this.#number + 1;
    const file = await disk.open(logName(number));
    try {
      await file.truncate(0);
      const writer = new LogWriter({ file, position: 0, durability });
      const head = writeHead({ previousEnd: old.position });
      // What was admitted for the old log has room in the new one.
      await writer.reserve(FRAME_HEADER_BYTES + head.length + old.room);
      await writer.append([head]);
      await writer.sync();
      await disk.sync();
      this.#writer = writer;
      this.#number = number;
      this.#notBefore = 0;
    } catch (error) {
      // The old one goes on, and may need the room.
      await file.truncate(0).catch(() => undefined);
      await file.close().catch(() => undefined);
      throw error;
    }
    await old.close().catch(() => undefined);
    onNext(number);
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}
