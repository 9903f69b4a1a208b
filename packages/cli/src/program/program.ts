import { Argument, Command, CommanderError } from 'commander';
import type { CommandContext } from '../commands/command-context.js';
import { version } from '../settings/version.js';
import { OWN_SETTINGS } from '../storage/own-settings.js';
import { completionScript, type Shell, SHELLS } from './completion.js';
import { addOperatingCommands } from './operating.js';
import { addRunningCommands } from './running.js';
import { addServiceCommands } from './services.js';
import { addStorageCommands } from './storage.js';
import { addUsingCommands } from './using.js';

const storageVariables = OWN_SETTINGS.flatMap(({ variable, password }) => [variable, password.variable]).join(
  ', ',
);
const MORE_HELP = `
Try it:
  orchestrator-cli dev                        start everything, in one terminal
  orchestrator-cli ingest ./docs              in another one
  orchestrator-cli chat "how do I …?"

Environment: ORCHESTRATOR_URL, ORCHESTRATOR_API_KEY (what this command sends), ORCHESTRATOR_OPERATOR_TOKEN (what commands
for operators send, and a server accepts), ORCHESTRATOR_OPERATOR_READ_TOKEN, ORCHESTRATOR_PORT, ORCHESTRATOR_HOST, ORCHESTRATOR_API_KEYS,
ORCHESTRATOR_SERVICE_TOKENS, ORCHESTRATOR_LLM_URL|KEY|MODEL,
ORCHESTRATOR_STORAGE, ${storageVariables}, ORCHESTRATOR_ROLE, SERVICE_TOKEN (for "services check"),
ORCHESTRATOR_LOG=debug|info|warn|error|silent, ORCHESTRATOR_LOG_FORMAT=json|text, NO_COLOR
Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 denied, 5 limited, 69 unreachable, 75 time-out, 78 configuration, 130 interrupted`;

/** The command line. Commands are loaded when they run. Actions throw; `main` prints the error and sets the exit code. */
export function createProgram(context: CommandContext): Command {
  const { terminal } = context;
  const program: Command = new Command('orchestrator-cli')
    .description('Run an agent orchestrator, use it, inspect it.')
    .version(version)
    .option('--json', 'data as JSON, one value per line, without messages')
    .option(
      '--config <file>',
      'settings file (default: orchestrator.config.mjs, .ts or .json in this folder)',
    )
    .option(
      '--url <url>',
      'the orchestrator to talk to (default: ORCHESTRATOR_URL, else the "dev" of this folder, else http://127.0.0.1:8000)',
    )
    .configureHelp({ showGlobalOptions: true })
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      outputError: (text) => terminal.failure('invalid_request', usageLine(text)),
    })
    .addHelpText('after', (about) => (about.command === program ? MORE_HELP : ''));
  // Global flags may come before or after the command.
  program.hook('preAction', (_, action) => {
    for (const [name, value] of Object.entries(program.opts())) action.setOptionValue(name, value);
    terminal.json = program.opts()['json'] === true;
  });
  program.commandsGroup('Start an orchestrator:');
  addRunningCommands(program, context);
  program.commandsGroup('Use it:');
  addUsingCommands(program, context);
  program.commandsGroup('Operate it:');
  addOperatingCommands(program, context);
  addStorageCommands(program, context);
  program.commandsGroup('Write a service:');
  addServiceCommands(program, context);
  program.commandsGroup('This command line:');
  addOwnCommands(program, context);
  for (const command of everyCommand(program)) command.copyInheritedSettings(program);
  return program;
}

/** Commands about the command line itself. */
function addOwnCommands(program: Command, { terminal }: CommandContext): void {
  program
    .command('completion')
    .description(
      'print a script that completes commands and flags: eval "$(orchestrator-cli completion bash)"',
    )
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: Shell) => terminal.data(completionScript(program, shell)));
  program
    .command('help')
    .description('print the help of a command')
    .argument('[command...]')
    .action((names: string[]) => {
      let command = program;
      for (const name of names) {
        const child = command.commands.find((one) => one.name() === name);
        if (!child) program.error(`error: unknown command '${names.join(' ')}'`);
        command = child;
      }
      command.help();
    });
  program
    .command('version')
    .description('print the version')
    .action(() => terminal.data(version));
}

/** A message of commander in one line: "error: unknown option '--jsno'\n(Did you mean --json?)\n". */
function usageLine(text: string): string {
  const [what = '', ...hints] = text
    .trim()
    .split('\n')
    .map((line) => line.trim());
  const meant = hints.map((hint) => ` ${hint.replace('(Did', '(did')}`).join('');
  return `${what.replace(/^error: /, '').replace(/\.$/, '')}${meant}; --help says more`;
}

function* everyCommand(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child;
    yield* everyCommand(child);
  }
}

/** Whether commander has printed everything: help, version, or a usage error. */
export function isCommanderEnd(error: unknown): error is CommanderError {
  return error instanceof CommanderError;
}
