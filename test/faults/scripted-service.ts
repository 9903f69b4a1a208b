import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServiceCall } from '@agent-orchestrator/core';
import { onTestFinished } from 'vitest';

/** A call received over HTTP. */
export interface ReceivedCall {
  readonly call: ServiceCall;
  readonly headers: IncomingMessage['headers'];
  /** The first part of the path: one listener serves many services. */
  readonly name: string;
  /** Number of requests to this name, this one included. */
  readonly nth: number;
  readonly at: number;
}

export type Script = (received: ReceivedCall, response: ServerResponse) => unknown;

/** A service behind HTTP that handles each request by the test's script. It ends with the test. */
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

  url(name = 'service'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  at(name: string): readonly ReceivedCall[] {
    return this.requests.filter((request) => request.name === name);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    // An aborted request is no error of this service.
    request.on('error', () => response.destroy());
    response.on('error', () => response.destroy());
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const [, name = ''] = (request.url ?? '').split('/');
    const nth = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, nth);
    const call = JSON.parse(Buffer.concat(chunks).toString()) as ServiceCall;
    const received = { call, headers: request.headers, name, nth, at: performance.now() };
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
