import { OrchestratorError } from '@agent-orchestrator/core';
import { Cluster, type Redis } from 'ioredis';
import { checkLayout } from './layout.js';
import { toStorageError } from './storage-errors.js';
import { within } from './time-limit.js';

/** Number of a client's database. A Cluster has one, whose number is 0. */
export function databaseOf(client: Redis | Cluster): number {
  return client instanceof Cluster ? 0 : (client.options.db ?? 0);
}

/**
 * Database of a client. Each connection is checked before its first command, in one round trip: the server has the
 * database (a client whose `SELECT` was refused stays connected, to database 0), and its keys have the layout of
 * this version.
 */
export class Database {
  readonly number: number;
  readonly #client: Redis | Cluster;
  #checked: Promise<void> | undefined;
  #isChecked = false;
  /** Number of lost connections. */
  #losses = 0;

  /**
   * @param layoutKey holds the version of the layout.
   * @param limitMs timeout of the answer where the client itself sets none.
   */
  constructor(
    client: Redis | Cluster,
    private readonly layoutKey: string,
    private readonly limitMs: number | undefined,
  ) {
    this.#client = client;
    this.number = databaseOf(client);
  }

  /** The next connection may be to another server. */
  connectionLost(): void {
    this.#isChecked = false;
    this.#checked = undefined;
    this.#losses += 1;
  }

  /**
   * Returns `undefined` once the connection's database is confirmed.
   * @throws {OrchestratorError} `invalid_request` when the server does not have it or its keys have another
   *   layout, `storage_unavailable` without a server.
   */
  check(): Promise<void> | undefined {
    if (this.#isChecked) return undefined;
    this.#checked ??= this.#run();
    return this.#checked;
  }

  async #run(): Promise<void> {
    const { number } = this;
    const client = this.#client;
    const losses = this.#losses;
    try {
      const selected = number === 0 ? undefined : (client as Redis).select(number);
      // Sent at once. Where the database is refused, its refusal is the answer.
      const checked = checkLayout(client, this.layoutKey, selected);
      const isStored = await within(this.limitMs, checked);
      if (losses !== this.#losses) return;
      this.#isChecked = isStored;
      this.#checked = undefined;
    } catch (error) {
      if (losses === this.#losses) this.#checked = undefined;
      if (!/^ERR (?:DB index|invalid DB index)/.test((error as Error).message)) throw toStorageError(error);
      const message = `Redis: expected a database that the server has, got ${number}`;
      throw new OrchestratorError('invalid_request', message, { cause: error });
    }
  }
}
