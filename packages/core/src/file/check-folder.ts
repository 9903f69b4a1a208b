import { readdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { EngineSettings } from '../engine/engine-state.js';
import { OrchestratorError } from '../protocol/errors.js';
import { type DamagePlace, DamagedFolderError } from './damage.js';
import { type Disk, openFolder } from './disk.js';
import { FolderLock } from './folder-lock.js';
import { type FolderState, logName, logsOf, readFolder } from './folder-state.js';
import { readEntries, writeHead } from './log-entries.js';
import { readFrames, scanFrames } from './log-reader.js';
import { LogWriter } from './log-writer.js';

/** Tenants, sessions and tasks that a folder holds. */
export interface FolderContents {
  readonly tenants: number;
  readonly sessions: number;
  readonly tasks: number;
}

/** Damage of a folder, and what a repair would lose. */
export interface FolderDamage extends DamagePlace {
  readonly message: string;
  /** Whether everything before the damage can be kept. */
  readonly isRepairable: boolean;
  /** Intact commands at and behind the damage: acknowledged, and lost by a repair. */
  readonly lostCommands: number;
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
/** Behind the last kept frame: the next start cuts it, and gives the event logs a new epoch. */
const TORN = Buffer.from([1]);

interface CheckedFolder extends FolderCheck {
  readonly disk: Disk;
}

/**
 * Reads a folder of `FileStorage` as its next start would, and changes nothing.
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
    const keptAside = await cut(disk, folder, { file: damage.file, position: damage.position });
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
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory())
    throw new OrchestratorError('invalid_request', `${folder}: expected a folder of a storage, got none`);
  const disk = await openFolder(folder);
  if (logsOf(await disk.list()).length === 0)
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

async function examine(disk: Disk, folder: string): Promise<Pick<FolderCheck, 'contents' | 'damage'>> {
  try {
    return { contents: contentsOf(await readFolder({ disk, where: folder, settings: NO_SETTINGS })) };
  } catch (error) {
    if (!(error instanceof DamagedFolderError)) throw error;
    const { message, place } = error;
    const damage = { ...place, message, lostCommands: await commandsFrom(disk, place) };
    // Before the head of the first log there is nothing.
    const isRepairable = place.position !== undefined && (place.position > 0 || numberOf(place.file) > 1);
    return { damage: { ...damage, isRepairable } };
  }
}

/** What a folder holds. */
export function contentsOf({ engine }: FolderState): FolderContents {
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
async function cut(
  disk: Disk,
  folder: string,
  { file: name, position }: Required<DamagePlace>,
): Promise<string[]> {
  const damaged = numberOf(name);
  const aside: string[] = [];
  const suffix = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const later = logsOf(await disk.list()).filter((number) => number > damaged);
  // The later ones first: without them the damaged one is the end.
  for (const number of later.toReversed()) {
    const kept = `damaged-${suffix}-${logName(number)}`;
    await disk.rename(logName(number), kept);
    aside.push(kept);
  }
  const repaired = `repaired-${name}`;
  await writeStart(disk, folder, { name, repaired, position });
  const kept = `damaged-${suffix}-${name}`;
  await disk.link(name, kept);
  await disk.rename(repaired, name);
  await disk.sync();
  return [...aside, kept];
}

/** A log that ends at `position`, or has a head only. */
async function writeStart(
  disk: Disk,
  folder: string,
  {
    name,
    repaired,
    position,
  }: { readonly name: string; readonly repaired: string; readonly position: number },
): Promise<void> {
  const [from, to] = [await disk.open(name), await disk.open(repaired)];
  try {
    await to.truncate(0);
    const log = new LogWriter({ file: to, position: 0, durability: 'process' });
    if (position === 0) await log.append([writeHead({ previousEnd: await endBefore(disk, folder, name) })]);
    else {
      for await (const { body } of readFrames(from, { folder, name }, position)) await log.append([body]);
    }
    await to.write([TORN], log.position);
    await log.sync();
  } finally {
    await from.close();
    await to.close();
  }
}

/** End of the log before; 0 after a snapshot, which any log goes on from. */
async function endBefore(disk: Disk, where: string, name: string): Promise<number> {
  const state = await readFolder({ disk, where, settings: NO_SETTINGS, beforeLog: numberOf(name) });
  return state.position;
}
