import { join } from 'node:path';
import { OrchestratorError, type ServiceSettings } from '@agent-orchestrator/core';
import { validate } from '@agent-orchestrator/core/protocol';
import type { z } from 'zod';
import { ConfigurationError } from '../exit-code.js';
import { readConfigFile } from './config-file.js';
import { fromEnvironment, VARIABLES } from './environment.js';
import { settingsSchema } from './settings-schema.js';

export const DEFAULT_URL = 'http://127.0.0.1:8000';

/** All settings with defaults. */
export type Settings = Omit<z.output<typeof settingsSchema>, 'services'> & {
  readonly services: Readonly<Record<string, ServiceSettings>>;
  /** URL that the API key may be sent to; absent: any `url`. */
  readonly apiKeyUrl?: string | undefined;
};

/** Settings of flags. */
export interface SettingFlags {
  readonly url?: string;
  readonly host?: string;
  readonly port?: string;
  readonly config?: string;
  readonly redis?: string;
  readonly role?: string;
  readonly concurrency?: string;
}

/** Flags that are settings. */
const FLAGS = ['url', 'host', 'port', 'redis', 'role', 'concurrency'] as const;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Settings from flags, environment and file, in this order of precedence.
 *
 * @throws {ConfigurationError} with the source, the expected and the actual value.
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
      // The value or key in place of a secret may be one.
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
 * URL that the API key belongs to: that of its own source. A key of the environment without one belongs to
 * the URL given with it (`--url`, or the file of `--config`), else to the default URL: never to that of a
 * file merely present in this folder, which may point to another program of this machine.
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

/** Maximum size of that file, bytes. */
export const MAX_DEV_CREDENTIALS = 16 * 1024;

/** Path of the credentials that `dev` generates, for commands in the same folder. */
export function devCredentialsPath(cwd: string): string {
  return join(cwd, '.orchestrator', 'dev.json');
}
