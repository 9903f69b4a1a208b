import type { Disk, DiskFile } from './disk.js';
import { type FileName, readFrames } from './log-reader.js';
import { LogWriter } from './log-writer.js';

/** Behind the last kept frame: the next start cuts it, and knows that something is lost. */
const TORN = Buffer.from([1]);

/** A new file that takes the place of a damaged one. */
export class StartOfFile {
  readonly #file: DiskFile;
  readonly #log: LogWriter;

  constructor(file: DiskFile) {
    this.#file = file;
    this.#log = new LogWriter({ file, position: 0, durability: 'process' });
  }

  append(body: readonly Buffer[]): Promise<void> {
    return this.#log.append(body);
  }

  async appendTorn(): Promise<void> {
    await this.#file.write([TORN], this.#log.position);
  }

  sync(): Promise<void> {
    return this.#log.sync();
  }
}

/** Copies the frames before a position. */
export async function copyFrames(
  from: DiskFile,
  to: StartOfFile,
  where: FileName,
  position: number,
): Promise<void> {
  for await (const { body } of readFrames(from, where, position)) await to.append([body]);
}

/** Suffix of the files that are kept aside together. */
export function suffixOfNow(): string {
  return new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/** Name under which a damaged file is kept. */
export function asideName(name: string, suffix: string): string {
  return `damaged-${suffix}-${name}`;
}

/** Exchanges a damaged file for the one that `write` makes of it; returns the name under which it is kept. */
export async function replaceByStart(
  disk: Disk,
  { name, suffix }: { readonly name: string; readonly suffix: string },
  write: (from: DiskFile, to: StartOfFile) => Promise<void>,
): Promise<string> {
  const repaired = `repaired-${name}`;
  const [from, to] = [await disk.open(name), await disk.open(repaired)];
  try {
    await to.truncate(0);
    const start = new StartOfFile(to);
    await write(from, start);
    await start.sync();
  } catch (error) {
    // Such as on a disk without room.
    await disk.remove(repaired).catch(() => undefined);
    throw error;
  } finally {
    await from.close();
    await to.close();
  }
  const kept = asideName(name, suffix);
  await disk.link(name, kept);
  await disk.rename(repaired, name);
  await disk.sync();
  return kept;
}
