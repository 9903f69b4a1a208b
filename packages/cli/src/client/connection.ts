import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { devCredentialsPath, type Settings } from '../settings/settings.js';
import { ApiClient } from './api-client.js';

const devCredentialsSchema = z.object({ url: z.string(), apiKey: z.string() });

/** An orchestrator to talk to, and as whom. */
export interface Connection {
  readonly api: ApiClient;
  readonly settings: { readonly url: string; readonly apiKey: string | undefined };
}

/** The API key of the settings; else the one that `dev` made up in this folder, if it is for the same URL. */
export async function connect(settings: Settings, cwd: string): Promise<Connection> {
  const { url } = settings;
  const apiKey = settings.apiKey ?? (await devApiKey(url, cwd));
  return { api: new ApiClient(url, apiKey), settings: { url, apiKey } };
}

async function devApiKey(url: string, cwd: string): Promise<string | undefined> {
  const text = await readFile(devCredentialsPath(cwd), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const found = devCredentialsSchema.safeParse(tryJson(text));
  return found.success && new URL(found.data.url).port === new URL(url).port ? found.data.apiKey : undefined;
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A file that was cut short while `dev` wrote it is as good as none.
    return undefined;
  }
}
