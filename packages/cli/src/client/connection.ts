import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DEFAULT_URL, devCredentialsPath, type Settings } from '../settings/settings.js';
import { ApiClient } from './api-client.js';

const devCredentialsSchema = z.object({ url: z.url({ protocol: /^https?$/ }), apiKey: z.string() });

/** An orchestrator to talk to, and as whom. */
export interface Connection {
  readonly api: ApiClient;
  readonly url: string;
  readonly apiKey: string | undefined;
}

/**
 * The URL and API key of the settings. What they leave open is taken from the `dev` that runs in this folder; its key is
 * sent to it alone.
 */
export async function connect(settings: Pick<Settings, 'url' | 'apiKey'>, cwd: string): Promise<Connection> {
  const dev = await readDevCredentials(cwd);
  const url = settings.url ?? dev?.url ?? DEFAULT_URL;
  const apiKey = settings.apiKey ?? (dev && isSamePlace(dev.url, url) ? dev.apiKey : undefined);
  return { api: new ApiClient(url, apiKey), url, apiKey };
}

async function readDevCredentials(cwd: string): Promise<z.output<typeof devCredentialsSchema> | undefined> {
  try {
    return devCredentialsSchema.parse(JSON.parse(await readFile(devCredentialsPath(cwd), 'utf8')));
  } catch {
    // No such file, or one that was cut short while `dev` wrote it: as good as none.
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
