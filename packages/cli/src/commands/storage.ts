import { resolve } from 'node:path';
import { OrchestratorError } from '@agent-orchestrator/core';
import {
  checkFolder,
  type FolderContents,
  type FolderDamage,
  folderOfUrl,
  repairFolder,
} from '@agent-orchestrator/core/server';
import { ConfigurationError, EXIT, UsageError } from '../errors/errors.js';
import { readSettings, type SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';

export interface RepairFlags extends SettingFlags {
  readonly yes?: boolean;
}

/** Reads a folder as its next start would. Exit code 1: it is damaged. */
export async function check(
  context: CommandContext,
  path: string | undefined,
  flags: SettingFlags,
): Promise<void> {
  const { terminal } = context;
  const folder = await folderOf(context, path, flags);
  const { contents, damage } = await reading(() => checkFolder(folder));
  if (terminal.json)
    terminal.record({ folder, ...(contents && { contents }), ...(damage && { damage: recordOf(damage) }) });
  else if (contents) terminal.data(`${folder}: intact, ${textOf(contents)}`);
  else if (damage) for (const line of linesOf(damage)) terminal.data(line);
  if (damage) context.exit(EXIT.taskFailed);
}

/** Cuts a damaged folder before its damage, if that is what the operator wants. */
export async function repair(
  context: CommandContext,
  path: string | undefined,
  flags: RepairFlags,
): Promise<void> {
  const { terminal } = context;
  const folder = await folderOf(context, path, flags);
  if (flags.yes !== true) {
    const { damage } = await reading(() => checkFolder(folder));
    if (damage)
      throw new UsageError(`${linesOf(damage).join('\n  ')}\n  expected --yes to repair it, got nothing`);
  }
  const { contents, keptAside } = await reading(() => repairFolder(folder));
  if (terminal.json) {
    terminal.record({ folder, contents, kept_aside: [...keptAside] });
    return;
  }
  const what = keptAside.length === 0 ? 'intact, nothing to repair' : 'repaired';
  terminal.data(`${folder}: ${what}, ${textOf(contents)}`);
  for (const name of keptAside) terminal.talk(`the damaged file is kept as ${name}`);
}

/** A folder, or its URL as `--storage` has it; without any, that of the settings. */
async function folderOf(
  { terminal }: CommandContext,
  path: string | undefined,
  flags: SettingFlags,
): Promise<string> {
  if (path === '') throw new UsageError('expected a folder, got ""');
  if (path !== undefined) return resolve(terminal.cwd, folderOfUrl(path) ?? path);
  const { storage } = await readSettings(flags, terminal.env, terminal.cwd);
  if (storage.folder !== undefined) return resolve(terminal.cwd, storage.folder);
  throw new ConfigurationError(
    `expected a folder, as the storage of the settings is in none: ${storage.label}`,
  );
}

const ONE = { tenants: 'tenant', sessions: 'session', tasks: 'task', entries: 'entry' } as const;

function textOf(contents: FolderContents): string {
  const counts = Object.entries(contents) as [keyof typeof ONE, number][];
  return counts.map(([what, count]) => `${count} ${count === 1 ? ONE[what] : what}`).join(', ');
}

function recordOf({ file, position, message, isRepairable, lostChanges }: FolderDamage) {
  return {
    file,
    ...(position !== undefined && { position }),
    message,
    repairable: isRepairable,
    lost_changes: lostChanges,
  };
}

function linesOf({ message, isRepairable, lostChanges }: FolderDamage): string[] {
  if (!isRepairable)
    return [message, 'it cannot be repaired: restore the folder from a copy, or use another one'];
  return [
    message,
    `a repair keeps everything before, and loses what was damaged and ${lostChanges} intact changes behind it`,
  ];
}

/** A folder that cannot be read is a matter of the settings. */
async function reading<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof OrchestratorError) || error.code === 'internal_error') throw error;
    throw new ConfigurationError(error.message, { cause: error });
  }
}
