import type { Command } from 'commander';
import type { CommandContext } from '../commands/command-context.js';
import type { RepairFlags } from '../commands/storage.js';
import type { SettingFlags } from '../settings/settings.js';
import { withIdleStorageFlags } from './flags.js';

const FOLDER = 'folder of the storage, or its file: URL (default: that of the settings)';

/** Commands for a storage that no process uses at the moment. */
export function addStorageCommands(program: Command, context: CommandContext): void {
  const actions = () => import('../commands/storage.js');
  const storage = program
    .command('storage')
    .description('check, repair, export and import a storage that no process uses');
  storage
    .command('check')
    .description('read a folder as the next start would, and change nothing')
    .argument('[folder]', FOLDER)
    .action(async (folder: string | undefined, flags: SettingFlags) =>
      (await actions()).check(context, folder, flags),
    );
  storage
    .command('repair')
    .description('cut a damaged folder before its damage; the damaged files are kept under other names')
    .argument('[folder]', FOLDER)
    .option('--yes', 'lose what "storage check" says')
    .action(async (folder: string | undefined, flags: RepairFlags) =>
      (await actions()).repair(context, folder, flags),
    );
  const portable = () => import('../commands/portable-storage.js');
  withIdleStorageFlags(storage.command('export'))
    .description('write everything that a storage keeps as lines of JSON, for "storage import"')
    .argument('[file]', 'file to write; it must not exist (default: standard output)')
    .action(async (file: string | undefined, flags: SettingFlags) =>
      (await portable()).exportStorage(context, file, flags),
    );
  withIdleStorageFlags(storage.command('import'))
    .description('fill an empty storage with what "storage export" has written')
    .argument('<file>', 'the export; "-" for standard input')
    .action(async (file: string, flags: SettingFlags) =>
      (await portable()).importStorage(context, file, flags),
    );
}
