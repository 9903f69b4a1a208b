import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createIdentities, type Identities } from '@agent-orchestrator/ws-server';
import { ConfigurationError } from '../exit-code.js';
import { devCredentialsPath, type Settings } from '../settings/settings.js';

/** The tenant of the API key that `dev` makes up. */
const DEV_TENANT = 'dev';
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1']);

export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host);
}

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
  if (!isLoopback(settings.host)) {
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
  return createIdentities({
    apiKeys: Object.entries(apiKeys).map(([key, tenant]) => ({ key, tenant })),
    serviceTokens: Object.entries(settings.serviceTokens).map(([service, token]) => ({ service, token })),
    ...(settings.operatorToken !== undefined && { operatorToken: settings.operatorToken }),
  });
}

/** Leaves a made-up key for commands in the same folder, readable by this user alone. Returns how to take it away. */
export async function leaveDevCredentials(
  cwd: string,
  url: string,
  apiKey: string,
): Promise<() => Promise<void>> {
  const path = devCredentialsPath(cwd);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  await writeFile(path, `${JSON.stringify({ url, apiKey })}\n`, { mode: 0o600 });
  return () => rm(path, { force: true });
}
