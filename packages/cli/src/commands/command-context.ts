import { idSchema, uuidSchema, validate } from '@agent-orchestrator/core';
import type { Command } from 'commander';
import { connect, type Connection } from '../client/connection.js';
import { UsageError } from '../exit-code.js';
import { readSettings, type SettingFlags, type Settings } from '../settings/settings.js';
import type { Terminal } from '../terminal.js';

/** What every command is given. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Fires at SIGINT and SIGTERM, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** Says what the process ends with. */
  exit(code: number): void;
}

/** The flags of commands that are an orchestrator. */
export function withServerFlags(command: Command): Command {
  return command
    .option('--port <port>', 'port to listen on, 0 for any (default: ORCHESTRATOR_PORT, else 8000)')
    .option('--host <host>', 'address to listen on (default: ORCHESTRATOR_HOST, else 127.0.0.1)');
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

/** The path of a task's route. @throws {OrchestratorError} `invalid_request` for what can be no task's id. */
export function taskPath(taskId: string): string {
  return `/v1/tasks/${validate(uuidSchema, taskId, 'task-id')}`;
}

/** The path of a session's route. @throws {OrchestratorError} `invalid_request` for what can be no session's id. */
export function sessionPath(sessionId: string): string {
  return `/v1/sessions/${encodeURIComponent(validate(idSchema, sessionId, 'session-id'))}`;
}
