import type { CommandContext } from './commands/command-context.js';
import { EXIT } from './errors/errors.js';
import { interruption } from './terminal/interrupt.js';
import { createProgram, isCommanderEnd } from './program/program.js';
import { Terminal } from './terminal/terminal.js';

/** Runs the command line; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const { stdin, stdout, stderr, env } = process;
  const terminal = new Terminal({ stdin, stdout, stderr, env, cwd: process.cwd() });
  const interrupt = interruption();
  let brokenOutput: number | undefined;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A closed reader, like `head`, is not an error.
    brokenOutput = error.code === 'EPIPE' ? EXIT.ok : EXIT.taskFailed;
    if (brokenOutput !== EXIT.ok) terminal.failure('internal_error', `stdout: ${error.message}`);
    // The error may arrive after everything else has ended.
    process.exitCode = brokenOutput;
    interrupt.fire('stdout is closed');
  });
  // stderr itself is closed: nothing can be reported.
  stderr.on('error', () => {});
  try {
    const leaveSignals = () => interrupt.stop();
    const exitCode = await runCommandLine(args, terminal, interrupt.signal, { leaveSignals });
    return brokenOutput ?? exitCode;
  } finally {
    interrupt.stop();
  }
}

/** `main` with given streams and signals. */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
  ports: Pick<CommandContext, 'openStorage' | 'leaveSignals'> = {},
): Promise<number> {
  // Usage errors honour `--json` too.
  terminal.json = args.includes('--json');
  let exitCode: number = EXIT.ok;
  const program = createProgram({
    ...ports,
    terminal,
    signal,
    exit: (code) => {
      exitCode = code;
    },
  });
  try {
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (isCommanderEnd(error)) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (signal.aborted) return EXIT.interrupted;
    const { report } = await import('./print/report.js');
    return report(error, terminal);
  }
}
