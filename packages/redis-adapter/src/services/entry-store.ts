import { OrchestratorError } from '@agent-orchestrator/core';
import {
  type EntryStore,
  entryTexts,
  type PutEntriesParams,
  type ReadEntriesParams,
  type StoredEntry,
  systemClock,
} from '@agent-orchestrator/core/storage';
import { connect, disconnect, type RedisTarget } from '../server/connection.js';
import { Database } from '../server/database.js';
import { Keys } from '../server/keys.js';
import { answerOf } from '../server/storage-errors.js';
import { type TimeLimit, timeLimit } from '../server/time-limit.js';
import { type Topology, topologyOf } from '../server/topology.js';

/** Options of `RedisEntryStore.connect`. */
export interface RedisEntryStoreOptions {
  /** Name of the service: 1 to 64 letters, digits, `_`, `.` or `-`. */
  readonly service: string;
  /** Prefix of every key, as of `RedisStorage`. Default `orchestrator`. */
  readonly prefix?: string;
}

const NAME_FORM = /^[A-Za-z0-9_.-]{1,64}$/;
const COMMAND_TIMEOUT_MS = 5_000;
/** A command may be sent again, after waiting for a connection. */
const LIMIT_FACTOR = 3;
/** Keys that a page of a scan has, about. */
const PAGE = 100;
/** Tenants that are known to be in the set of all; it is only written again for others. */
const MAX_KNOWN_TENANTS = 10_000;

const ignore = () => {};

/**
 * State of one service on Redis: a hash of the values of each tenant, and a set of the tenants. The changes of a put are one
 * transaction.
 *
 * What survives a failure of Redis depends on its settings, as for `RedisStorage`.
 */
export class RedisEntryStore implements EntryStore, AsyncDisposable {
  readonly #service: string;
  readonly #topology: Topology;
  readonly #keys: Keys;
  readonly #database: Database;
  readonly #limit: TimeLimit;
  readonly #knownTenants = new Set<string>();
  readonly #running = new Set<Promise<unknown>>();
  /** Puts are sent in the order of the calls. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  /**
   * Opens a connection, and closes it. Returns at once: commands wait for the connection.
   *
   * @throws {OrchestratorError} `invalid_request` for an invalid target, service or prefix.
   */
  static connect(
    target: RedisTarget,
    { service, prefix = 'orchestrator' }: RedisEntryStoreOptions,
  ): RedisEntryStore {
    for (const [what, text] of Object.entries({ service, prefix })) {
      if (typeof text === 'string' && NAME_FORM.test(text)) continue;
      const message = `${what}: expected 1 to 64 letters, digits, "_", "." or "-", got something else`;
      throw new OrchestratorError('invalid_request', message);
    }
    return new RedisEntryStore(topologyOf(connect(target, 'commands', COMMAND_TIMEOUT_MS)), service, prefix);
  }

  private constructor(topology: Topology, service: string, prefix: string) {
    this.#service = service;
    this.#topology = topology;
    this.#keys = new Keys(prefix, topology.database);
    const limitMs = topology.timesOut ? undefined : LIMIT_FACTOR * COMMAND_TIMEOUT_MS;
    this.#limit = timeLimit(systemClock, limitMs);
    this.#database = new Database(topology, this.#keys.layout, this.#limit);
    // Without a listener an error of the connection would end the process; its commands fail anyway.
    topology.client.on('error', ignore).on('close', () => this.#database.connectionLost());
  }

  async *entries({ signal }: ReadEntriesParams): AsyncGenerator<StoredEntry> {
    for await (const tenantId of this.#tenants(signal)) yield* this.#entriesOf(tenantId, signal);
  }

  async put(params: PutEntriesParams): Promise<void> {
    this.#checkOpen();
    const put = this.#put(params);
    this.#running.add(put);
    try {
      await put;
    } finally {
      this.#running.delete(put);
    }
  }

  /** Resolves once everything put is stored, or refused. */
  close(): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#running).then(() => {
      disconnect(this.#topology.client);
    });
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new OrchestratorError('storage_unavailable', 'the store is closed');
  }

  async #put(params: PutEntriesParams): Promise<void> {
    const { tenantId } = params;
    const values: string[] = [];
    const removed: string[] = [];
    for (const { key, text } of entryTexts(params)) {
      if (text === undefined) removed.push(key);
      else values.push(key, text);
    }
    const key = this.#keys.entries(this.#service, tenantId);
    const sent = this.#turn.then(async () => {
      await this.#database.check();
      if (values.length > 0) await this.#addTenant(tenantId);
      const answers = this.#topology.inOneStep((sender) => [
        ...(values.length > 0 ? [sender.hset(key, values)] : []),
        ...(removed.length > 0 ? [sender.hdel(key, ...removed)] : []),
      ]);
      // The next one is sent now, and not once this one is answered.
      return { answers };
    });
    this.#turn = sent.catch(ignore);
    const { answers } = await sent;
    for (const [error] of (await this.#answer(answers)) ?? [])
      if (error) await this.#answer(Promise.reject(error));
  }

  /** Before the first value of a tenant: one without values does no harm. */
  async #addTenant(tenantId: string): Promise<void> {
    if (this.#knownTenants.has(tenantId)) return;
    await this.#answer(this.#topology.client.sadd(this.#keys.entryTenants(this.#service), tenantId));
    if (this.#knownTenants.size >= MAX_KNOWN_TENANTS) this.#knownTenants.clear();
    this.#knownTenants.add(tenantId);
  }

  async *#tenants(signal: AbortSignal): AsyncGenerator<string> {
    const key = this.#keys.entryTenants(this.#service);
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [next, tenants] = await this.#page(signal, (client) => client.sscan(key, cursor, 'COUNT', PAGE));
      for (const tenantId of tenants) {
        // A scan may have some twice.
        if (seen.has(tenantId)) continue;
        seen.add(tenantId);
        yield tenantId;
      }
      cursor = next;
    } while (cursor !== '0');
  }

  async *#entriesOf(tenantId: string, signal: AbortSignal): AsyncGenerator<StoredEntry> {
    const hash = this.#keys.entries(this.#service, tenantId);
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [next, fields] = await this.#page(signal, (client) => client.hscan(hash, cursor, 'COUNT', PAGE));
      for (let at = 0; at < fields.length; at += 2) {
        const key = fields[at] as string;
        if (seen.has(key)) continue;
        seen.add(key);
        yield { tenantId, key, value: JSON.parse(fields[at + 1] as string) };
      }
      cursor = next;
    } while (cursor !== '0');
  }

  async #page(
    signal: AbortSignal,
    scan: (client: Topology['client']) => Promise<[cursor: string, elements: string[]]>,
  ): Promise<[cursor: string, elements: string[]]> {
    signal.throwIfAborted();
    this.#checkOpen();
    await this.#database.check();
    return this.#answer(scan(this.#topology.client));
  }

  #answer<T>(reply: Promise<T>): Promise<T> {
    return answerOf(this.#limit(reply));
  }
}
