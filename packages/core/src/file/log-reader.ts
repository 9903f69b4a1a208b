import { DamagedFolderError } from './damage.js';
import type { DiskFile } from './disk.js';
import { bodyLengthOf, findMagic, FRAME_HEADER_BYTES, isIntact, MAGIC } from './frame.js';

/** A file, for messages. */
export interface FileName {
  readonly folder: string;
  readonly name: string;
}

/** A frame of a log, and where it begins. */
export interface ReadFrame {
  readonly position: number;
  readonly body: Buffer;
}

/** End of the intact part of a log. */
export interface LogEnd {
  readonly position: number;
  /** Whether the last frame was written in part: it was never acknowledged. */
  readonly isTorn: boolean;
}

/** Bytes that a search for damage reads at once. */
const WINDOW_BYTES = 2 ** 20;

/**
 * The frames of a log, from its start. After the last one there is nothing, zeros that are reserved for further frames, or
 * part of a frame.
 *
 * @param where the file, for messages.
 * @param until end of what is read, bytes. Default: the end of the file.
 * @returns the end of the log.
 * @throws {OrchestratorError} `internal_error` for damage before the end, with its position.
 */
export async function* readFrames(
  file: DiskFile,
  where: FileName,
  until = Number.POSITIVE_INFINITY,
): AsyncGenerator<ReadFrame, LogEnd> {
  const size = Math.min(until, await file.size());
  let position = 0;
  while (position < size) {
    const body = await bodyAt(file, position);
    if (!body) return await endAt(file, position, size, where);
    yield { position, body };
    position += FRAME_HEADER_BYTES + body.length;
  }
  return { position, isTorn: false };
}

/** All intact frames from `position` on, with damage between them. */
export async function* scanFrames(file: DiskFile, position: number): AsyncGenerator<ReadFrame> {
  const size = await file.size();
  for (let from = position; from < size;) {
    const body = await bodyAt(file, from);
    if (body) {
      yield { position: from, body };
      from += FRAME_HEADER_BYTES + body.length;
    } else {
      from = await nextMagic(file, from + 1, size);
    }
  }
}

/** Position of the next magic bytes; `size` without any. */
async function nextMagic(file: DiskFile, position: number, size: number): Promise<number> {
  for (let from = position; from < size; from += WINDOW_BYTES - FRAME_HEADER_BYTES) {
    const at = findMagic(await readAt(file, from, WINDOW_BYTES), 0);
    if (at >= 0) return from + at;
  }
  return size;
}

/** Body of the intact frame at `position`; `undefined` without one. */
async function bodyAt(file: DiskFile, position: number): Promise<Buffer | undefined> {
  const header = await readAt(file, position, FRAME_HEADER_BYTES);
  const length = bodyLengthOf(header);
  if (length === undefined) return undefined;
  const left = (await file.size()) - position - FRAME_HEADER_BYTES;
  if (length > left) return undefined;
  const body = await readAt(file, position + FRAME_HEADER_BYTES, length);
  return body.length === length && isIntact(header, body) ? body : undefined;
}

/** A log ends where no intact frame begins; an intact one behind it means that something before it is damaged. */
async function endAt(file: DiskFile, position: number, size: number, where: FileName): Promise<LogEnd> {
  if (position === 0) await refuseForeign(file, where);
  let isTorn = false;
  for (let from = position; from < size; from += WINDOW_BYTES - FRAME_HEADER_BYTES) {
    const window = await readAt(file, from, WINDOW_BYTES);
    isTorn ||= window.some((byte) => byte !== 0);
    for (let at = findMagic(window, 0); at >= 0; at = findMagic(window, at + 1)) {
      if (from + at > position && (await bodyAt(file, from + at))) throw damage(where, position, from + at);
    }
  }
  return { position, isTorn };
}

/** What is left of a head that was written in part begins with its magic bytes, or with what was there before. */
async function refuseForeign(file: DiskFile, { folder, name }: FileName): Promise<void> {
  const start = await readAt(file, 0, MAGIC.length);
  if (start.every((byte) => byte === 0) || start.equals(MAGIC.subarray(0, start.length))) return;
  throw new DamagedFolderError(
    { file: name },
    `${folder}/${name}: expected a file of this storage, got one of another program`,
  );
}

function damage({ folder, name }: FileName, position: number, next: number): DamagedFolderError {
  return new DamagedFolderError(
    { file: name, position },
    `${folder}/${name}: expected an intact frame at byte ${position}, got damage up to byte ${next}: the disk or another program changed it`,
  );
}

/** Up to `length` bytes from `position` on: fewer at the end of the file. */
async function readAt(file: DiskFile, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const read = await file.read(buffer.subarray(filled), position + filled);
    if (read === 0) break;
    filled += read;
  }
  return buffer.subarray(0, filled);
}
