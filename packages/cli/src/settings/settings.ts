import { join } from 'node:path';
import { OrchestratorError, type ServiceSettings, validate } from '@agent-orchestrator/core';
import type { z } from 'zod';
import { ConfigurationError } from '../exit-code.js';
import { readConfigFile } from './config-file.js';
import { fromEnvironment, VARIABLES } from './environment.js';
import { settingsSchema } from './settings-schema.js';

export const DEFAULT_URL = 'http://127.0.0.1:8000';

/** Everything that can be set, with defaults filled in. */
export type Settings = Omit<z.output<typeof settingsSchema>, 'services'> & {
  readonly services: Readonly<Record<string, ServiceSettings>>;
  /** Where the API key may be sent: absent, wherever `url` says. */
  readonly apiKeyUrl?: string | undefined;
};

/** What flags set. */
export interface SettingFlags {
  readonly url?: string;
  readonly host?: string;
  readonly port?: string;
  readonly config?: string;
  readonly redis?: string;
  readonly role?: string;
  readonly concurrency?: string;
}

/** Those that are settings. */
const FLAGS = ['url', 'host', 'port', 'redis', 'role', 'concurrency'] as const;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Settings by flag, environment or file, in that order.
 *
 * @throws {ConfigurationError} that names the source, what was expected and what came.
 */
export async function readSettings(flags: SettingFlags, env: Env, cwd: string): Promise<Settings> {
  const file = await readConfigFile(cwd, flags.config);
  const byFlag = fromFlags(flags);
  const byVariable = fromEnvironment(env, file.settings);
  try {
    const settings = { ...file.settings, ...byVariable, ...byFlag };
    const read = validate(settingsSchema, settings, 'settings', 'invalid_request', 'refused');
    const apiKeyUrl = apiKeyUrlOf({ file: file.settings, byVariable, byFlag }, flags.config !== undefined);
    return withRedisPassword({ ...read, ...(apiKeyUrl !== undefined && { apiKeyUrl }) });
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    const lines = (error.issues ?? []).map(({ path, expected, got }) => {
      const [name = ''] = path.split('.');
      if (expected === 'no such field')
        return `${file.path}: "${path}" is no setting; docs/cli.md lists those there are`;
      // What stands in the place of a secret may be one, as a value or as a key.
      const secret =
        /key|token|password/i.test(path) || (name === 'redis' && !/^"[\w+]+:\/\/[^@?]*"$/.test(got));
      const where = name === 'apiKeys' || name === 'serviceTokens' ? name : path;
      const source =
        name in byFlag
          ? `--${name}`
          : name in byVariable
            ? (VARIABLES[name] ?? name)
            : `${file.path}, ${where}`;
      return `${source}: expected ${expected}, got ${secret || got.includes('@') ? 'something else' : got}`;
    });
    throw new ConfigurationError([...new Set(lines)].join('\n  '));
  }
}

type Source = Readonly<Record<string, unknown>>;

/**
 * The URL that the API key belongs to: that of its own source. A key of the environment without one belongs to the URL that
 * was typed beside it (`--url`, or the file of `--config`), else to the default URL: never to that of a file that merely lies
 * in this folder, which may send it to another program of this machine.
 */
function apiKeyUrlOf(
  sources: { readonly file: Source; readonly byVariable: Source; readonly byFlag: Source },
  isFileNamed: boolean,
): string | undefined {
  const { file, byVariable, byFlag } = sources;
  const own = byVariable['apiKey'] === undefined ? file['url'] : byVariable['url'];
  if (typeof own === 'string') return own;
  const isTyped = byFlag['url'] !== undefined || isFileNamed;
  return byVariable['apiKey'] === undefined || isTyped ? undefined : DEFAULT_URL;
}

function fromFlags(flags: SettingFlags): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const name of FLAGS) if (flags[name] !== undefined) found[name] = flags[name];
  return found;
}

function withRedisPassword<T extends Pick<Settings, 'redis' | 'redisPassword'>>(settings: T): T {
  const { redis, redisPassword } = settings;
  if (!redis || redisPassword === undefined || redis.password !== undefined) return settings;
  return { ...settings, redis: { ...redis, password: redisPassword } };
}

/** The most that is read of that file, in bytes. */
export const MAX_DEV_CREDENTIALS = 16 * 1024;

/** Where `dev` leaves the credentials that it made up, for commands that run in the same folder. */
export function devCredentialsPath(cwd: string): string {
  return join(cwd, '.orchestrator', 'dev.json');
}
