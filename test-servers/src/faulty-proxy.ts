import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { ProxiedConnection, type ReplyFault } from './proxied-connection.js';

export interface FaultyProxyOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
}

export interface ReplyFaultOptions {
  /** Only the first request whose bytes contain this, in any case. Default: any request. */
  readonly to?: string;
}

/** Traffic since the start. */
export interface ProxyCounters {
  connections: number;
  /** Open connections. */
  open: number;
  bytesToServer: number;
  bytesToClient: number;
  /** Bytes received and not passed on, in either direction. */
  swallowedBytes: number;
  /** Replies lost or cut short, by `loseReply` and `cutReplyAfter`. */
  cutReplies: number;
  /** Connections broken by the proxy, for any reason. */
  brokenConnections: number;
}

/**
 * A proxy before a TCP server that injects faults. It passes everything on until a method sets a fault;
 * `heal` ends lasting faults. It knows no protocol: a connection that has lost bytes is broken in the end,
 * since the bytes after them no longer fit.
 */
export class FaultyProxy implements AsyncDisposable {
  readonly counters: ProxyCounters = {
    connections: 0,
    open: 0,
    bytesToServer: 0,
    bytesToClient: 0,
    swallowedBytes: 0,
    cutReplies: 0,
    brokenConnections: 0,
  };
  readonly #server: Server;
  readonly #connections = new Set<ProxiedConnection>();
  readonly #faults: ReplyFault[] = [];
  readonly #state = { blackHole: false, swallowReplies: false, delayMs: 0 };
  #refuses = false;

  private constructor(
    private readonly targetPort: number,
    private readonly targetHost: string,
  ) {
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(
    targetPort: number,
    { host = '127.0.0.1' }: FaultyProxyOptions = {},
  ): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(targetPort, host);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    proxy.#server.unref();
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For a Redis behind it. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Nothing passes in either direction, without an error. New connections are accepted. */
  blackHole(): void {
    this.#state.blackHole = true;
  }

  /** Replies are lost, requests take effect. */
  swallowReplies(): void {
    this.#state.swallowReplies = true;
  }

  /** The next reply is lost, and its connection is broken. */
  loseReply(options: ReplyFaultOptions = {}): void {
    this.cutReplyAfter(0, options);
  }

  /** Only `bytes` of the next reply arrive, then its connection is broken. */
  cutReplyAfter(bytes: number, { to }: ReplyFaultOptions = {}): void {
    this.#faults.push({ afterBytes: bytes, to: to?.toLowerCase() });
  }

  /** Delays each direction by `ms`. */
  delay(ms: number): void {
    this.#state.delayMs = ms;
  }

  /** New connections are broken at once. */
  refuse(): void {
    this.#refuses = true;
  }

  /** Breaks every connection; the next ones pass. */
  cut(): void {
    for (const connection of this.#connections) connection.break();
  }

  /** Ends lasting faults, and drops pending ones. */
  heal(): void {
    Object.assign(this.#state, { blackHole: false, swallowReplies: false, delayMs: 0 });
    this.#refuses = false;
    this.#faults.length = 0;
    for (const connection of this.#connections) if (connection.hasLostBytes) connection.break();
  }

  async stop(): Promise<void> {
    this.cut();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #accept(client: Socket): void {
    this.counters.connections += 1;
    if (this.#refuses) {
      this.counters.brokenConnections += 1;
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const connection = new ProxiedConnection({
      client,
      server: connect(this.targetPort, this.targetHost),
      counters: this.counters,
      state: this.#state,
      faults: this.#faults,
      onClose: () => {
        this.#connections.delete(connection);
        this.counters.open -= 1;
      },
    });
    this.#connections.add(connection);
    this.counters.open += 1;
  }
}
