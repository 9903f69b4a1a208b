import { crc32 } from 'node:zlib';
import { z } from 'zod';
import type { Command, CommandName, CommandResult } from '../engine/command.js';
import type { EngineSettings } from '../engine/engine-state.js';
import { OrchestratorError } from '../protocol/errors.js';
import { writeJson } from '../protocol/known-text.js';

/** Version of the format of logs and snapshots. */
export const FORMAT = 1;
/**
 * Version of the engine's rules: raised with each change after which the same commands may have other results, or lead to
 * another state.
 */
export const ENGINE_VERSION = 1;

/** @throws {OrchestratorError} for a file of a later version, which may have stored what this one would drop. */
export function refuseNewer(
  engine: number,
  { folder, name }: { readonly folder: string; readonly name: string },
): void {
  if (engine <= ENGINE_VERSION) return;
  throw new OrchestratorError(
    'internal_error',
    `${folder}/${name}: expected version ${ENGINE_VERSION} of the engine at most, got version ${engine}: use the version that wrote it, or a later one`,
  );
}

const settingsSchema = z.object({ epoch: z.string(), limits: z.record(z.string(), z.number()) });
const headSchema = z.union([
  z.object({ format: z.literal(FORMAT), engine: z.int(), settings: settingsSchema }),
  z.object({ format: z.literal(FORMAT), engine: z.int(), previousEnd: z.int() }),
]);

/** First frame of a log: the settings of a new engine, or where the log before has ended. */
export type LogHead =
  | { readonly engine: number; readonly settings: EngineSettings }
  | { readonly engine: number; readonly previousEnd: number };

type NewLogHead = { readonly settings: EngineSettings } | { readonly previousEnd: number };

export function writeHead(head: NewLogHead): Buffer {
  return Buffer.from(JSON.stringify({ format: FORMAT, engine: ENGINE_VERSION, ...head }));
}

/** @throws for a frame that is no head, or one of another format. */
export function readHead(body: Buffer): LogHead {
  return headSchema.parse(JSON.parse(body.toString())) as unknown as LogHead;
}

/** A command of the log, and the digest of its answer. */
export interface LogEntry {
  readonly command: string;
  readonly digest: string;
}

/** One line: JSON has no line breaks of its own. */
export function writeEntry({ command, digest }: LogEntry): string {
  return `${digest} ${command}\n`;
}

/** The entries of a frame. */
export function readEntries(body: Buffer): LogEntry[] {
  const lines = body.toString().split('\n').slice(0, -1);
  return lines.map((line) => ({ digest: line.slice(0, 8), command: line.slice(9) }));
}

export function textOfCommand(command: Command): string {
  return writeJson(command);
}

export function commandOf(text: string): Command {
  return JSON.parse(text) as Command;
}

/** CRC of an answer as JSON, 8 hexadecimal digits. */
export function digestOf(result: CommandResult<CommandName>): string {
  const sum = result === undefined ? 0 : crc32(writeJson(result));
  return sum.toString(16).padStart(8, '0');
}
