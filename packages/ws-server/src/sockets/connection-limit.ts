import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '@agent-orchestrator/core';
import { networkOf } from './client-address.js';
import { Shares } from './shares.js';

export interface ConnectionLimitOptions {
  readonly maxConnectionsPerAddress: number;
  readonly logger: Logger;
}

/** Between two lines in the log about refused connections, in milliseconds. */
const SAID_EVERY_MS = 10_000;

/**
 * How many connections one address may have to a server: more are closed as they come, before anything is read. One that
 * has become a WebSocket is released: there are limits of its own for those.
 */
export class ConnectionLimit {
  readonly #max: number;
  readonly #logger: Logger;
  readonly #taken: Shares;
  readonly #given = new WeakMap<object, () => void>();
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor({ maxConnectionsPerAddress: max, logger }: ConnectionLimitOptions) {
    this.#max = max;
    this.#logger = logger;
    this.#taken = new Shares(max);
  }

  /** Before the listener of the server itself, so that of what is refused nothing is read. */
  attach(server: Server): void {
    server.prependListener('connection', (socket) => this.#count(socket));
  }

  /** It counts no longer. */
  release(socket: Socket): void {
    this.#given.get(socket)?.();
  }

  #count(socket: Socket): void {
    const address = networkOf(socket.remoteAddress ?? '');
    const giveBack = this.#taken.take(address);
    if (!giveBack) {
      socket.destroy();
      this.#say(address);
      return;
    }
    this.#given.set(socket, giveBack);
    socket.once('close', giveBack);
  }

  #say(address: string): void {
    const now = performance.now();
    if (now - this.#saidAt < SAID_EVERY_MS) return;
    this.#saidAt = now;
    const max = this.#max;
    this.#logger.warn('an address has as many connections as it may: more are closed', { address, max });
  }
}
