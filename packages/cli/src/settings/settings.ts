import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { OrchestratorError, type ServiceSettings } from '@agent-orchestrator/core';
import { validate } from '@agent-orchestrator/core/protocol';
import type { z } from 'zod';
import { ConfigurationError } from '../errors/errors.js';
import { DEFAULT_STORAGE } from '../storage/file-kind.js';
import type { StorageAddress } from '../storage/storage-kind.js';
import { OWN_SETTINGS, type OwnFlags, STORAGE_SETTINGS } from '../storage/own-settings.js';
import { ownSchemas, withPassword } from '../storage/storage-kinds.js';
import { readConfigFile } from './config-file.js';
import { fromEnvironment, VARIABLES } from './environment.js';
import { settingsSchema } from './settings-schema.js';

export const DEFAULT_URL = 'http://127.0.0.1:8000';

type ReadSettings = z.output<typeof settingsSchema>;

/** With the settings of single kinds of storage. */
const wholeSchema = settingsSchema.extend(ownSchemas()) as unknown as z.ZodType<ReadSettings & Source>;

/** All settings with defaults. */
export type Settings = Omit<ReadSettings, 'services' | 'storage'> & {
  readonly services: Readonly<Record<string, ServiceSettings>>;
  readonly storage: StorageAddress;
  /** URL that a credential of a client may be sent to; absent: any `url`. */
  readonly credentialUrls: Readonly<Partial<Record<CredentialName, string | undefined>>>;
};

/** Credentials that commands send. */
const CREDENTIALS = ['apiKey', 'operatorToken'] as const;
export type CredentialName = (typeof CREDENTIALS)[number];

/** Settings of flags. */
export interface SettingFlags extends OwnFlags {
  readonly url?: string;
  readonly host?: string;
  readonly port?: string;
  readonly config?: string;
  readonly role?: string;
  readonly concurrency?: string;
  readonly storage?: string;
}

/** Flags that are settings. */
const FLAGS = ['url', 'host', 'port', 'role', 'concurrency', ...STORAGE_SETTINGS];

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Settings from flags, environment and file, in this order of precedence.
 *
 * @throws {ConfigurationError} with the source, the expected and the actual value.
 */
export async function readSettings(flags: SettingFlags, env: Env, cwd: string): Promise<Settings> {
  const file = await readConfigFile(cwd, flags.config);
  const sources = {
    byFlag: fromFlags(flags),
    byVariable: fromEnvironment(env, file.settings),
    file: file.settings,
    path: file.path ?? 'config file',
  };
  try {
    const read = validate(wholeSchema, withOneStorage(sources), 'settings', 'invalid_request', 'refused');
    const urls = CREDENTIALS.map((name) => [
      name,
      credentialUrlOf(sources, name, flags.config !== undefined),
    ]);
    return { ...read, storage: storageOf(read), credentialUrls: Object.fromEntries(urls) };
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    const lines = (error.issues ?? []).map(({ path, expected, got }) => {
      const [name = ''] = path.split('.');
      // The path has the key.
      if (expected === 'no such field' && name === 'apiKeys')
        return `${sources.path}, apiKeys: expected only tenant, scopes and user_id of a key, got another field`;
      if (expected === 'no such field')
        return `${sources.path}: "${path}" is no setting; docs/cli.md lists those there are`;
      // The value or key in place of a secret may be one.
      const isSecret =
        /key|token|password/i.test(path) || (STORAGE_SETTINGS.includes(name) && !PLAIN_URL.test(got));
      const where = name === 'apiKeys' || name === 'serviceTokens' ? name : path;
      const shown = isSecret || got.includes('@') ? 'something else' : got;
      return `${placeOf(sources, name, where)}: expected ${expected}, got ${shown}`;
    });
    throw new ConfigurationError([...new Set(lines)].join('\n  '));
  }
}

/** A URL of hosts with numeric ports and a path: nothing in it can be a password. */
const PLAIN_URL = /^"[\w+]+:\/\/[\w.-]+(?::\d+)?(?:,[\w.-]+(?::\d+)?)*(?:\/[\w-]*)?"$/;

type Source = Readonly<Record<string, unknown>>;

/** Settings as given, by the place where they are given. */
interface Sources {
  readonly byFlag: Source;
  readonly byVariable: Source;
  readonly file: Source;
  readonly path: string;
}

/** Place of a setting, for messages. @param where path inside the config file. */
function placeOf({ byFlag, byVariable, path }: Sources, name: string, where = name): string {
  if (name in byFlag) return `--${name}`;
  return name in byVariable ? (VARIABLES[name] ?? name) : `${path}, ${where}`;
}

/**
 * URL that a credential belongs to: that of its own source. One of the environment without a URL belongs to
 * the URL given with it (`--url`, or the file of `--config`), else to the default URL: never to that of a
 * file merely present in this folder, which may point to another program of this machine.
 */
function credentialUrlOf(
  { file, byVariable, byFlag }: Sources,
  name: CredentialName,
  isFileNamed: boolean,
): string | undefined {
  const own = byVariable[name] === undefined ? file['url'] : byVariable['url'];
  if (typeof own === 'string') return own;
  const isTyped = byFlag['url'] !== undefined || isFileNamed;
  return byVariable[name] === undefined || isTyped ? undefined : DEFAULT_URL;
}

function fromFlags(flags: SettingFlags): Record<string, unknown> {
  const given: Source = { ...flags };
  const found: Record<string, unknown> = {};
  for (const name of FLAGS) if (given[name] !== undefined) found[name] = given[name];
  return found;
}

/**
 * All settings, with one storage: that of the first source that names one, as `storage` or by the setting of its
 * kind.
 *
 * @throws {ConfigurationError} when that source names two different ones.
 */
function withOneStorage(sources: Sources): Source {
  const { byFlag, byVariable, file } = sources;
  const settings: Record<string, unknown> = { ...file, ...byVariable, ...byFlag };
  const namedBy = (source: Source) => STORAGE_SETTINGS.filter((name) => source[name] !== undefined);
  const source = [byFlag, byVariable, file].find((one) => namedBy(one).length > 0);
  if (!source) return settings;
  for (const name of STORAGE_SETTINGS) delete settings[name];
  const [first = 'storage', ...others] = namedBy(source);
  const other = others.find((name) => !isDeepStrictEqual(source[name], source[first]));
  if (other === undefined) return { ...settings, [first]: source[first] };
  const places = [first, other].map((name) => placeOf(sources, name));
  throw new ConfigurationError(`expected one storage, got two different ones: ${places.join(' and ')}`);
}

/** The storage of validated settings, with the password of its kind. */
function storageOf(read: ReadSettings & Source): StorageAddress {
  const named = OWN_SETTINGS.map(({ name }) => read[name] as StorageAddress | undefined);
  const storage = read.storage ?? named.find((address) => address !== undefined) ?? DEFAULT_STORAGE;
  return withPassword(storage, read);
}

/** Maximum size of that file, bytes. */
export const MAX_DEV_CREDENTIALS = 16 * 1024;

/** Path of the credentials that `dev` generates, for commands in the same folder. */
export function devCredentialsPath(cwd: string): string {
  return join(cwd, '.orchestrator', 'dev.json');
}
