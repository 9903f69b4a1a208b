import type { Socket } from 'node:net';
import type { ProxyCounters } from './faulty-proxy.js';

/** A reply that must not arrive complete. */
export interface ReplyFault {
  readonly afterBytes: number;
  /** Part of the request, in lower case; absent: any request. */
  readonly to: string | undefined;
}

export interface ProxiedConnectionOptions {
  readonly client: Socket;
  readonly server: Socket;
  readonly counters: ProxyCounters;
  /** Current state, shared by all connections of the proxy. */
  readonly state: {
    readonly blackHole: boolean;
    readonly swallowReplies: boolean;
    readonly delayMs: number;
  };
  /** Faults that have found no request yet. */
  readonly faults: ReplyFault[];
  readonly onClose: () => void;
}

/**
 * One connection through a `FaultyProxy`: two sockets that end together. A request that matches a fault arms
 * it; then the first bytes of the server are those of its reply, or of one before it in the same pipeline.
 */
export class ProxiedConnection {
  #armed: ReplyFault | undefined;
  #lost = 0;
  #closed = false;
  /** The end of the requests so far: a match may lie across two chunks. */
  #tail = '';

  constructor(private readonly options: ProxiedConnectionOptions) {
    const { client, server } = options;
    for (const [from, to, take] of [
      [client, server, (chunk: Buffer) => this.#toServer(chunk)],
      [server, client, (chunk: Buffer) => this.#toClient(chunk)],
    ] as const) {
      from.setNoDelay(true);
      from.on('data', take);
      from.on('error', () => {});
      from.on('end', () => this.#later(() => to.end()));
      from.on('close', () => this.#later(() => this.#close()));
      to.on('drain', () => from.resume());
    }
  }

  get hasLostBytes(): boolean {
    return this.#lost > 0;
  }

  break(): void {
    if (this.#closed) return;
    this.options.counters.brokenConnections += 1;
    this.options.client.resetAndDestroy();
    this.options.server.resetAndDestroy();
    this.#close();
  }

  #toServer(chunk: Buffer): void {
    const { state, server, client, counters } = this.options;
    if (state.blackHole) return this.#swallow(chunk.length);
    counters.bytesToServer += chunk.length;
    this.#arm(chunk);
    this.#write(server, client, chunk);
  }

  #toClient(chunk: Buffer): void {
    const { state, server, client, counters } = this.options;
    if (state.blackHole || state.swallowReplies) return this.#swallow(chunk.length);
    const fault = this.#armed;
    const passed = fault ? chunk.subarray(0, fault.afterBytes) : chunk;
    counters.bytesToClient += passed.length;
    if (!fault) return this.#write(client, server, chunk);
    this.#armed = undefined;
    counters.cutReplies += 1;
    this.#swallow(chunk.length - passed.length);
    if (passed.length > 0) client.write(passed, () => this.break());
    else this.break();
  }

  /** A fault is for one request of one connection. */
  #arm(chunk: Buffer): void {
    const { faults } = this.options;
    if (this.#armed || faults.length === 0) return;
    const seen = this.#tail + chunk.toString('latin1').toLowerCase();
    const index = faults.findIndex(({ to }) => to === undefined || seen.includes(to));
    const [fault] = index < 0 ? [] : faults.splice(index, 1);
    this.#armed = fault;
    this.#tail = seen.slice(-256);
  }

  #swallow(bytes: number): void {
    this.#lost += bytes;
    this.options.counters.swallowedBytes += bytes;
  }

  #write(to: Socket, from: Socket, chunk: Buffer): void {
    this.#later(() => {
      if (to.writable && !to.write(chunk)) from.pause();
    });
  }

  /** In order, since the delay is the same for all. */
  #later(act: () => void): void {
    const { delayMs } = this.options.state;
    if (delayMs === 0) act();
    else setTimeout(act, delayMs);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.options.client.destroy();
    this.options.server.destroy();
    this.options.onClose();
  }
}
