import { Engine } from '../engine/engine.js';
import { type EngineSettings, EngineState } from '../engine/engine-state.js';
import { OrchestratorError } from '../protocol/errors.js';
import { messageOf } from '../protocol/thrown.js';
import { DamagedFolderError } from './damage.js';
import type { Disk, DiskFile } from './disk.js';
import { entryFilesOf } from './entry-file.js';
import { otherKind } from './folder-access.js';
import {
  commandOf,
  digestOf,
  ENGINE_VERSION,
  type LogHead,
  readEntries,
  readHead,
  refuseNewer,
} from './log-entries.js';
import { type FileName, type LogEnd, type ReadFrame, readFrames } from './log-reader.js';
import { readSnapshot, snapshotName } from './snapshot-file.js';

const LOG = /^log-([1-9]\d{0,14})$/;
const SNAPSHOT = /^snapshot-([1-9]\d{0,14})$/;
const TEMPORARY = /^snapshot-[1-9]\d{0,14}\.tmp$/;

/** Name of a log: of the commands after the snapshot with the same number, or from the start. */
export function logName(number: number): string {
  return `log-${number}`;
}

/** State of a folder, and where it goes on. */
export interface FolderState {
  readonly engine: Engine;
  /** Number of the last log. */
  readonly log: number;
  /** End of the intact part of that log. 0: it has no head yet. */
  readonly position: number;
  /** End of the log before; `undefined` for the first one. */
  readonly previousEnd: number | undefined;
  /** Whether the log ends with a frame that was written in part. */
  readonly isTorn: boolean;
  /** Size of the snapshot, bytes. */
  readonly snapshotBytes: number;
  /** Size of the logs since, bytes. */
  readonly logBytes: number;
  /** Whether all of it was written by this version of the engine. */
  readonly isCurrent: boolean;
  /** Files that are of no use any more. */
  readonly obsolete: readonly string[];
}

export interface ReadFolderParams {
  readonly disk: Disk;
  /** The folder, for messages. */
  readonly where: string;
  /** Of a new engine, if the folder is empty. */
  readonly settings: EngineSettings;
  /** Default: all logs. */
  readonly beforeLog?: number;
}

/**
 * The engine of a folder: of its newest snapshot and the commands of the logs since. The digest of each answer is compared.
 *
 * @throws {OrchestratorError} `internal_error` for damage, or for commands that lead to other answers than they did;
 *   `invalid_request` for the folder of a service's state.
 */
export async function readFolder(params: ReadFolderParams): Promise<FolderState> {
  const { disk, where, settings, beforeLog = Number.POSITIVE_INFINITY } = params;
  const names = await disk.list();
  refuseEntries(where, names);
  const snapshots = numbersOf(names, SNAPSHOT).filter((number) => number <= beforeLog);
  const newest = snapshots.at(-1);
  const logs = logsOf(names).filter((number) => number < beforeLog && number >= (newest ?? 1));
  const start = newest ?? 1;
  const mustHave = newest !== undefined && beforeLog > start;
  if (mustHave || logs.length > 0) checkAll(where, start, logs);
  const { engine, bytes } =
    newest === undefined ? { engine: undefined, bytes: 0 } : await loadSnapshot(disk, where, newest);
  const replay = new Replay(disk, where, engine);
  for (const number of logs) await replay.log(number, { isLast: number === logs.at(-1) });
  return {
    engine: replay.engine ?? new Engine(new EngineState(settings)),
    log: logs.at(-1) ?? start,
    position: replay.position,
    previousEnd: replay.previousEnd,
    isTorn: replay.isTorn,
    snapshotBytes: bytes,
    logBytes: replay.bytes,
    isCurrent: replay.isCurrent,
    obsolete: names.filter((name) => isObsolete(name, start)),
  };
}

/** The state of a service has a folder of its own: a check or a copy would take the two for one. */
function refuseEntries(where: string, names: readonly string[]): void {
  if (logsOf(names).length === 0 && entryFilesOf(names).length > 0)
    throw otherKind(where, 'the folder of a storage', 'one with the state of a service');
}

function numbersOf(names: readonly string[], pattern: RegExp): number[] {
  const numbers = names.map((name) => Number(pattern.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).toSorted((a, b) => a - b);
}

/** Numbers of the logs among files, in ascending order. */
export function logsOf(names: readonly string[]): number[] {
  return numbersOf(names, LOG);
}

/** Files before the newest snapshot are in it. */
export function isObsolete(name: string, snapshot: number): boolean {
  const number = Number((LOG.exec(name) ?? SNAPSHOT.exec(name))?.[1] ?? snapshot);
  return number < snapshot || TEMPORARY.test(name);
}

function checkAll(where: string, start: number, logs: readonly number[]): void {
  const last = Math.max(start, logs.at(-1) ?? start);
  for (let number = start; number <= last; number += 1) {
    if (logs.includes(number)) continue;
    const file = logName(number);
    throw new DamagedFolderError(
      { file },
      `${where}: expected a file ${file}, got none: something else has removed it`,
    );
  }
}

async function loadSnapshot(disk: Disk, where: string, number: number) {
  const name = snapshotName(number);
  const file = await disk.open(name);
  try {
    return { engine: await readSnapshot(file, { folder: where, name }), bytes: await file.size() };
  } finally {
    await file.close();
  }
}

/** Replays logs one after the other. */
class Replay {
  /** Of all logs so far. */
  bytes = 0;
  position = 0;
  previousEnd: number | undefined;
  isTorn = false;
  isCurrent = true;

  constructor(
    private readonly disk: Disk,
    private readonly where: string,
    public engine: Engine | undefined,
  ) {}

  async log(number: number, { isLast }: { readonly isLast: boolean }): Promise<void> {
    const name = logName(number);
    const file = await this.disk.open(name);
    try {
      await this.#replay(file, { folder: this.where, name }, isLast);
    } finally {
      await file.close();
    }
  }

  async #replay(file: DiskFile, where: FileName, isLast: boolean): Promise<void> {
    const frames = readFrames(file, where);
    const first = await frames.next();
    const isFirst = this.position === 0;
    if (!isFirst) this.previousEnd = this.position;
    if (first.done === true) {
      // A snapshot is begun after the log that goes on from it.
      if (!isLast || (isFirst && this.engine)) throw damaged(where, 0, 'expected a head, got none');
      this.position = 0;
      this.isTorn ||= first.value.isTorn;
      return;
    }
    const head = headOf(first.value, where);
    let next = await frames.next();
    if (this.#follows(head)) {
      this.#begin(head, where, next.done !== true);
    } else if (isLast && next.done === true) {
      // The log before went on instead: this one was never used.
      this.position = 0;
      return;
    } else {
      throw damaged(where, 0, 'expected a log that goes on where the one before ends, got another one');
    }
    // Commands that go on from the log before have taken the place of what was cut there.
    if (next.done !== true) this.isTorn = false;
    for (; next.done !== true; next = await frames.next()) this.#carryOut(next.value, where);
    this.#end(next.value);
  }

  #follows(head: LogHead): boolean {
    if ('settings' in head) return true;
    return this.previousEnd === undefined || this.previousEnd === head.previousEnd;
  }

  #begin(head: LogHead, where: FileName, hasCommands: boolean): void {
    if ('previousEnd' in head) this.previousEnd ??= head.previousEnd;
    if ('settings' in head) this.engine ??= new Engine(new EngineState(head.settings));
    if (!this.engine) throw damaged(where, 0, 'expected the settings of the engine, got none');
    if (head.engine === ENGINE_VERSION) return;
    refuseNewer(head.engine, where);
    this.isCurrent = false;
    if (!hasCommands) return;
    throw new OrchestratorError(
      'internal_error',
      `${where.folder}/${where.name}: expected commands of version ${ENGINE_VERSION} of the engine, got some of version ${head.engine}: open the folder once with the version that wrote it and close it, which leaves a snapshot`,
    );
  }

  #carryOut({ position, body }: ReadFrame, where: FileName): void {
    const engine = this.engine as Engine;
    for (const [at, entry] of readEntries(body).entries()) {
      const digest = digestOf(engine.execute(commandOf(entry.command)));
      engine.takeEffects();
      if (digest === entry.digest) continue;
      throw damaged(
        where,
        position,
        `expected the answer ${entry.digest} of command ${at} of the frame at byte ${position}, got ${digest}: the log was written by other rules`,
      );
    }
  }

  #end({ position, isTorn }: LogEnd): void {
    this.position = position;
    this.bytes += position;
    this.isTorn ||= isTorn;
  }
}

function headOf({ body }: ReadFrame, where: FileName): LogHead {
  try {
    return readHead(body);
  } catch (error) {
    throw damaged(where, 0, `expected a head of a known format: ${messageOf(error)}`);
  }
}

function damaged({ folder, name }: FileName, position: number, message: string): DamagedFolderError {
  return new DamagedFolderError({ file: name, position }, `${folder}/${name}: ${message}`);
}
