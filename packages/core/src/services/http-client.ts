import type { Agent, Dispatcher, request } from 'undici';

type Undici = { readonly agent: Agent; readonly request: typeof request };
type RequestOptions = Omit<NonNullable<Parameters<typeof request>[1]>, 'dispatcher'>;

/**
 * Connections to services over HTTP. undici is loaded by the first service that needs it, so a process whose services
 * are all in process does not pay for it.
 */
export class HttpClient {
  #loaded: Promise<Undici> | undefined;

  /** Loads undici ahead of the first request. */
  load(): Promise<Undici> {
    return (this.#loaded ??= loadUndici());
  }

  async request(url: string, options: RequestOptions): Promise<Dispatcher.ResponseData<unknown>> {
    const { agent, request } = await this.load();
    return request(url, { ...options, dispatcher: agent });
  }

  /** Destroys the connections. */
  async close(): Promise<void> {
    const loaded = await this.#loaded;
    await loaded?.agent.destroy();
  }
}

async function loadUndici(): Promise<Undici> {
  const undici = await import('undici');
  return {
    agent: new undici.Agent({ keepAliveTimeout: 10_000, connect: { timeout: 10_000 } }),
    request: undici.request,
  };
}
