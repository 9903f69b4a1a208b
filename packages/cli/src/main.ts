import { OrchestratorError } from '@agent-orchestrator/core';
import { EXIT, exitCodeOf } from './exit-code.js';
import { interruption } from './interrupt.js';
import { createProgram, isCommanderEnd } from './program.js';
import { Terminal } from './terminal.js';

/** Runs the command line; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const { stdin, stdout, stderr, env } = process;
  const terminal = new Terminal({ stdin, stdout, stderr, env, cwd: process.cwd() });
  // A reader that has had enough, like `head`, is no error.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT.ok);
  });
  const { signal, stop } = interruption();
  let exitCode: number = EXIT.ok;
  const program = createProgram({
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
    report(error, terminal);
    return exitCodeOf(error);
  } finally {
    stop();
  }
}

function report(error: unknown, terminal: Terminal): void {
  if (terminal.json) {
    const code = error instanceof OrchestratorError ? error.code : 'invalid_request';
    terminal.stderr.write(`${JSON.stringify({ error: { code, message: messageOf(error) } })}\n`);
    return;
  }
  terminal.error(messageOf(error));
  if (!(error instanceof OrchestratorError)) return;
  for (const { path, expected, got } of error.issues ?? []) {
    if ((error.issues?.length ?? 0) > 1)
      terminal.stderr.write(`  ${path}: expected ${expected}, got ${got}\n`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
