import { OrchestratorError } from '@agent-orchestrator/core';
import { checkLayout } from './layout.js';
import { toStorageError } from './storage-errors.js';
import type { TimeLimit } from './time-limit.js';
import type { Topology } from './topology.js';

/**
 * Database of a client. Each connection is checked before its first command, in one round trip: the server has the
 * database (a client whose `SELECT` was refused stays connected, to database 0), and its keys have the layout of
 * this version.
 */
export class Database {
  readonly number: number;
  #checked: Promise<void> | undefined;
  #isChecked = false;
  /** Number of lost connections. */
  #losses = 0;

  /**
   * @param layoutKey holds the version of the layout.
   * @param limit of the answer, where the client itself sets none.
   * @param during whether keys whose import has not come to its end are taken.
   */
  constructor(
    private readonly topology: Topology,
    private readonly layoutKey: string,
    private readonly limit: TimeLimit,
    private readonly during?: 'import',
  ) {
    this.number = topology.database;
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
    const { number, topology } = this;
    const losses = this.#losses;
    try {
      // Sent at once. Where the database is refused, its refusal is the answer.
      const checked = checkLayout(topology.client, this.layoutKey, topology.select(), this.during);
      const isStored = await this.limit(checked);
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
