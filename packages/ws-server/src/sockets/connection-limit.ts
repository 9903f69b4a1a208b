import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Logger } from '@agent-orchestrator/core';
import { networkOf } from './client-address.js';
import { Shares } from './shares.js';

export interface ConnectionLimitOptions {
  readonly maxConnectionsPerAddress: number;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Interval of log entries about refused connections, ms. */
const SAID_EVERY_MS = 10_000;

/**
 * Limits connections of one address: further ones are closed before anything is read. A WebSocket is
 * released: it has limits of its own.
 */
export class ConnectionLimit {
  readonly #max: number;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #taken: Shares;
  readonly #given = new WeakMap<object, () => void>();
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor({ maxConnectionsPerAddress: max, logger, clock }: ConnectionLimitOptions) {
    this.#max = max;
    this.#logger = logger;
    this.#clock = clock;
    this.#taken = new Shares(max);
  }

  /** Registered before the server's own listener, so that nothing of a refused connection is read. */
  attach(server: Server): void {
    server.prependListener('connection', (socket) => this.#count(socket));
  }

  /** Stops counting the connection. */
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
    const now = this.#clock.monotonic();
    if (now - this.#saidAt < SAID_EVERY_MS) return;
    this.#saidAt = now;
    const max = this.#max;
    this.#logger.warn('an address has as many connections as it may: more are closed', { address, max });
  }
}
