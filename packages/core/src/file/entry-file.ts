import { z } from 'zod';
import type { EntryText, StoredEntry } from '../storage/entry-store.js';
import { messageOf } from '../protocol/thrown.js';
import { DamagedFolderError } from './damage.js';
import type { DiskFile } from './disk.js';
import { type FileName, type LogEnd, type ReadFrame, readFrames } from './log-reader.js';

const NAME = /^entries-([1-9]\d{0,14})$/;
const TEMPORARY = /^entries-[1-9]\d{0,14}\.tmp$/;
const HEAD = { format: 1, content: 'entries' } as const;
const headSchema = z.object({ format: z.literal(HEAD.format), content: z.literal(HEAD.content) });

/** Name of a file of entries: the one with the highest number counts. */
export function entryFileName(number: number): string {
  return `entries-${number}`;
}

/** Numbers of the files of entries among names, in ascending order. */
export function entryFilesOf(names: readonly string[]): number[] {
  const numbers = names.map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).toSorted((a, b) => a - b);
}

/** Whether a file is of no use beside the one with this number. */
export function isObsoleteEntryFile(name: string, number: number): boolean {
  return TEMPORARY.test(name) || Number(NAME.exec(name)?.[1] ?? number) < number;
}

/** First frame of a file. */
export function entryHead(): Buffer {
  return Buffer.from(JSON.stringify(HEAD));
}

/** A change as a line: tenant and key, and after a tab, which JSON does not contain, the value. */
interface EntryLine {
  /** Tenant and key, as JSON. */
  readonly id: string;
  readonly text: string | undefined;
}

/** Lines of a frame. */
export function entryLines(tenantId: string, changes: readonly EntryText[]): Buffer {
  const lines = changes.map(({ key, text }) => lineOf({ id: JSON.stringify([tenantId, key]), text }));
  return Buffer.from(lines.join(''));
}

function lineOf({ id, text }: EntryLine): string {
  return text === undefined ? `${id}\n` : `${id}\t${text}\n`;
}

function* linesIn({ body }: ReadFrame): Generator<EntryLine> {
  for (const line of body.toString().split('\n')) {
    if (line === '') continue;
    const tab = line.indexOf('\t');
    yield tab < 0 ? { id: line, text: undefined } : { id: line.slice(0, tab), text: line.slice(tab + 1) };
  }
}

/** What a first pass over a file finds. */
export interface EntryScan {
  readonly end: LogEnd;
  /** Lines that count, by tenant and key: number of the line in the file. */
  readonly live: ReadonlyMap<string, number>;
  /** Size of those lines, bytes; about, where characters have several. */
  readonly liveBytes: number;
}

/** @throws {DamagedFolderError} for damage, or a file of another kind. */
export async function scanEntries(file: DiskFile, where: FileName, until?: number): Promise<EntryScan> {
  const live = new Map<string, number>();
  const sizes = new Map<string, number>();
  const frames = framesOf(file, where, until);
  let liveBytes = 0;
  let count = 0;
  for (;;) {
    const next = await frames.next();
    if (next.done === true) return { end: next.value, live, liveBytes };
    for (const { id, text } of linesIn(next.value)) {
      liveBytes -= sizes.get(id) ?? 0;
      sizes.delete(id);
      live.delete(id);
      if (text !== undefined) {
        const size = id.length + text.length;
        live.set(id, count);
        sizes.set(id, size);
        liveBytes += size;
      }
      count += 1;
    }
  }
}

/** Number of changes in a frame. */
export function changesIn(frame: ReadFrame): number {
  return [...linesIn(frame)].length;
}

/** The lines of a file that count, in the order of writing. */
async function* liveLines(
  file: DiskFile,
  where: FileName,
  until: number,
): AsyncGenerator<{ readonly id: string; readonly text: string }> {
  const { live } = await scanEntries(file, where, until);
  let count = 0;
  for await (const frame of framesOf(file, where, until)) {
    for (const { id, text } of linesIn(frame)) {
      if (text !== undefined && live.get(id) === count) yield { id, text };
      count += 1;
    }
  }
}

/** The entries of a file up to a position. */
export async function* liveEntries(
  file: DiskFile,
  where: FileName,
  until: number,
): AsyncGenerator<StoredEntry> {
  for await (const { id, text } of liveLines(file, where, until)) {
    const [tenantId, key] = JSON.parse(id) as [string, string];
    yield { tenantId, key, value: JSON.parse(text) };
  }
}

/** Size of the frames that entries are copied in; one entry may be larger. */
const COPIED_BYTES = 2 ** 20;

/** The entries of a file up to a position, as bodies of frames of another one. */
export async function* liveBodies(file: DiskFile, where: FileName, until: number): AsyncGenerator<Buffer> {
  let lines: string[] = [];
  let length = 0;
  for await (const line of liveLines(file, where, until)) {
    const written = lineOf(line);
    lines.push(written);
    length += written.length;
    if (length < COPIED_BYTES) continue;
    yield Buffer.from(lines.join(''));
    lines = [];
    length = 0;
  }
  if (lines.length > 0) yield Buffer.from(lines.join(''));
}

/** Frames after the head. */
async function* framesOf(file: DiskFile, where: FileName, until?: number): AsyncGenerator<ReadFrame, LogEnd> {
  const frames = readFrames(file, where, until);
  const first = await frames.next();
  if (first.done === true) return first.value;
  checkHead(first.value, where);
  return yield* frames;
}

function checkHead({ body }: ReadFrame, { folder, name }: FileName): void {
  try {
    headSchema.parse(JSON.parse(body.toString()));
  } catch (error) {
    throw new DamagedFolderError(
      { file: name, position: 0 },
      `${folder}/${name}: expected the entries of a service, format ${HEAD.format}: ${messageOf(error)}`,
    );
  }
}
