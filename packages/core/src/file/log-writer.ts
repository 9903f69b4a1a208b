import type { DiskFile } from './disk.js';
import { frameHeader } from './frame.js';

/** How much is reserved at once, bytes: a quarter of the log within these bounds. */
const MIN_RESERVED_BYTES = 2 ** 16;
const MAX_RESERVED_BYTES = 2 ** 22;
const ZEROS = Buffer.alloc(MAX_RESERVED_BYTES);
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What an acknowledged frame survives: a loss of power, or the end of the process only. */
export type Durability = 'power' | 'process';

export interface LogWriterOptions {
  readonly file: DiskFile;
  /** End of the frames in the file. */
  readonly position: number;
  readonly durability: Durability;
}

/** Whether the disk has no room, which it may have later. */
export function isWithoutRoom(error: unknown): boolean {
  return NO_ROOM.has((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/**
 * Appends frames to a log. Space is reserved before: it holds zeros, so that a frame within it needs no further room, and
 * its `fdatasync` no new size of the file.
 */
export class LogWriter {
  readonly #file: DiskFile;
  readonly #durability: Durability;
  #position: number;
  #reservedTo: number;

  /** The file holds nothing behind `position`. */
  constructor({ file, position, durability }: LogWriterOptions) {
    this.#file = file;
    this.#durability = durability;
    this.#position = position;
    this.#reservedTo = position;
  }

  /** End of the frames. */
  get position(): number {
    return this.#position;
  }

  /** Reserved bytes that are free. */
  get room(): number {
    return this.#reservedTo - this.#position;
  }

  /** Reserves at least `bytes`. @throws the error of the disk, after which as much is reserved as before. */
  async reserve(bytes: number): Promise<void> {
    while (this.room < bytes) {
      const share = Math.max(Math.floor(this.#position / 4), bytes, MIN_RESERVED_BYTES);
      const zeros = ZEROS.subarray(0, share);
      await this.#write([zeros], this.#reservedTo);
      // A file system may find out later that it has no room.
      await this.#sync();
      this.#reservedTo += zeros.length;
    }
  }

  /** Resolves once the frame is durable. @throws the error of the disk, after which the log is of no use. */
  async append(body: readonly Buffer[]): Promise<void> {
    const frame = [frameHeader(body), ...body];
    await this.#write(frame, this.#position);
    await this.#sync();
    for (const { length } of frame) this.#position += length;
    this.#reservedTo = Math.max(this.#reservedTo, this.#position);
  }

  /** Resolves once all frames survive a loss of power. @throws the error of the disk, after which the log is of no use. */
  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #sync(): Promise<void> {
    if (this.#durability === 'power') await this.sync();
  }

  async #write(buffers: readonly Buffer[], position: number): Promise<void> {
    let left = buffers;
    for (let at = position; left.length > 0;) {
      const written = await this.#file.write(left, at);
      if (written === 0) throw new Error('the file system wrote nothing');
      at += written;
      left = after(left, written);
    }
  }
}

/** The buffers without their first `bytes`. */
function after(buffers: readonly Buffer[], bytes: number): readonly Buffer[] {
  let skipped = bytes;
  const left: Buffer[] = [];
  for (const buffer of buffers) {
    if (skipped >= buffer.length) skipped -= buffer.length;
    else {
      left.push(buffer.subarray(skipped));
      skipped = 0;
    }
  }
  return left;
}
