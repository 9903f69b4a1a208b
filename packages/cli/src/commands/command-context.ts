import type { Command } from 'commander';
import { connect, type Connection } from '../client/connection.js';
import { readSettings, type SettingFlags, type Settings } from '../settings/settings.js';
import type { Terminal } from '../terminal.js';

/** What every command is given. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Fires at SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Says what the process ends with. */
  exit(code: number): void;
}

export interface CommonFlags extends SettingFlags {
  readonly json?: boolean;
}

/** `--json` and `--config`, as every command has them. */
export function withCommonFlags(command: Command): Command {
  return command
    .option('--json', 'data as JSON, one value a line, and no talk')
    .option('--config <file>', 'settings file (default: orchestrator.config.mjs or .json in this folder)');
}

/** Those of commands that talk to a running orchestrator. */
export function withClientFlags(command: Command): Command {
  return withCommonFlags(command).option(
    '--url <url>',
    'the orchestrator (default: http://127.0.0.1:8000, or ORCHESTRATOR_URL)',
  );
}

/** Those of commands that are an orchestrator. */
export function withServerFlags(command: Command): Command {
  return withCommonFlags(command)
    .option('--port <port>', 'port to listen on, 0 for any (default: 8000, or ORCHESTRATOR_PORT)')
    .option('--host <host>', 'address to listen on (default: 127.0.0.1, or ORCHESTRATOR_HOST)');
}

export async function settingsOf(context: CommandContext, flags: CommonFlags): Promise<Settings> {
  context.terminal.json = flags.json === true;
  return readSettings(flags, context.terminal.env, context.terminal.cwd);
}

export async function connectionOf(context: CommandContext, flags: CommonFlags): Promise<Connection> {
  return connect(await settingsOf(context, flags), context.terminal.cwd);
}
