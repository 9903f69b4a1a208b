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
    return withRedisPassword(validate(settingsSchema, settings, 'settings', 'invalid_request', 'refused'));
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

/** Where `dev` leaves the credentials that it made up, for commands that run in the same folder. */
export function devCredentialsPath(cwd: string): string {
  return join(cwd, '.orchestrator', 'dev.json');
}
