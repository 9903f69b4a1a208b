import { readdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { EngineSettings } from '../engine/engine-state.js';
import { OrchestratorError } from '../protocol/errors.js';
import { type DamagePlace, DamagedFolderError } from './damage.js';
import { type Disk, type DiskFile, openFolder } from './disk.js';
import { changesIn, entryFileName, entryFilesOf, scanEntries } from './entry-file.js';
import { asideName, copyFrames, replaceByStart, suffixOfNow } from './file-start.js';
import { unusable } from './folder-access.js';
import { FolderLock } from './folder-lock.js';
import { type FolderState, logName, logsOf, readFolder } from './folder-state.js';
import { readEntries, writeHead } from './log-entries.js';
import { type FileName, scanFrames } from './log-reader.js';

/** What the folder of a `FileStorage` holds. */
export interface StorageContents {
  readonly tenants: number;
  readonly sessions: number;
  readonly tasks: number;
}

/** What an `EntryFolder` holds: the state of a service. */
export interface EntryContents {
  readonly entries: number;
}

/** What a folder holds. */
export type FolderContents = StorageContents | EntryContents;

/** Damage of a folder, and what a repair would lose. */
export interface FolderDamage extends DamagePlace {
  readonly message: string;
  /** Whether everything before the damage can be kept. */
  readonly isRepairable: boolean;
  /** Intact changes at and behind the damage: acknowledged, and lost by a repair. */
  readonly lostChanges: number;
}

/** What `checkFolder` has found. */
export interface FolderCheck {
  /** Absolute path. */
  readonly folder: string;
  /** Absent in a damaged folder. */
  readonly contents?: FolderContents;
  readonly damage?: FolderDamage;
}

/** What `repairFolder` has done. */
export interface FolderRepair extends FolderCheck {
  readonly contents: FolderContents;
  /** Names under which the damaged files are kept. Empty: nothing was damaged. */
  readonly keptAside: readonly string[];
}

const NO_SETTINGS = { epoch: '', limits: {} } as unknown as EngineSettings;

interface CheckedFolder extends FolderCheck {
  readonly disk: Disk;
}

/**
 * Reads a folder of `FileStorage` or `EntryFolder` as its next start would, and changes nothing.
 *
 * @throws {OrchestratorError} `conflict` while a process uses the folder; `invalid_request` for a path without a folder.
 */
export function checkFolder(path: string): Promise<FolderCheck> {
  return inFolder(path, async (checked) => {
    const { disk: _, ...found } = await checked();
    return found;
  });
}

/**
 * Cuts a damaged folder before its damage, so that it can be opened; the damaged files are kept under other names. Readers of
 * event logs get a gap.
 *
 * @throws {OrchestratorError} as `checkFolder`, and `conflict` for damage before which nothing can be kept.
 */
export function repairFolder(path: string): Promise<FolderRepair> {
  return inFolder(path, async (check) => {
    const { folder, disk, contents, damage } = await check();
    if (contents) return { folder, contents, keptAside: [] };
    if (!damage?.isRepairable || damage.position === undefined) {
      const message = `${damage?.message ?? folder}: expected damage in a log, got a folder of which nothing can be kept`;
      throw new OrchestratorError('conflict', message, { retryable: false });
    }
    const content = contentOf(await disk.list());
    const keptAside = await content.cut(disk, folder, { file: damage.file, position: damage.position });
    const repaired = await check();
    if (repaired.contents) return { folder, contents: repaired.contents, damage, keptAside };
    throw new OrchestratorError(
      'internal_error',
      repaired.damage?.message ?? `${folder}: cannot be repaired`,
    );
  });
}

/** Whether a path is a folder that has a log. */
export async function isFolderOfStorage(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true && logsOf(await readdir(path)).length > 0;
}

/** Checks the folder while no other process can open it. */
async function inFolder<T>(
  path: string,
  act: (check: () => Promise<CheckedFolder>) => Promise<T>,
): Promise<T> {
  const folder = resolve(path);
  try {
    return await inLocked(folder, act);
  } catch (error) {
    throw error instanceof OrchestratorError ? error : unusable(folder, error);
  }
}

async function inLocked<T>(
  folder: string,
  act: (check: () => Promise<CheckedFolder>) => Promise<T>,
): Promise<T> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (!found?.isDirectory()) {
    const got = found ? 'a file' : 'none';
    throw new OrchestratorError('invalid_request', `${folder}: expected a folder of a storage, got ${got}`);
  }
  const disk = await openFolder(folder);
  const names = await disk.list();
  if (logsOf(names).length === 0 && entryFilesOf(names).length === 0)
    throw new OrchestratorError(
      'invalid_request',
      `${folder}: expected a folder of a storage, got one without a log`,
    );
  const lock = await FolderLock.take(disk, folder);
  try {
    return await act(async () => ({ disk, folder, ...(await examine(disk, folder)) }));
  } finally {
    await lock.release();
  }
}

/** One of the kinds of content that a folder may have. */
interface Content {
  /** @throws {DamagedFolderError} */
  read(disk: Disk, folder: string): Promise<FolderContents>;
  /** Whether everything before the damage can be kept. */
  isRepairable(place: DamagePlace): boolean;
  /** Intact changes at and behind the damage. */
  changesFrom(disk: Disk, place: DamagePlace): Promise<number>;
  /** Keeps what is before the damage; returns the names under which the damaged files are kept. */
  cut(disk: Disk, folder: string, place: Required<DamagePlace>): Promise<string[]>;
}

/** The file of an `EntryFolder` that counts. */
async function inEntryFile<T>(
  disk: Disk,
  folder: string,
  read: (file: DiskFile, where: FileName) => Promise<T>,
): Promise<T> {
  const name = entryFileName(entryFilesOf(await disk.list()).at(-1) ?? 1);
  const file = await disk.open(name);
  try {
    return await read(file, { folder, name });
  } finally {
    await file.close();
  }
}

async function readEntryContents(file: DiskFile, where: FileName): Promise<EntryContents> {
  const { live } = await scanEntries(file, where);
  return { entries: live.size };
}

async function entryChangesFrom(disk: Disk, { file: name, position = 0 }: DamagePlace): Promise<number> {
  const file = await disk.open(name);
  try {
    let changes = 0;
    for await (const frame of scanFrames(file, position)) changes += changesIn(frame);
    return changes;
  } finally {
    await file.close();
  }
}

const COMMANDS: Content = {
  read: async (disk, folder) => contentsOf(await readFolder({ disk, where: folder, settings: NO_SETTINGS })),
  // Before the head of the first log there is nothing.
  isRepairable: ({ file, position }) => position !== undefined && (position > 0 || numberOf(file) > 1),
  changesFrom: commandsFrom,
  cut: cutLogs,
};

const ENTRIES: Content = {
  read: (disk, folder) => inEntryFile(disk, folder, readEntryContents),
  isRepairable: ({ position = 0 }) => position > 0,
  changesFrom: entryChangesFrom,
  cut: async (disk, folder, { file: name, position }) => [
    await replaceByStart(disk, { name, suffix: suffixOfNow() }, (from, to) =>
      copyFrames(from, to, { folder, name }, position),
    ),
  ],
};

function contentOf(names: readonly string[]): Content {
  return logsOf(names).length > 0 ? COMMANDS : ENTRIES;
}

async function examine(disk: Disk, folder: string): Promise<Pick<FolderCheck, 'contents' | 'damage'>> {
  const content = contentOf(await disk.list());
  try {
    return { contents: await content.read(disk, folder) };
  } catch (error) {
    if (!(error instanceof DamagedFolderError)) throw error;
    const { message, place } = error;
    const lostChanges = await content.changesFrom(disk, place);
    return { damage: { ...place, message, lostChanges, isRepairable: content.isRepairable(place) } };
  }
}

/** What the folder of a storage holds. */
export function contentsOf({ engine }: FolderState): StorageContents {
  const sum = { tenants: 0, sessions: 0, tasks: 0 };
  for (const { sessions, tasks } of engine.state.tenants.after(undefined)) {
    sum.tenants += 1;
    sum.sessions += sessions.size;
    sum.tasks += tasks.size;
  }
  return sum;
}

async function commandsFrom(disk: Disk, { file: name, position = 0 }: DamagePlace): Promise<number> {
  const damaged = numberOf(name);
  let commands = 0;
  for (const number of logsOf(await disk.list())) {
    if (number < damaged) continue;
    const file = await disk.open(logName(number));
    try {
      for await (const { body } of scanFrames(file, number === damaged ? position : 0))
        commands += readEntries(body).length;
    } finally {
      await file.close();
    }
  }
  return commands;
}

function numberOf(name: string): number {
  return logsOf([name])[0] ?? 0;
}

/** The files that are not intact get other names. */
async function cutLogs(
  disk: Disk,
  folder: string,
  { file: name, position }: Required<DamagePlace>,
): Promise<string[]> {
  const damaged = numberOf(name);
  const aside: string[] = [];
  const suffix = suffixOfNow();
  const later = logsOf(await disk.list()).filter((number) => number > damaged);
  // The later ones first: without them the damaged one is the end.
  for (const number of later.toReversed()) {
    const kept = asideName(logName(number), suffix);
    await disk.rename(logName(number), kept);
    aside.push(kept);
  }
  const head = position === 0 ? writeHead({ previousEnd: await endBefore(disk, folder, name) }) : undefined;
  const kept = await replaceByStart(disk, { name, suffix }, async (from, to) => {
    if (head) await to.append([head]);
    else await copyFrames(from, to, { folder, name }, position);
    await to.appendTorn();
  });
  return [...aside, kept];
}

/** End of the log before; 0 after a snapshot, which any log goes on from. */
async function endBefore(disk: Disk, where: string, name: string): Promise<number> {
  const state = await readFolder({ disk, where, settings: NO_SETTINGS, beforeLog: numberOf(name) });
  return state.position;
}
