import { OrchestratorError } from '@agent-orchestrator/core';
import { Cluster, type Redis } from 'ioredis';
import { toStorageError } from './storage-errors.js';
import { within } from './time-limit.js';

/**
 * The numbered database of a client. A client whose `SELECT` is refused stays connected, to database 0: so each connection
 * is asked for its database before anything else. Database 0 always exists and costs no question.
 */
export class Database {
  readonly number: number;
  readonly #client: Redis | Cluster;
  #checked: Promise<void> | undefined;
  #isThere: boolean;

  /** @param limitMs how long the answer may take where the client itself sets no limit. */
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
   * Nothing to wait for once the connection has its database.
   * @throws {OrchestratorError} `invalid_request` when the server does not have it, `storage_unavailable` without a server.
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
