import { type Clock, OrchestratorError, type Random, type Storage } from '@agent-orchestrator/core';
import { systemClock, systemRandom } from '@agent-orchestrator/core/storage';
import { describe } from '@agent-orchestrator/core/protocol';
import {
  type Wakeups,
  type CacheStore,
  type CallJournal,
  checked,
  type EventLog,
  type RateStore,
  type SessionStore,
  type StoragePorts,
  type TaskQueue,
  type TaskRecords,
  type TenantStore,
  type TicketStore,
  type UsageLedger,
  type WorkerDirectory,
} from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import { BatchSubmissions } from './tasks/batch-submissions.js';
import { PubSubWakeups } from './pubsub/wakeups.js';
import { RedisCache } from './cache/cache-store.js';
import { RedisCallJournal } from './journal/call-journal.js';
import { Claims } from './queue/claims.js';
import { ClusterClaims } from './queue/cluster-claims.js';
import { OneServerClaims } from './queue/one-server-claims.js';
import { checkBorrowed, connect, disconnect, type RedisTarget } from './server/connection.js';
import { Database } from './server/database.js';
import { RedisEventLog } from './events/event-log.js';
import { Keys } from './server/keys.js';
import { RedisSystemEvents } from './pubsub/system-events.js';
import { RecentSubmissions } from './tasks/recent-submissions.js';
import { RedisState } from './scripts/tenant-steps.js';
import { REDIS_DEFAULTS, ScriptRunner, type StorageLimits } from './scripts/script-runner.js';
import { checkServer, type ServerFinding } from './server/server-check.js';
import { RedisSessions } from './sessions/sessions.js';
import { toStorageError } from './server/storage-errors.js';
import { FastBatches } from './fast/fast-batches.js';
import { FastSettlements } from './fast/fast-settlements.js';
import { FastSubmissions } from './fast/fast-submissions.js';
import { Submissions } from './tasks/submissions.js';
import { Settlements } from './queue/settlements.js';
import { Sweeps } from './queue/sweeps.js';
import { RedisTaskQueue } from './queue/task-queue.js';
import { RedisTaskRecords } from './tasks/task-records.js';
import { RedisTenantStore } from './tenants/tenant-store.js';
import { Tenants } from './queue/rotations.js';
import { RedisRates } from './tenants/rates.js';
import { RedisTickets } from './tenants/tickets.js';
import { type TimeLimit, timeLimit } from './server/time-limit.js';
import { type Topology, topologyOf } from './server/topology.js';
import { RedisUsage } from './tenants/usage.js';
import { RedisWorkerDirectory } from './queue/worker-directory.js';

/** Options of `RedisStorage`. */
export interface RedisStorageOptions {
  /** Prefix of every key. Default `orchestrator`; set it to separate several orchestrators on one server. */
  readonly prefix?: string;
  /** Timeout of a command, in ms, after which it fails with `storage_unavailable`. Default 5,000. */
  readonly commandTimeoutMs?: number;
  /**
   * Retention, bounds of the event log and other limits. Default: `DEFAULTS` of core, but 4 GiB stored per
   * tenant (`maxStoredBytes`) and 256 MiB of its event log (`maxEventBytes`).
   */
  readonly limits?: Partial<StorageLimits>;
  /** Default: the time of the Redis server, for all processes. For tests, which move it. */
  readonly clock?: Clock;
  /**
   * Waits of this process: long polls, polls of event logs, time limits, the interval of the reconcile.
   * Default: the system's. For tests, which move it.
   */
  readonly timers?: Clock;
  readonly random?: Random;
}

const PREFIX_FORM = /^[A-Za-z0-9_.-]{1,64}$/;
const DEFAULT_COMMAND_TIMEOUT_MS = 5_000;
const MAX_COMMAND_TIMEOUT_MS = 10 * 60_000;
/** A command may be sent again, after waiting for a connection. */
const LIMIT_FACTOR = 3;

interface Connections {
  readonly topology: Topology;
  readonly subscriber: Redis | Cluster;
  /**
   * Timeout of an answer where the client sets no limit itself: a Cluster that looks for nodes, or a borrowed
   * client.
   */
  readonly limitMs: number | undefined;
  /** Closes owned connections. */
  close(): void;
}

/**
 * Storage on Redis 7 or later, or Valkey: standalone, behind Sentinel, or a Cluster. Each change is one
 * script, and everything of a tenant shares one slot. A reconcile once a minute repairs what a crash between
 * two steps left undone.
 *
 * @example
 * const storage = RedisStorage.connect('redis://127.0.0.1:6379');
 */
export class RedisStorage implements Storage, AsyncDisposable {
  readonly tasks: TaskRecords;
  readonly queue: TaskQueue;
  readonly journal: CallJournal;
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly usage: UsageLedger;
  readonly cache: CacheStore;
  readonly workers: WorkerDirectory;
  readonly tenants: TenantStore;
  readonly tickets: TicketStore;
  readonly rates: RateStore;
  readonly wakeups: Wakeups;
  readonly systemEvents: RedisSystemEvents;
  readonly #state: RedisState;
  readonly #connections: Connections;
  readonly #limit: TimeLimit;
  /** The connection for commands is lost: the next one may be to another server. */
  readonly #connectionLost = () => {
    this.#state.parts.database.connectionLost();
    this.#state.parts.wakeups.connectionLost();
    this.#state.epochs.forget();
  };
  readonly #forgetNodes: () => void;
  readonly #recheckLogs = () => this.#state.parts.wakeups.recheckLogs();

  /** Opens its own connections, and closes them. Returns at once: commands wait for the connections. */
  static connect(target: RedisTarget, options: RedisStorageOptions = {}): RedisStorage {
    checkOptions(options);
    const { commandTimeoutMs = DEFAULT_COMMAND_TIMEOUT_MS } = options;
    const commands = connect(target, 'commands', commandTimeoutMs);
    const subscriber = connect(target, 'subscriptions', commandTimeoutMs);
    const close = () => {
      disconnect(commands);
      disconnect(subscriber);
    };
    const topology = topologyOf(commands);
    const limitMs = topology.timesOut ? undefined : LIMIT_FACTOR * commandTimeoutMs;
    return new RedisStorage({ topology, subscriber, limitMs, close }, options);
  }

  /**
   * Borrows a client, which is neither changed nor closed; subscriptions use a duplicate of it.
   * @throws {OrchestratorError} `invalid_request` for a client with unsupported settings, such as
   *   `keyPrefix`.
   */
  static using(client: Redis | Cluster, options: RedisStorageOptions = {}): RedisStorage {
    checkOptions(options);
    const topology = topologyOf(client);
    checkBorrowed(topology);
    const subscriber = topology.subscriber();
    const limitMs = LIMIT_FACTOR * (options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS);
    const close = () => disconnect(subscriber);
    return new RedisStorage({ topology, subscriber, limitMs, close }, options);
  }

  private constructor(connections: Connections, options: RedisStorageOptions) {
    const { prefix = 'orchestrator', limits, clock, timers = systemClock, random = systemRandom } = options;
    const { topology, subscriber } = connections;
    const { client } = topology;
    const limit = timeLimit(timers, connections.limitMs);
    const keys = new Keys(prefix, topology.database);
    const database = new Database(topology, keys.layout, limit);
    const allLimits = { ...REDIS_DEFAULTS, ...limits };
    const wakeups = new PubSubWakeups(subscriber, keys, timers);
    const state = new RedisState({
      topology,
      client,
      database,
      keys,
      scripts: new ScriptRunner(topology, allLimits, database, limit),
      wakeups,
      systemEvents: new RedisSystemEvents(client, keys.notifications, database, timers),
      limits: allLimits,
      random,
      clock,
      timers,
    });
    const tenants = new Tenants(state);
    this.#state = state;
    this.#connections = connections;
    this.#limit = limit;
    // Without a listener an error of a connection would end the process; its commands fail anyway.
    for (const connection of [client, subscriber]) connection.on('error', ignore);
    for (const moved of ['ready', '+node', '-node']) subscriber.on(moved, () => wakeups.resubscribe());
    subscriber.on('close', () => wakeups.connectionLost());
    client.on('close', this.#connectionLost).on('ready', this.#recheckLogs);
    // A step whose answer was lost may have left a ready tenant out of the rotation, which is on another
    // node.
    this.#forgetNodes = topology.onNodeLost(() => {
      state.epochs.forget();
      tenants.reconcileSoon();
    });
    const strategy = topology.stepsSpanTenants
      ? new OneServerClaims(state, tenants)
      : new ClusterClaims(state, tenants);
    const ports = portsOf(state, tenants, new Claims(state, tenants, strategy));
    this.tasks = ports.tasks;
    this.queue = ports.queue;
    this.journal = ports.journal;
    this.sessions = ports.sessions;
    this.events = ports.events;
    this.usage = ports.usage;
    this.cache = ports.cache;
    this.workers = ports.workers;
    this.tenants = ports.tenants;
    this.tickets = ports.tickets;
    this.rates = ports.rates;
    this.systemEvents = state.parts.systemEvents;
    this.wakeups = { subscribe: (listener) => wakeups.subscribe(listener) };
  }

  async ping(): Promise<void> {
    this.#state.checkOpen();
    await this.#state.parts.database.check();
    try {
      await this.#limit(this.#connections.topology.client.ping());
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /** Findings about the server that are unsafe or would lose work: version, eviction, persistence, clock. */
  async checkServer(): Promise<readonly ServerFinding[]> {
    await this.#state.parts.database.check();
    return checkServer(this.#connections.topology, this.#state.parts.timers);
  }

  /**
   * Resolves once all wakeups published until now have arrived in this process. For tests, which wait for
   * facts.
   */
  async wakeupsSettled(): Promise<void> {
    const { wakeups, topology } = this.#state.parts;
    await wakeups.settled(topology.masters());
  }

  async close(): Promise<void> {
    if (this.#state.closed) return;
    this.#state.closed = true;
    this.#connections.topology.client
      .off('error', ignore)
      .off('close', this.#connectionLost)
      .off('ready', this.#recheckLogs);
    this.#forgetNodes();
    this.#connections.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** @throws {OrchestratorError} `invalid_request` that names the option; before anything is opened. */
function checkOptions({ prefix = 'orchestrator', commandTimeoutMs, limits = {} }: RedisStorageOptions): void {
  const refuse = (what: string, expected: string, got: unknown) => {
    throw new OrchestratorError('invalid_request', `${what}: expected ${expected}, got ${describe(got)}`);
  };
  if (typeof prefix !== 'string' || !PREFIX_FORM.test(prefix))
    refuse('prefix', '1 to 64 letters, digits, "_", "." or "-"', prefix);
  const isTime = commandTimeoutMs === undefined || isWhole(commandTimeoutMs, 1, MAX_COMMAND_TIMEOUT_MS);
  if (!isTime) refuse('commandTimeoutMs', `1 to ${MAX_COMMAND_TIMEOUT_MS}`, commandTimeoutMs);
  for (const [name, value] of Object.entries(limits))
    if (!isWhole(value, 0, Number.MAX_SAFE_INTEGER)) refuse(`limits.${name}`, 'a whole number', value);
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

/** The ports, behind the validation that all storages share. */
function portsOf(state: RedisState, tenants: Tenants, claims: Claims): StoragePorts {
  const recent = new RecentSubmissions();
  const workers = new RedisWorkerDirectory(state, tenants, claims);
  const submissions = new Submissions(state);
  const paths = {
    fast: new FastSubmissions(state, recent, submissions),
    batches: new FastBatches(state, new BatchSubmissions(state)),
    settlements: new FastSettlements(state, claims, new Settlements(state, claims)),
  };
  return checked<StoragePorts>({
    workers,
    tasks: new RedisTaskRecords(
      state,
      {
        submit: (params) => paths.fast.submit(params),
        submitBatch: (params) => paths.batches.submit(params),
      },
      submissions,
      workers,
    ),
    queue: new RedisTaskQueue(state, claims, paths.settlements, new Sweeps(state, tenants)),
    journal: new RedisCallJournal(state),
    sessions: new RedisSessions(state),
    events: new RedisEventLog(state, recent),
    usage: new RedisUsage(state),
    cache: new RedisCache(state),
    tenants: new RedisTenantStore(state, tenants),
    tickets: new RedisTickets(state),
    rates: new RedisRates(state),
  });
}

function ignore(): void {}
