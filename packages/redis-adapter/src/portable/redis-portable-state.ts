import { type Clock, type Random } from '@agent-orchestrator/core';
import {
  type ExportRecordsParams,
  type ImportRecordsParams,
  type PortableRecord,
  type PortableState,
  systemClock,
  systemRandom,
} from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import { PubSubWakeups } from '../pubsub/wakeups.js';
import { RedisSystemEvents } from '../pubsub/system-events.js';
import { Tenants } from '../queue/rotations.js';
import { REDIS_DEFAULTS, ScriptRunner } from '../scripts/script-runner.js';
import { RedisState } from '../scripts/tenant-steps.js';
import { connect, disconnect, type RedisTarget } from '../server/connection.js';
import { Database } from '../server/database.js';
import { Keys } from '../server/keys.js';
import { timeLimit } from '../server/time-limit.js';
import { type Topology, topologyOf } from '../server/topology.js';
import { RedisExport } from './redis-export.js';
import { RedisImport } from './redis-import.js';

/** Options of `RedisPortableState`. */
export interface RedisPortableStateOptions {
  /** Prefix of every key, as of `RedisStorage`. Default `orchestrator`. */
  readonly prefix?: string;
  /** Default: the time of the Redis server. For tests, which move it. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** A portion may have megabytes, and a page of tasks too. */
const COMMAND_TIMEOUT_MS = 30_000;
/** A command may be sent again, after waiting for a connection. */
const LIMIT_FACTOR = 3;

/** The state of a `RedisStorage` that no process uses at the moment. */
export class RedisPortableState implements PortableState, AsyncDisposable {
  readonly #target: RedisTarget;
  readonly #options: RedisPortableStateOptions;
  readonly #open = new Set<Session>();

  private constructor(target: RedisTarget, options: RedisPortableStateOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** Opens its connections with the first export or import, and closes them. */
  static connect(target: RedisTarget, options: RedisPortableStateOptions = {}): RedisPortableState {
    return new RedisPortableState(target, options);
  }

  async *exportRecords({ signal }: ExportRecordsParams): AsyncGenerator<PortableRecord> {
    const session = this.#session();
    try {
      yield* new RedisExport(session.state, session.tenants, signal).records();
    } finally {
      this.#end(session);
    }
  }

  async importRecords(params: ImportRecordsParams): Promise<void> {
    const session = this.#session('import');
    try {
      await new RedisImport(session.state).run(params);
    } finally {
      this.#end(session);
    }
  }

  async close(): Promise<void> {
    for (const session of this.#open) this.#end(session);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #session(during?: 'import'): Session {
    const session = new Session(this.#target, this.#options, during);
    this.#open.add(session);
    return session;
  }

  #end(session: Session): void {
    this.#open.delete(session);
    session.close();
  }
}

/** The connections of one export or import. */
class Session {
  readonly state: RedisState;
  readonly tenants: Tenants;
  readonly #connections: readonly (Redis | Cluster)[];

  constructor(target: RedisTarget, options: RedisPortableStateOptions, during?: 'import') {
    const { prefix = 'orchestrator', clock, random = systemRandom } = options;
    const client = connect(target, 'commands', COMMAND_TIMEOUT_MS);
    const subscriber = connect(target, 'subscriptions', COMMAND_TIMEOUT_MS);
    this.#connections = [client, subscriber];
    for (const connection of this.#connections) connection.on('error', ignore);
    const topology: Topology = topologyOf(client);
    const limit = timeLimit(systemClock, topology.timesOut ? undefined : LIMIT_FACTOR * COMMAND_TIMEOUT_MS);
    const keys = new Keys(prefix, topology.database);
    const database = new Database(topology, keys.layout, limit, during);
    client.on('close', () => database.connectionLost());
    this.state = new RedisState({
      topology,
      client,
      database,
      keys,
      scripts: new ScriptRunner(topology, REDIS_DEFAULTS, database, limit),
      wakeups: new PubSubWakeups(subscriber, keys, systemClock),
      systemEvents: new RedisSystemEvents(client, keys.notifications, database, systemClock),
      limits: REDIS_DEFAULTS,
      random,
      clock,
      timers: systemClock,
    });
    this.tenants = new Tenants(this.state);
  }

  close(): void {
    this.state.closed = true;
    for (const connection of this.#connections) disconnect(connection);
  }
}

function ignore(): void {}
