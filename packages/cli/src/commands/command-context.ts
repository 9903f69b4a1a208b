import type { Command } from 'commander';
import { connect, type Connection } from '../client/connection.js';
import { UsageError } from '../exit-code.js';
import { readSettings, type SettingFlags, type Settings } from '../settings/settings.js';
import type { RedisSetting } from '../settings/redis-setting.js';
import type { OperatorStorage } from '../storage/operator-storage.js';
import type { Terminal } from '../terminal.js';

/** Context of every command. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Aborts at SIGINT, SIGTERM, and when the reader of the output has gone. */
  readonly signal: AbortSignal;
  /** Sets the exit code of the process. */
  exit(code: number): void;
  /** Opens the storage for operators. Default: the Redis of the settings. */
  readonly openStorage?: OpenStorage;
}

export type OpenStorage = (
  setting: RedisSetting,
  options: { readonly signal: AbortSignal; readonly waitMs?: number },
) => Promise<OperatorStorage>;

/** Flags of commands that run an orchestrator. */
export function withServerFlags(command: Command): Command {
  return command
    .option('--port <port>', 'port to listen on, 0 for any (default: ORCHESTRATOR_PORT, else 8000)')
    .option('--host <host>', 'address to listen on (default: ORCHESTRATOR_HOST, else 127.0.0.1)');
}

/** Flags of commands that may share a storage. */
export function withStorageFlags(command: Command): Command {
  return command
    .option('--redis <url>', 'storage, instead of memory (default: ORCHESTRATOR_REDIS_URL)')
    .option('--concurrency <n>', 'concurrent tasks (default: 100)');
}

/** Settings of a command that runs an orchestrator. */
export async function serverSettings({ terminal }: CommandContext, flags: SettingFlags): Promise<Settings> {
  if (flags.url !== undefined) {
    throw new UsageError(
      '--url names an orchestrator to talk to: expected --port and --host here, got --url',
    );
  }
  return readSettings(flags, terminal.env, terminal.cwd);
}

export async function connectionOf({ terminal }: CommandContext, flags: SettingFlags): Promise<Connection> {
  return connect(await readSettings(flags, terminal.env, terminal.cwd), terminal.cwd);
}
