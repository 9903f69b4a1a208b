import type { Command } from 'commander';
import { connect, type Connection } from '../client/connection.js';
import { UsageError } from '../exit-code.js';
import { readSettings, type SettingFlags, type Settings } from '../settings/settings.js';
import type { RedisSetting } from '../settings/redis-setting.js';
import type { OperatorStorage } from '../storage/operator-storage.js';
import type { Terminal } from '../terminal.js';

/** What every command is given. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Fires at SIGINT and SIGTERM, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** Says what the process ends with. */
  exit(code: number): void;
  /** Where the storage comes from that is looked into. Default: the Redis of the setting. */
  readonly openStorage?: OpenStorage;
}

export type OpenStorage = (
  setting: RedisSetting,
  options: { readonly signal: AbortSignal; readonly waitMs?: number },
) => Promise<OperatorStorage>;

/** The flags of commands that are an orchestrator. */
export function withServerFlags(command: Command): Command {
  return command
    .option('--port <port>', 'port to listen on, 0 for any (default: ORCHESTRATOR_PORT, else 8000)')
    .option('--host <host>', 'address to listen on (default: ORCHESTRATOR_HOST, else 127.0.0.1)');
}

/** The flags of those that may share a storage with others. */
export function withStorageFlags(command: Command): Command {
  return command
    .option('--redis <url>', 'keep everything there instead of in memory (default: ORCHESTRATOR_REDIS_URL)')
    .option('--concurrency <n>', 'how many tasks are run at once (default: 100)');
}

/** The settings of a command that is an orchestrator. */
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
