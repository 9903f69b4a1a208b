import { OrchestratorError } from '@agent-orchestrator/core';
import { Cluster, type Redis } from 'ioredis';
import { toStorageError } from './storage-errors.js';
import { within } from './time-limit.js';

/**
 * Numbered database of a client. A client whose `SELECT` was refused stays connected, to database 0, so each
 * connection's database is checked before its first command. Database 0 always exists and needs no check.
 */
export class Database {
  readonly number: number;
  readonly #client: Redis | Cluster;
  #checked: Promise<void> | undefined;
  #isThere: boolean;

  /** @param limitMs timeout of the answer where the client itself sets none. */
  constructor(
    client: Redis | Cluster,
    private readonly limitMs: number | undefined,
  ) {
    this.#client = client;
    this.number = client instanceof Cluster ? 0 : (client.options.db ?? 0);
    this.#isThere = this.number === 0;
  }

  /** The next connection may be to another server. */
  connectionLost(): void {
    this.#isThere = this.number === 0;
    this.#checked = undefined;
  }

  /**
   * Returns `undefined` once the connection's database is confirmed.
   * @throws {OrchestratorError} `invalid_request` when the server does not have it, `storage_unavailable`
   *   without a server.
   */
  check(): Promise<void> | undefined {
    if (this.#isThere) return undefined;
    this.#checked ??= this.#select();
    return this.#checked;
  }

  async #select(): Promise<void> {
    try {
      await within(this.limitMs, (this.#client as Redis).select(this.number));
      this.#isThere = true;
    } catch (error) {
      this.#checked = undefined;
      if (!/^ERR (?:DB index|invalid DB index)/.test((error as Error).message)) throw toStorageError(error);
      const message = `Redis: expected a database that the server has, got ${this.number}`;
      throw new OrchestratorError('invalid_request', message, { cause: error });
    }
  }
}
