import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type JsonValue } from '@agent-orchestrator/core';
import { JsonRefusedError, MAX_RESULT_BYTES, parseJson } from '@agent-orchestrator/core/protocol';
import { UsageError } from '../errors/errors.js';

/**
 * JSON of a file.
 * @param maxBytes default 1 MiB.
 * @throws {UsageError} with the file, the expected and the actual content.
 */
export async function readJsonFile(
  cwd: string,
  given: string,
  maxBytes: number = MAX_RESULT_BYTES,
): Promise<JsonValue> {
  const path = resolve(cwd, given);
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      `${given}: expected a file, got ${error.code === 'ENOENT' ? 'nothing there' : error.message}`,
    );
  });
  // A pipe or a device may never end.
  if (!found.isFile()) throw new UsageError(`${given}: expected a file, got ${kindOf(found)}`);
  if (found.size > maxBytes) {
    throw new UsageError(`${given}: expected at most ${maxBytes} bytes, got ${found.size}`);
  }
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new UsageError(`${given}: expected a readable file, got ${error.message}`);
  });
  return jsonOf(text, given);
}

/** JSON of a text. @throws {UsageError} */
export function jsonOf(text: string, what: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonRefusedError)) throw error;
    throw new UsageError(`${what}: ${text.trim() === '' ? 'expected JSON, got nothing' : error.reason}`);
  }
}

/** JSON of a flag: the text, or the file after `@`. @throws {UsageError} */
export function jsonOfFlag(cwd: string, text: string, flag: string): Promise<JsonValue> | JsonValue {
  return text.startsWith('@') ? readJsonFile(cwd, text.slice(1)) : jsonOf(text, flag);
}

/** Kind of a file-system entry. */
export function kindOf(found: { isDirectory(): boolean; isFIFO(): boolean }): string {
  if (found.isDirectory()) return 'a folder';
  return found.isFIFO() ? 'a pipe' : 'a device or socket';
}
