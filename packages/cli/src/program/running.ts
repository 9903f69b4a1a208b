import type { Command } from 'commander';
import type { CommandContext } from '../commands/command-context.js';
import type { DemoFlags } from '../commands/demo.js';
import type { DevFlags } from '../commands/serve.js';
import type { SettingFlags } from '../settings/settings.js';
import { withServerFlags, withStorageFlags } from './flags.js';

const QUESTION = 'What happens to a task when the worker that runs it dies?';

/** Commands that run an orchestrator. */
export function addRunningCommands(program: Command, context: CommandContext): void {
  withStorageFlags(withServerFlags(program.command('dev')))
    .description('start an orchestrator with the local stack of services, for development')
    .option('--split', 'run every service in a process of its own, over HTTP, restarted when it exits')
    .action(async (flags: DevFlags) => (await import('../commands/serve.js')).dev(context, flags));
  withStorageFlags(withServerFlags(program.command('serve')))
    .description('start an orchestrator for the services and workflows of the config file')
    .option(
      '--role <role>',
      'api answers clients and services, worker runs tasks, all does both (default: ORCHESTRATOR_ROLE, else all)',
    )
    .action(async (flags: SettingFlags) => (await import('../commands/serve.js')).serve(context, flags));
  withStorageFlags(withServerFlags(program.command('demo')))
    .description('demo: start, ingest documents, ask a question, print the answer with citations')
    .argument('[paths...]', "documents to ingest (default: the project's own documentation)")
    .option('--once', 'exit after the answer; without --storage it keeps nothing')
    .option('--question <text>', 'question to ask', QUESTION)
    .action(async (paths: string[], flags: DemoFlags) =>
      (await import('../commands/demo.js')).demo(context, paths, flags),
    );
}
