import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JsonRefusedError, parseJson } from '@agent-orchestrator/core/protocol';
import { ConfigurationError } from '../errors/errors.js';

/** In the order in which they are looked for. */
const NAMES = ['mjs', 'ts', 'mts', 'json'].map((ending) => `orchestrator.config.${ending}`);

export interface ConfigFile {
  /** Absent without a file. */
  readonly path?: string;
  readonly settings: Record<string, unknown>;
}

/** Reads the file of `--config`, else `orchestrator.config.mjs`, `.ts`, `.mts` or `.json` in this folder, else nothing. */
export async function readConfigFile(cwd: string, named: string | undefined): Promise<ConfigFile> {
  const candidates =
    named === undefined ? NAMES.map((name) => join(cwd, name)) : named === '' ? [] : [resolve(cwd, named)];
  for (const path of candidates) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return { path, settings: await readOne(path) };
  }
  if (named === undefined) return { settings: {} };
  throw new ConfigurationError(`--config: expected a file, got "${named}", which is not a file`);
}

async function readOne(path: string): Promise<Record<string, unknown>> {
  const json = path.endsWith('.json');
  if (!json && !/\.m?[jt]s$/.test(path)) {
    throw new ConfigurationError(`${path}: expected a file that ends in .mjs, .ts or .json`);
  }
  const settings = json ? await readJson(path) : (await importModule(path))['default'];
  if (typeof settings === 'object' && settings !== null && !Array.isArray(settings)) {
    return settings as Record<string, unknown>;
  }
  const form = json ? 'an object of settings' : 'an object of settings as default export';
  throw new ConfigurationError(
    `${path}: expected ${form}, got ${settings === undefined ? 'nothing' : 'something else'}`,
  );
}

/** Whether Node strips types by itself. */
function runsTypeScript(): boolean {
  const { typescript = false } = process.features as { readonly typescript?: string | false };
  return typescript !== false;
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigurationError(`${path}: ${(error as Error).message}`, { cause: error });
  }
  try {
    return parseJson(text);
  } catch (error) {
    const reason = error instanceof JsonRefusedError ? error.reason : '';
    throw new ConfigurationError(`${path}: expected JSON, got ${jsonFault(text, reason)}`);
  }
}

/** Position at which a text stops being JSON. Its content is not repeated: it may be a secret. */
export function jsonFault(text: string, reason: string): string {
  if (!reason.startsWith('expected JSON')) return 'keys or a depth that are not allowed';
  const at = / at position (\d+)/.exec(reason)?.[1];
  if (at === undefined)
    return reason.includes('end of JSON') ? 'an end in the middle' : 'a mistake in its syntax';
  const before = text.slice(0, Number(at)).split('\n');
  return `a mistake at line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

/**
 * The exports of a module.
 * @throws {ConfigurationError} with the line of a mistake in it.
 */
export async function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  if (path.endsWith('ts') && !runsTypeScript()) {
    const { version } = process;
    throw new ConfigurationError(
      `${path}: expected Node 22.18 or later for TypeScript, got ${version}: use .mjs`,
    );
  }
  const { href } = pathToFileURL(path);
  try {
    return (await import(href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const { message, stack = '' } = error as Error;
    const line = stack.split(`${href}:`)[1]?.match(/^\d+/)?.[0];
    throw new ConfigurationError(`${path}${line === undefined ? '' : `:${line}`}: ${message}`, {
      cause: error,
    });
  }
}
