import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { ProxiedConnection, type ReplyFault } from './proxied-connection.js';

export interface FaultyProxyOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
}

export interface ReplyFaultOptions {
  /** Which request's reply: the first one whose bytes contain this, in whatever case. Default: that of any request. */
  readonly to?: string;
}

/** What went through, since the start. */
export interface ProxyCounters {
  connections: number;
  /** Connections of now. */
  open: number;
  bytesToServer: number;
  bytesToClient: number;
  /** Bytes that were taken and not passed on, either way. */
  swallowedBytes: number;
  /** Replies that were lost or cut short, by `loseReply` and `cutReplyAfter`. */
  cutReplies: number;
  /** Connections that the proxy broke, for whatever reason. */
  brokenConnections: number;
}

/**
 * A TCP proxy that can be disturbed. It passes on everything by default; `heal` ends lasting disturbances. It
 * knows no protocol: a connection that has lost bytes is broken in the end, since the rest no longer matches.
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

  /** For Redis behind it. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Drops all data in both directions, without closing. New connections are accepted. */
  blackHole(): void {
    this.#state.blackHole = true;
  }

  /** Drops replies of the server; requests reach it. */
  swallowReplies(): void {
    this.#state.swallowReplies = true;
  }

  /** The next reply is lost, and its connection is broken. */
  loseReply(options: ReplyFaultOptions = {}): void {
    this.cutReplyAfter(0, options);
  }

  /** Of the next reply so many bytes arrive, then its connection is broken. */
  cutReplyAfter(bytes: number, { to }: ReplyFaultOptions = {}): void {
    this.#faults.push({ afterBytes: bytes, to: to?.toLowerCase() });
  }

  /** Each way takes so much longer. */
  delay(ms: number): void {
    this.#state.delayMs = ms;
  }

  /** New connections are broken at once. */
  refuse(): void {
    this.#refuses = true;
  }

  /** Breaks every connection; the next ones go through. */
  cut(): void {
    for (const connection of this.#connections) connection.break();
  }

  /** Ends everything that lasts, and forgets faults that have not come true. */
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
