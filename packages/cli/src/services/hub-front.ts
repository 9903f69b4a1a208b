import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { OrchestratorError } from '@agent-orchestrator/core';
import { MAX_RESULT_BYTES } from '@agent-orchestrator/core/protocol';
import { WebSocketServer } from 'ws';
import { ConfigurationError } from '../errors/errors.js';
import { EventWaiter } from './event-waiter.js';
import { readAck, readReport, type Report } from './report.js';
import { type Fate, PUT_OFF_MS, ServiceLink } from './service-link.js';

export interface HubFrontOptions {
  readonly port: number;
  readonly host: string;
  /** Address of the real hub. */
  readonly hubUrl: string;
  /** Name of the service at the hub. */
  readonly hubName: string;
  /** Whether the service may use another name. */
  readonly anyName: boolean;
}

const SOCKET_PATH = '/ws/task_updates';
const NOTIFICATION_PATH = '/internal/v1/notifications';
/** Above the hub's own limit, so that the hub reports a too large frame. */
const MAX_PAYLOAD = 2 * MAX_RESULT_BYTES;

/**
 * Recording proxy between the service and the real hub: stores every report over sockets and HTTP, can break
 * the connections, and can be down for a while.
 */
export class HubFront {
  readonly reports: Report[] = [];
  readonly links: ServiceLink[] = [];
  /** Times of connection attempts and HTTP notifications, by `performance.now()`. */
  readonly dials: number[] = [];
  /** Upgrade paths without a socket. */
  readonly strayPaths: string[] = [];
  readonly events = new EventWaiter();
  /** Decides the fate of a report. Default: passed on. */
  intercept: ((report: Report) => Fate) | undefined;
  /** Downtime after a cut connection, ms. */
  downMs = 0;
  readonly #options: HubFrontOptions;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD,
  });
  #downUntil = 0;
  #learnedName: unknown;

  private constructor(options: HubFrontOptions) {
    this.#options = options;
    this.#server = createServer((incoming, response) => void this.#serve(incoming, response));
    this.#server.on('upgrade', (incoming, socket, head) => this.#upgrade(incoming, socket, head));
  }

  /** @throws {ConfigurationError} when the port is not available. */
  static async listen(options: HubFrontOptions): Promise<HubFront> {
    const front = new HubFront(options);
    await new Promise<void>((resolve, reject) => {
      front.#server.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'is in use already' : `can't be had (${error.code})`;
        reject(
          new ConfigurationError(
            `port ${options.port} of ${options.host} ${why}: choose another port with --listen`,
          ),
        );
      });
      front.#server.listen(options.port, options.host, resolve);
    });
    return front;
  }

  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** The newest admitted connection that is still open. */
  get openLink(): ServiceLink | undefined {
    return this.links.findLast((link) => link.isOpen);
  }

  /** Breaks every connection, and refuses new ones for a while. */
  cut(downMs = 0): void {
    this.#downUntil = performance.now() + downMs;
    for (const link of this.links) link.terminate();
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    for (const link of this.links) link.terminate();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #nameFor(said: unknown): unknown {
    const { anyName, hubName } = this.#options;
    if (!anyName) return said;
    this.#learnedName ??= said;
    return said === this.#learnedName ? hubName : said;
  }

  #fateOf(report: Report): Fate {
    const fate = this.intercept?.(report) ?? 'passed_on';
    this.reports.push(report);
    this.events.notify();
    return fate;
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const path = (incoming.url ?? '/').split('?', 1)[0] ?? '/';
    this.dials.push(performance.now());
    if (performance.now() < this.#downUntil) {
      socket.destroy();
    } else if (path !== SOCKET_PATH) {
      this.strayPaths.push(path);
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    } else {
      this.#sockets.handleUpgrade(incoming, socket, head, (near) => {
        const link = new ServiceLink(near, incoming, this.#options.hubUrl, {
          nameFor: (said) => this.#nameFor(said),
          fateOf: (report) => this.#fateOf(report),
          changed: () => this.events.notify(),
          cut: () => this.cut(this.downMs),
        });
        this.links.push(link);
      });
    }
    this.events.notify();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const isNotification = incoming.method === 'POST' && incoming.url === NOTIFICATION_PATH;
    if (isNotification) this.dials.push(performance.now());
    if (performance.now() < this.#downUntil) {
      response.destroy();
      return;
    }
    try {
      const body = await bodyOf(incoming);
      if (isNotification) await this.#notified(incoming, response, body);
      else await this.#relay(incoming, response, body);
    } catch {
      // Either side has disconnected.
      response.destroy();
    }
  }

  async #notified(incoming: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    const report = readReport(body.toString(), 'http');
    report.fate = this.#fateOf(report);
    if (report.fate === 'cut') {
      this.cut(this.downMs);
    } else if (report.fate === 'put_off') {
      const ack = { event: 'ack', message_id: report.messageId, outcome: 'retry_later' };
      response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' });
      response.end(JSON.stringify({ ...ack, retry_after_ms: PUT_OFF_MS }));
    } else {
      const { frame } = report;
      const message_id = report.messageId ?? 'given';
      const known = frame && { ...frame, message_id, service: this.#nameFor(frame['service']) };
      const text = await this.#relay(incoming, response, known ? Buffer.from(JSON.stringify(known)) : body);
      const ack = readAck(text);
      if (ack) report.outcome = ack.outcome;
      this.events.notify();
    }
  }

  /** Forwards a request to the hub, and its response back. */
  #relay(incoming: IncomingMessage, response: ServerResponse, body: Buffer): Promise<string> {
    const { method, url } = incoming;
    // The body is forwarded in one piece.
    const { 'transfer-encoding': _, ...headers } = incoming.headers;
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.#options.hubUrl}${url}`, {
        method,
        headers: { ...headers, 'content-length': body.byteLength },
        agent: false,
      });
      outgoing.once('error', reject);
      outgoing.once('response', (answer) => {
        bodyOf(answer).then((bytes) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers).end(bytes);
          resolve(bytes.toString());
        }, reject);
      });
      outgoing.end(body);
    });
  }
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_PAYLOAD) throw new OrchestratorError('payload_too_large', 'the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
