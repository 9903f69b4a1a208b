import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JsonRefusedError, parseJson } from '@agent-orchestrator/core';
import { ConfigurationError } from '../exit-code.js';

const NAMES = ['orchestrator.config.mjs', 'orchestrator.config.json'];

export interface ConfigFile {
  /** Absent: there is none. */
  readonly path?: string;
  readonly settings: Record<string, unknown>;
}

/** Reads the file that `--config` names, else `orchestrator.config.mjs` or `.json` in this folder, else nothing. */
export async function readConfigFile(cwd: string, named: string | undefined): Promise<ConfigFile> {
  const candidates =
    named === undefined
      ? NAMES.map((name) => join(cwd, name))
      : [isAbsolute(named) ? named : resolve(cwd, named)];
  for (const path of candidates) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return { path, settings: await readOne(path) };
  }
  if (named !== undefined)
    throw new ConfigurationError(`--config: expected a file, got "${named}", which is none`);
  return { settings: {} };
}

async function readOne(path: string): Promise<Record<string, unknown>> {
  const settings = path.endsWith('.json') ? await readJson(path) : await importModule(path);
  if (typeof settings === 'object' && settings !== null && !Array.isArray(settings)) {
    return settings as Record<string, unknown>;
  }
  throw new ConfigurationError(
    `${path}: expected an object of settings${path.endsWith('.json') ? '' : ' as default export'}`,
  );
}

async function readJson(path: string): Promise<unknown> {
  try {
    return parseJson(await readFile(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof JsonRefusedError ? error.reason : (error as Error).message;
    throw new ConfigurationError(`${path}: ${reason}`, { cause: error });
  }
}

async function importModule(path: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
    return module.default;
  } catch (error) {
    throw new ConfigurationError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}
