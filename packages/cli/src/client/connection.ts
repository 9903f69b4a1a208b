import { z } from 'zod';
import { ConfigurationError } from '../errors/errors.js';
import { readOwnFile } from '../settings/regular-file.js';
import { DEFAULT_URL, devCredentialsPath, MAX_DEV_CREDENTIALS, type Settings } from '../settings/settings.js';
import { ApiClient } from './api-client.js';

const devCredentialsSchema = z.object({
  url: z.url({ protocol: /^https?$/ }),
  apiKey: z.string(),
  pid: z.number().int().positive(),
});

/** Address and credential of an orchestrator. */
export interface Connection {
  readonly api: ApiClient;
  readonly url: string;
  readonly apiKey: string | undefined;
}

/**
 * URL and API key of the settings; missing ones come from the `dev` running in this folder. A key is only
 * sent to the URL that it belongs to.
 *
 * @throws {ConfigurationError} when the only key belongs to another URL.
 */
export async function connect(
  settings: Pick<Settings, 'url' | 'apiKey'> & { readonly apiKeyUrl?: string | undefined },
  cwd: string,
): Promise<Connection> {
  const dev = await readDevCredentials(cwd);
  const url = settings.url ?? dev?.url ?? DEFAULT_URL;
  const { apiKeyUrl = url } = settings;
  const isOurs = settings.apiKey !== undefined && isSamePlace(apiKeyUrl, url);
  const apiKey = isOurs ? settings.apiKey : dev && isSamePlace(dev.url, url) ? dev.apiKey : undefined;
  if (apiKey === undefined && settings.apiKey !== undefined) {
    throw new ConfigurationError(
      `the API key belongs to ${apiKeyUrl} and is not sent to ${url}: set the URL where the key is set (ORCHESTRATOR_URL beside ORCHESTRATOR_API_KEY)`,
    );
  }
  return { api: new ApiClient(url, apiKey), url, apiKey };
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
