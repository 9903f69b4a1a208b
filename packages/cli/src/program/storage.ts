import type { Command } from 'commander';
import type { CommandContext } from '../commands/command-context.js';
import type { RepairFlags } from '../commands/storage.js';

const FOLDER = '.orchestrator/data';

/** Commands for the folder of a storage that no process uses at the moment. */
export function addStorageCommands(program: Command, context: CommandContext): void {
  const actions = () => import('../commands/storage.js');
  const storage = program.command('storage').description('check and repair the folder of a storage');
  storage
    .command('check')
    .description('read a folder as the next start would, and change nothing')
    .argument('[folder]', 'folder of the storage, or its file: URL', FOLDER)
    .action(async (folder: string) => (await actions()).check(context, folder));
  storage
    .command('repair')
    .description('cut a damaged folder before its damage; the damaged files are kept under other names')
    .argument('[folder]', 'folder of the storage, or its file: URL', FOLDER)
    .option('--yes', 'lose what "storage check" says')
    .action(async (folder: string, flags: RepairFlags) => (await actions()).repair(context, folder, flags));
}
