import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OrchestratorError } from '@agent-orchestrator/core';
import { createIdentities, type Identities } from '@agent-orchestrator/ws-server';
import { z } from 'zod';
import { ConfigurationError } from '../exit-code.js';
import { readOwnFile } from '../settings/regular-file.js';
import { devCredentialsPath, MAX_DEV_CREDENTIALS, type Settings } from '../settings/settings.js';

/** The tenant of the API key that `dev` makes up. */
const DEV_TENANT = 'dev';
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/;

export interface Credentials {
  readonly identities: Identities;
  /** What a client of this process may send. */
  readonly apiKey: string;
  readonly tenant: string;
  readonly madeUp: boolean;
}

/** The credentials of the settings. @throws {ConfigurationError} when nobody could do anything with them. */
export function configuredCredentials(settings: Settings): Credentials {
  const [first] = Object.entries(settings.apiKeys);
  if (!first) {
    throw new ConfigurationError(
      'no API keys: expected ORCHESTRATOR_API_KEYS=<key>=<tenant>[,…] or "apiKeys" in the config file, got nothing.\n' +
        'Make a key with: node -e "console.log(crypto.randomBytes(32).toString(\'base64url\'))"',
    );
  }
  const [apiKey, tenant] = first;
  return { identities: identitiesOf(settings, settings.apiKeys), apiKey, tenant, madeUp: false };
}

/** Those of the settings, or, on loopback, ones that are made up for this run. */
export function devCredentials(settings: Settings): Credentials {
  if (Object.keys(settings.apiKeys).length > 0) return configuredCredentials(settings);
  if (!LOOPBACK.test(settings.host)) {
    throw new ConfigurationError(
      `credentials are made up on loopback only: expected ORCHESTRATOR_API_KEYS for host "${settings.host}", got nothing`,
    );
  }
  const apiKey = `dev-${randomBytes(32).toString('base64url')}`;
  return {
    identities: identitiesOf(settings, { [apiKey]: DEV_TENANT }),
    apiKey,
    tenant: DEV_TENANT,
    madeUp: true,
  };
}

function identitiesOf(settings: Settings, apiKeys: Readonly<Record<string, string>>): Identities {
  const { serviceTokens, operatorToken } = settings;
  try {
    return createIdentities({
      apiKeys: Object.entries(apiKeys).map(([key, tenant]) => ({ key, tenant })),
      serviceTokens: Object.entries(serviceTokens).flatMap(([service, tokens]) =>
        tokens.map((token) => ({ service, token })),
      ),
      ...(operatorToken !== undefined && { operatorToken }),
    });
  } catch (error) {
    if (error instanceof OrchestratorError) throw new ConfigurationError(error.message, { cause: error });
    throw error;
  }
}

const noteSchema = z.object({ url: z.string(), pid: z.number().int().positive() });

/**
 * Leaves a made-up key for commands in the same folder, readable by this user alone. Returns how to take it away.
 *
 * @throws when it can't be left, also because another `dev` that runs in this folder has left its own.
 */
export async function leaveDevCredentials(
  cwd: string,
  url: string,
  apiKey: string,
): Promise<() => Promise<void>> {
  const path = devCredentialsPath(cwd);
  const other = await runningDev(path);
  if (other !== undefined) throw new Error(`they find the one that runs at ${other}`);
  const text = `${JSON.stringify({ url, apiKey, pid: process.pid })}\n`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  await writeFile(path, text, { mode: 0o600, flag: 'wx' });
  return async () => {
    const there = await readOwnFile(path, MAX_DEV_CREDENTIALS).catch(() => undefined);
    if (there === text) await rm(path, { force: true });
  };
}

/** Where the `dev` listens whose note is there, if it still runs. */
async function runningDev(path: string): Promise<string | undefined> {
  try {
    const note = noteSchema.parse(JSON.parse(await readOwnFile(path, MAX_DEV_CREDENTIALS)));
    process.kill(note.pid, 0);
    return note.url;
  } catch {
    // No note, one that can't be read, or one of a process that has ended.
    return undefined;
  }
}
