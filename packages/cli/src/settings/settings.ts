import { join } from 'node:path';
import {
  idSchema,
  OrchestratorError,
  validate,
  type ServiceSettings,
  type WorkflowFunction,
} from '@agent-orchestrator/core';
import { z } from 'zod';
import { ConfigurationError } from '../exit-code.js';
import { readConfigFile } from './config-file.js';

const tokenSchema = z.string().regex(/^[\x21-\x7e]{8,1024}$/, 'expected 8 to 1024 visible characters');
const urlSchema = z.url({ protocol: /^https?$/, error: 'expected an http or https URL' });
const portSchema = z.coerce
  .number('expected a port, 0 to 65535')
  .int('expected a port, 0 to 65535')
  .min(0, 'expected a port, 0 to 65535')
  .max(65_535, 'expected a port, 0 to 65535');
const serviceSchema = z.strictObject({
  url: urlSchema,
  token: tokenSchema.optional(),
  timeoutMs: z.number().int().min(1).optional(),
  silenceMs: z.number().int().min(1).optional(),
  concurrency: z.number().int().min(1).optional(),
});

const settingsSchema = z.strictObject({
  url: urlSchema.default('http://127.0.0.1:8000'),
  host: z.string().min(1).default('127.0.0.1'),
  port: portSchema.default(8000),
  /** By key: whose it is. */
  apiKeys: z.record(tokenSchema, idSchema).default({}),
  /** By service: its token. */
  serviceTokens: z.record(idSchema, tokenSchema).default({}),
  apiKey: tokenSchema.optional(),
  operatorToken: tokenSchema.optional(),
  llm: z
    .strictObject({
      url: urlSchema,
      key: z.string().min(1).optional(),
      model: z.string().min(1).default('default'),
    })
    .optional(),
  allowedOrigins: z.array(z.string()).default([]),
  agentsFile: z.string().min(1).optional(),
  concurrency: z.number().int().min(1).optional(),
  services: z.record(idSchema, serviceSchema).default({}),
  workflows: z
    .record(
      idSchema,
      z.custom<WorkflowFunction>((fn) => typeof fn === 'function', 'expected a function'),
    )
    .default({}),
});

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
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Settings by flag, environment or file, in that order.
 *
 * @throws {ConfigurationError} that names the source, what was expected and what came.
 */
export async function readSettings(flags: SettingFlags, env: Env, cwd: string): Promise<Settings> {
  const file = await readConfigFile(cwd, flags.config);
  const merged = { ...file.settings, ...fromEnvironment(env, file.settings), ...fromFlags(flags) };
  try {
    return validate(settingsSchema, merged, 'settings') as Settings;
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    const lines = (error.issues ?? []).map(({ path, expected, got }) => {
      const source = sourceOf(path, flags, env, file.path);
      // What stands in the place of a secret may be one.
      const shown = /key|token/i.test(path) ? 'something else' : got;
      return `${source}: expected ${expected}, got ${shown}`;
    });
    throw new ConfigurationError(lines.join('\n'), { cause: error });
  }
}

const VARIABLES: Readonly<Record<string, string>> = {
  url: 'ORCHESTRATOR_URL',
  host: 'ORCHESTRATOR_HOST',
  port: 'ORCHESTRATOR_PORT',
  apiKeys: 'ORCHESTRATOR_API_KEYS',
  serviceTokens: 'ORCHESTRATOR_SERVICE_TOKENS',
  apiKey: 'ORCHESTRATOR_API_KEY',
  operatorToken: 'ORCHESTRATOR_OPERATOR_TOKEN',
  llm: 'ORCHESTRATOR_LLM_URL',
};

function fromEnvironment(env: Env, file: Record<string, unknown>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const name of ['url', 'host', 'port', 'apiKey', 'operatorToken'] as const) {
    const value = variable(env, VARIABLES[name] as string);
    if (value !== undefined) found[name] = value;
  }
  const apiKeys = variable(env, 'ORCHESTRATOR_API_KEYS');
  if (apiKeys !== undefined) found['apiKeys'] = pairs('ORCHESTRATOR_API_KEYS', '<key>=<tenant>', apiKeys);
  const tokens = variable(env, 'ORCHESTRATOR_SERVICE_TOKENS');
  if (tokens !== undefined)
    found['serviceTokens'] = pairs('ORCHESTRATOR_SERVICE_TOKENS', '<service>=<token>', tokens);
  const llm = {
    url: variable(env, 'ORCHESTRATOR_LLM_URL'),
    key: variable(env, 'ORCHESTRATOR_LLM_KEY'),
    model: variable(env, 'ORCHESTRATOR_LLM_MODEL'),
  };
  if (llm.url !== undefined) {
    found['llm'] = {
      ...(file['llm'] as object | undefined),
      ...Object.fromEntries(Object.entries(llm).filter(([, value]) => value !== undefined)),
    };
  }
  return found;
}

/** A variable that is set to nothing is not set. */
function variable(env: Env, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function pairs(name: string, form: string, text: string): Record<string, string> {
  const found: [string, string][] = text.split(',').map((pair, index) => {
    const at =
      pair.lastIndexOf('=') > 0 && form.startsWith('<key>') ? pair.lastIndexOf('=') : pair.indexOf('=');
    if (at < 1 || at === pair.length - 1) {
      throw new ConfigurationError(`${name}: expected ${form}[,…], got something else in place ${index + 1}`);
    }
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });
  return Object.fromEntries(found);
}

function fromFlags(flags: SettingFlags): Record<string, unknown> {
  const { url, host, port } = flags;
  return {
    ...(url !== undefined && { url }),
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
  };
}

function sourceOf(path: string, flags: SettingFlags, env: Env, file: string | undefined): string {
  const [name = ''] = path.split('.');
  if (name in fromFlags(flags)) return `--${name}`;
  const envName = VARIABLES[name];
  if (envName !== undefined && variable(env, envName) !== undefined) return envName;
  return file === undefined ? path : `${file}, ${/key|token/i.test(path) ? name : path}`;
}

/** Where `dev` leaves the credentials that it made up, for commands that run in the same folder. */
export function devCredentialsPath(cwd: string): string {
  return join(cwd, '.orchestrator', 'dev.json');
}
