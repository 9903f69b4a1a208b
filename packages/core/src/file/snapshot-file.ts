import { z } from 'zod';
import type { Engine } from '../engine/engine.js';
import { SNAPSHOT_CLASSES, StateReader, writeState } from '../engine/snapshot/engine-snapshot.js';
import type { NodeRow } from '../engine/snapshot/graph.js';
import { listSchema } from '../protocol/list.js';
import { messageOf } from '../protocol/thrown.js';
import { DamagedFolderError } from './damage.js';
import type { Disk, DiskFile } from './disk.js';
import { OrchestratorError } from '../protocol/errors.js';
import { ENGINE_VERSION, FORMAT, refuseNewer } from './log-entries.js';
import { type FileName, readFrames } from './log-reader.js';
import { LogWriter } from './log-writer.js';

/** Size of the frames that rows are written in; a row may be larger. The event loop has a turn after each. */
const FRAME_BYTES = 2 ** 18;

const headSchema = z.object({
  format: z.literal(FORMAT),
  engine: z.int(),
  classes: listSchema(z.string(), { max: 1_000 }),
});
/** Last frame: without it the file is not whole. */
const endSchema = z.object({ rows: z.int() });

/** Name of a snapshot: of the state before the commands of the log with the same number. */
export function snapshotName(number: number): string {
  return `snapshot-${number}`;
}

/** Name of a snapshot that is being written. */
export function temporaryName(number: number): string {
  return `${snapshotName(number)}.tmp`;
}

/** Writes the state of an engine; the file has its name once it is durable and whole. Returns its size in bytes. */
export async function writeSnapshot(disk: Disk, number: number, engine: Engine): Promise<number> {
  const temporary = temporaryName(number);
  const file = await disk.open(temporary);
  let bytes: number;
  try {
    await file.truncate(0);
    const log = new LogWriter({ file, position: 0, durability: 'process' });
    const head = { format: FORMAT, engine: ENGINE_VERSION, classes: SNAPSHOT_CLASSES };
    await log.append([Buffer.from(JSON.stringify(head))]);
    let rows = 0;
    for (const frame of framesOf(writeState(engine))) {
      rows += frame.rows;
      if (frame.rows > 0) await log.append([frame.body]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await log.append([Buffer.from(JSON.stringify({ rows }))]);
    await file.sync();
    bytes = log.position;
  } finally {
    await file.close();
  }
  await disk.rename(temporary, snapshotName(number));
  await disk.sync();
  return bytes;
}

const NOTHING = Buffer.alloc(0);

/** A frame without rows is a pause. */
function* framesOf(rows: Iterable<string>): Generator<{ readonly rows: number; readonly body: Buffer }> {
  let lines: string[] = [];
  let length = 0;
  for (const row of rows) {
    if (row === '') {
      yield { rows: 0, body: NOTHING };
      continue;
    }
    lines.push(row);
    length += row.length;
    if (length < FRAME_BYTES) continue;
    yield { rows: lines.length, body: Buffer.from(`[${lines.join(',')}]`) };
    lines = [];
    length = 0;
  }
  if (lines.length > 0) yield { rows: lines.length, body: Buffer.from(`[${lines.join(',')}]`) };
}

/**
 * The engine of a snapshot.
 *
 * @param where the file, for messages.
 * @throws {DamagedFolderError} for a file that is damaged, or not readable by this version.
 */
export async function readSnapshot(file: DiskFile, where: FileName): Promise<Engine> {
  try {
    const frames = readFrames(file, where);
    const first = await frames.next();
    if (first.done === true) throw new Error('expected a snapshot, got no intact frame');
    const { classes, engine } = headSchema.parse(JSON.parse(first.value.body.toString()));
    refuseNewer(engine, where);
    const reader = new StateReader(classes);
    let rows = 0;
    let end: number | undefined;
    for (;;) {
      const next = await frames.next();
      if (next.done === true) {
        if (end !== rows) throw new Error(`expected a whole snapshot, got ${rows} rows of it`);
        return reader.end();
      }
      const content = JSON.parse(next.value.body.toString()) as readonly NodeRow[] | object;
      if (!Array.isArray(content)) end = endSchema.parse(content).rows;
      else {
        for (const row of content as readonly NodeRow[]) reader.add(row);
        rows += content.length;
      }
    }
  } catch (error) {
    if (error instanceof OrchestratorError) throw error;
    const { folder, name } = where;
    throw new DamagedFolderError({ file: name }, `${folder}/${name}: ${messageOf(error)}`, error);
  }
}
