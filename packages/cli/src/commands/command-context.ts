import { connect, type Connection } from '../client/connection.js';
import { UsageError } from '../errors/errors.js';
import { readSettings, type SettingFlags, type Settings } from '../settings/settings.js';
import type { Storage } from '@agent-orchestrator/core';
import { STORAGE_SETTINGS } from '../storage/own-settings.js';
import type { InspectStorageOptions } from '../storage/storage-kind.js';
import type { Terminal } from '../terminal/terminal.js';

/** Context of every command. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Aborts at SIGINT, SIGTERM, and when the reader of the output has gone. */
  readonly signal: AbortSignal;
  /**
   * From now on SIGINT and SIGTERM end the process at once. Before code of others runs: it may never give the handlers of
   * signals a turn. Absent: there are no signals.
   */
  readonly leaveSignals?: () => void;
  /** Sets the exit code of the process. */
  exit(code: number): void;
  /** Opens the storage for operators. Default: that of the settings. */
  readonly openStorage?: OpenStorage;
}

export type OpenStorage = (options: InspectStorageOptions) => Promise<Storage>;

/** Settings of a command that runs an orchestrator. */
export async function serverSettings({ terminal }: CommandContext, flags: SettingFlags): Promise<Settings> {
  if (flags.url !== undefined) {
    throw new UsageError(
      '--url names an orchestrator to talk to: expected --port and --host here, got --url',
    );
  }
  return readSettings(flags, terminal.env, terminal.cwd);
}

/** Whether a flag names a storage. */
export function namesStorage(flags: SettingFlags): boolean {
  const given: Readonly<Record<string, unknown>> = { ...flags };
  return STORAGE_SETTINGS.some((name) => given[name] !== undefined);
}

export async function connectionOf({ terminal }: CommandContext, flags: SettingFlags): Promise<Connection> {
  return connect(await readSettings(flags, terminal.env, terminal.cwd), terminal.cwd);
}
