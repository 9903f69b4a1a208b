import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServiceCall } from '@agent-orchestrator/core';
import { onTestFinished } from 'vitest';

/** A call as it came over HTTP. */
export interface ReceivedCall {
  readonly call: ServiceCall;
  readonly headers: IncomingMessage['headers'];
  /** The first part of the path: one listener stands for many services. */
  readonly place: string;
  /** How many requests this place has had, this one included. */
  readonly nth: number;
  readonly at: number;
}

export type Script = (received: ReceivedCall, response: ServerResponse) => unknown;

/** A service behind HTTP that does with each request what the test says. It ends with the test. */
export class ScriptedService {
  readonly requests: ReceivedCall[] = [];
  readonly #server: Server;
  readonly #counts = new Map<string, number>();
  script: Script;

  private constructor(script: Script) {
    this.script = script;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.keepAliveTimeout = 60_000;
  }

  static async start(script: Script): Promise<ScriptedService> {
    const service = new ScriptedService(script);
    service.#server.listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    onTestFinished(async () => {
      const closed = new Promise((resolve) => service.#server.close(resolve));
      service.#server.closeAllConnections();
      await closed;
    });
    return service;
  }

  url(place = 'service'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${place}`;
  }

  at(place: string): readonly ReceivedCall[] {
    return this.requests.filter((request) => request.place === place);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    // A caller that gives up in the middle is not this service's trouble.
    request.on('error', () => response.destroy());
    response.on('error', () => response.destroy());
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const [, place = ''] = (request.url ?? '').split('/');
    const nth = (this.#counts.get(place) ?? 0) + 1;
    this.#counts.set(place, nth);
    const call = JSON.parse(Buffer.concat(chunks).toString()) as ServiceCall;
    const received = { call, headers: request.headers, place, nth, at: performance.now() };
    this.requests.push(received);
    await this.script(received, response);
  }
}

/** Answers with JSON. */
export function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
