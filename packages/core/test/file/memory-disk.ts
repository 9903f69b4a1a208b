import type { Disk, DiskFile } from '../../src/file/disk.js';

/** Part of a write that a loss of power may keep or lose by itself. */
const SECTOR = 512;

/** A process that no machine has: numbers end at 2^22. */
const ENDED = `"pid":${2 ** 23}`;

/** Called before each operation that changes the disk: throws the error of the disk, or returns bytes of a short write. */
export type DiskFault = (operation: DiskOperation, name: string, bytes: number) => number | void;

export type DiskOperation = 'write' | 'sync' | 'other';

/** What a write has replaced, and its length. */
interface Unsynced {
  readonly position: number;
  readonly length: number;
  readonly before: Buffer;
}

/** A file: what a reader sees, and what of it a loss of power may undo. */
class Stored {
  #bytes = Buffer.alloc(1_024);
  size = 0;
  unsynced: Unsynced[] = [];

  static of(content: Buffer | string): Stored {
    const stored = new Stored();
    stored.write(Buffer.from(content as string), 0);
    stored.sync();
    return stored;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.size);
  }

  write(data: Buffer, position: number): void {
    const end = position + data.length;
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(2 * end);
      this.bytes.copy(larger);
      this.#bytes = larger;
    }
    const before = Buffer.from(this.#bytes.subarray(position, end));
    this.unsynced.push({ position, length: data.length, before });
    data.copy(this.#bytes, position);
    this.size = Math.max(this.size, end);
  }

  truncate(length: number): void {
    this.#bytes.fill(0, length);
    this.size = length;
  }

  sync(): void {
    this.unsynced = [];
  }

  /** The content after a loss of power: each sector that was not synced is kept or lost. */
  afterPowerLoss(keeps: () => boolean): Stored {
    const left = Buffer.from(this.bytes);
    for (const { position, length, before } of this.unsynced.toReversed()) {
      for (let from = 0; from < length; from += SECTOR)
        if (!keeps()) before.copy(left, position + from, from, Math.min(from + SECTOR, length));
    }
    return Stored.of(left);
  }
}

function diskError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: a fault of the disk`), { code });
}

export const noRoom = () => diskError('ENOSPC');
export const broken = () => diskError('EIO');

/** A disk in memory that loses what was not synced. */
export class MemoryDisk implements Disk {
  readonly #files = new Map<string, Stored>();
  fault: DiskFault = () => undefined;
  /** How long a sync of a file takes. */
  syncs: () => Promise<void> = async () => {};
  /** Number of operations that changed it. */
  operations = 0;

  async open(name: string): Promise<DiskFile> {
    let stored = this.#files.get(name);
    if (!stored) {
      this.#change('other', name);
      stored = new Stored();
      this.#files.set(name, stored);
    }
    return this.#fileOf(name, stored);
  }

  async list(): Promise<readonly string[]> {
    return [...this.#files.keys()];
  }

  async readText(name: string): Promise<string> {
    const stored = this.#files.get(name);
    if (!stored) throw diskError('ENOENT');
    return stored.bytes.toString();
  }

  async create(name: string, text: string): Promise<void> {
    if (this.#files.has(name)) throw diskError('EEXIST');
    this.#change('other', name);
    const stored = new Stored();
    stored.write(Buffer.from(text), 0);
    this.#files.set(name, stored);
  }

  async link(name: string, to: string): Promise<void> {
    const stored = this.#files.get(name);
    if (!stored) throw diskError('ENOENT');
    if (this.#files.has(to)) throw diskError('EEXIST');
    this.#change('other', to);
    this.#files.set(to, stored);
  }

  async rename(name: string, to: string): Promise<void> {
    const stored = this.#files.get(name);
    if (!stored) throw diskError('ENOENT');
    this.#change('other', to);
    this.#files.set(to, stored);
    this.#files.delete(name);
  }

  async remove(name: string): Promise<void> {
    if (!this.#files.has(name)) throw diskError('ENOENT');
    this.#change('other', name);
    this.#files.delete(name);
  }

  async beacon(): Promise<undefined> {
    return undefined;
  }

  async answers(): Promise<boolean> {
    return true;
  }

  async sync(): Promise<void> {
    this.#change('sync', '');
  }

  names(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** Changes a byte behind the back of the storage. */
  damage(name: string, position: number): void {
    const { bytes } = this.#files.get(name) as Stored;
    bytes.writeUInt8(bytes.readUInt8(position) ^ 0x55, position);
  }

  put(name: string, content: Buffer): void {
    this.#files.set(name, Stored.of(content));
  }

  bytesOf(name: string): Buffer {
    return (this.#files.get(name) as Stored).bytes;
  }

  /**
   * The disk after a loss of power: of each sector that was not synced, `keeps` says whether it was written. Names are
   * kept: that the folder is synced shows on a real file system only.
   */
  afterPowerLoss(keeps: () => boolean): MemoryDisk {
    const after = new MemoryDisk();
    for (const [name, stored] of this.#files) {
      const left = stored.afterPowerLoss(keeps);
      // The process that held the folder has ended.
      after.#files.set(
        name,
        name.startsWith('lock') ? Stored.of(left.bytes.toString().replace(/"pid":\d+/, ENDED)) : left,
      );
    }
    return after;
  }

  /** The disk as another process finds it after `kill -9`: what was written is there. */
  afterKill(): MemoryDisk {
    return this.afterPowerLoss(() => true);
  }

  #change(operation: DiskOperation, name: string, bytes = 0): number {
    this.operations += 1;
    return this.fault(operation, name, bytes) ?? bytes;
  }

  #fileOf(name: string, stored: Stored): DiskFile {
    return {
      size: async () => stored.size,
      read: async (buffer, position) => stored.bytes.copy(buffer, 0, position),
      write: async (buffers, position) => {
        const all = Buffer.concat(buffers);
        const written = this.#change('write', name, all.length);
        stored.write(all.subarray(0, written), position);
        return written;
      },
      sync: async () => {
        await this.syncs();
        this.#change('sync', name);
        stored.sync();
      },
      truncate: async (length) => {
        this.#change('other', name);
        stored.truncate(length);
      },
      close: async () => {},
    };
  }
}
