import type { Command } from 'commander';
import type { CommandContext } from '../commands/command-context.js';
import type { CheckFlags } from '../commands/services.js';
import type { SettingFlags } from '../settings/settings.js';

const MORE_HELP = `
The service's token is read from SERVICE_TOKEN. Start the service with the same token, and with the address at which this
command listens, e.g. ORCHESTRATOR_URL=http://127.0.0.1:8000. The operation is run about twenty times.
Exit codes: 0 nothing failed, 1 something did, 2 usage, 69 nothing listens at the URL,
or not any more, 78 no token, or the port is in use`;

/** Tools for service developers. */
export function addServiceCommands(program: Command, context: CommandContext): void {
  const services = program.command('services').description('show services, and check one that you write');
  const lists = () => import('../commands/service-list.js');
  services
    .command('list')
    .description('services of a server: breaker, calls, errors and latency of the last five minutes')
    .action(async (flags: SettingFlags) => (await lists()).list(context, flags));
  services
    .command('ping')
    .description('a server asks its services, or one, whether they answer (GET of the URL, at most 5 s)')
    .argument('[name]', 'name of the service')
    .action(async (name: string | undefined, flags: SettingFlags) =>
      (await lists()).ping(context, name, flags),
    );
  services
    .command('check')
    .description(
      'play an orchestrator against a service in any language, and say what the service does wrong',
    )
    .argument('<url>', 'URL of the service')
    .requiredOption('--operation <name>', 'the operation to call')
    .option('-i, --input <json>', 'input of the calls, or @<file> (default: {})')
    .option('--bad-input <json>', 'input that the operation has to refuse, or @<file>')
    .option('--name <name>', 'name of the service (default: the one in its hello)')
    .option('--timeout <seconds>', 'time limit of an answer, and of silence of a job (default: 30 and 60)')
    .option('--listen <port>', 'where the service finds this orchestrator, 0 for any (default: 8000)')
    .option('--host <host>', 'the address to listen on (default: 127.0.0.1)')
    .addHelpText('after', MORE_HELP)
    .action(async (url: string, flags: CheckFlags) =>
      (await import('../commands/services.js')).check(context, url, flags),
    );
}
