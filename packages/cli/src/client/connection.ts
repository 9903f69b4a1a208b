import { z } from 'zod';
import { ConfigurationError } from '../errors/errors.js';
import { readOwnFile } from '../settings/regular-file.js';
import { VARIABLES } from '../settings/environment.js';
import {
  type CredentialName,
  DEFAULT_URL,
  devCredentialsPath,
  MAX_DEV_CREDENTIALS,
  type Settings,
} from '../settings/settings.js';
import { ApiClient } from './api-client.js';

const devCredentialsSchema = z.object({
  url: z.url({ protocol: /^https?$/ }),
  apiKey: z.string(),
  operatorToken: z.string().optional(),
  tenant: z.string().optional(),
  pid: z.number().int().positive(),
});

/** Address and credential of an orchestrator. */
export interface Connection {
  readonly api: ApiClient;
  readonly url: string;
  readonly apiKey: string | undefined;
}

type ConnectionSettings = Pick<Settings, 'url'> & Partial<Pick<Settings, CredentialName | 'credentialUrls'>>;

/**
 * URL and API key of the settings; missing ones come from the `dev` running in this folder. A key is only
 * sent to the URL that it belongs to.
 *
 * @throws {ConfigurationError} when the only key belongs to another URL.
 */
export async function connect(settings: ConnectionSettings, cwd: string): Promise<Connection> {
  const { url, credential: apiKey } = await locate(settings, 'apiKey', cwd);
  return { api: new ApiClient(url, apiKey), url, apiKey };
}

/** What to do about a missing or invalid operator token. */
const OPERATOR_TOKEN_HINT =
  'set ORCHESTRATOR_OPERATOR_TOKEN to the operator token that this server was started with (without one it has no operators)';

/** The same with the operator token. `tenant`: that of the `dev` of this folder, if it is the server. */
export async function connectOperator(
  settings: ConnectionSettings,
  cwd: string,
): Promise<{ readonly api: ApiClient; readonly tenant?: string | undefined }> {
  const { url, credential, dev } = await locate(settings, 'operatorToken', cwd);
  return { api: new ApiClient(url, credential, OPERATOR_TOKEN_HINT), tenant: dev?.tenant };
}

const CREDENTIALS: Readonly<Record<CredentialName, string>> = {
  apiKey: 'API key',
  operatorToken: 'operator token',
};

/** URL, the credential for it, and the `dev` of this folder if it is there. */
async function locate(settings: ConnectionSettings, name: CredentialName, cwd: string) {
  const found = await readDevCredentials(cwd);
  const url = settings.url ?? found?.url ?? DEFAULT_URL;
  const dev = found && isSamePlace(found.url, url) ? found : undefined;
  const { [name]: own, credentialUrls } = settings;
  const ownUrl = credentialUrls?.[name] ?? url;
  const isOurs = own !== undefined && isSamePlace(ownUrl, url);
  const credential = isOurs ? own : dev?.[name];
  if (credential === undefined && own !== undefined) {
    throw new ConfigurationError(
      `the ${CREDENTIALS[name]} belongs to ${ownUrl} and is not sent to ${url}: set the URL where it is set (ORCHESTRATOR_URL beside ${VARIABLES[name] ?? name})`,
    );
  }
  return { url, credential, dev };
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/;

/**
 * Credentials left by a `dev` in this folder. The folder may belong to another user: the file counts only if
 * this user has written it, for a server on this machine whose process is alive.
 */
async function readDevCredentials(cwd: string): Promise<z.output<typeof devCredentialsSchema> | undefined> {
  try {
    const text = await readOwnFile(devCredentialsPath(cwd), MAX_DEV_CREDENTIALS);
    const dev = devCredentialsSchema.parse(JSON.parse(text));
    if (!LOOPBACK.test(new URL(dev.url).hostname)) return undefined;
    // Throws for an ended process, and for one of another user.
    process.kill(dev.pid, 0);
    return dev;
  } catch {
    // No such file, a truncated one, or one of an ended `dev`: treated as none.
    return undefined;
  }
}

function isSamePlace(one: string, other: string): boolean {
  const origin = (text: string) => {
    const url = new URL(text);
    if (url.hostname === 'localhost') url.hostname = '127.0.0.1';
    return url.origin;
  };
  return origin(one) === origin(other);
}
