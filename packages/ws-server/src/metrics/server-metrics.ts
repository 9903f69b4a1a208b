import { createRequire } from 'node:module';
import type { Clock, Orchestrator, OrchestratorStats } from '@agent-orchestrator/core';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LimitName } from '../rates/rate-state.js';
import { addQueueMetrics } from './queue-metrics.js';
import type { RouteLabel } from './route-label.js';
import { addRunMetrics } from './run-metrics.js';
import { SocketTraffic } from './socket-traffic.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

const LAG_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30];
const SECONDS = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const BREAKER_STATES = ['closed', 'half_open', 'open'] as const;

/**
 * Metrics of one server and its orchestrator, in a registry of their own. Without ids of tenants, sessions or
 * tasks: a reader of metrics need not have access to those.
 *
 * Hot counters are plain numbers, copied at collection.
 */
export class ServerMetrics {
  readonly traffic = new SocketTraffic();
  readonly #orchestrator: Orchestrator;
  readonly #registry = new Registry();
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #durations: Histogram<'method' | 'route'>;
  readonly #eventLag: Histogram;
  readonly #unwatch: () => void;
  #ofProcess = false;

  /** @param refused requests refused by a rate limit, by limit. */
  constructor(orchestrator: Orchestrator, clock: Clock, refused: Readonly<Record<LimitName, number>>) {
    this.#orchestrator = orchestrator;
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'orchestrator_http_requests_total',
      help: 'HTTP requests answered, by route and status.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'orchestrator_http_request_duration_seconds',
      help: 'From the request to its answer; of a stream, to its beginning.',
      labelNames: ['method', 'route'],
      buckets: SECONDS,
      registers,
    });
    this.#eventLag = new Histogram({
      name: 'orchestrator_event_delivery_seconds',
      help: 'From an event of a task to its delivery to the clients of this process.',
      buckets: LAG_SECONDS,
      registers,
    });
    const info = 'Constant 1, with the role of the process and the version of its server.';
    this.#gauge('info', info, ['role', 'version'], (set) => set(1, { role: orchestrator.role, version }));
    this.#describeStorage(clock);
    this.#unwatch = addRunMetrics(orchestrator, this.#registry);
    addQueueMetrics(orchestrator, this.#registry, clock);
    this.#counter('rate_limited_total', 'Requests refused by a rate limit.', ['limit'], (set) => {
      for (const [limit, count] of Object.entries(refused)) set(count, { limit });
    });
    this.#describeSockets();
    if (orchestrator.stats().worker) this.#describeWorker();
    this.#describeSweeper();
    this.#describeServices();
    this.#describeCache();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Registers Node's process metrics; idempotent. */
  watchProcess(): void {
    if (this.#ofProcess) return;
    this.#ofProcess = true;
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Ends the listeners of the orchestrator's hooks. */
  stop(): void {
    this.#unwatch();
  }

  answered({ method, route }: RouteLabel, status: number, seconds: number): void {
    this.#requests.inc({ method, route, status });
    this.#durations.observe({ method, route }, seconds);
  }

  /** @param lagMs from an event to its delivery. */
  delivered(lagMs: number): void {
    // Clocks of processes differ.
    this.#eventLag.observe(Math.max(0, lagMs) / 1_000);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #describeStorage(clock: Clock): void {
    const measured = async () => {
      const began = clock.monotonic();
      const { checks } = await this.#orchestrator.health();
      return { isUp: checks['storage']?.ok === true, ms: clock.monotonic() - began };
    };
    // One ping for both of a scrape.
    let running: ReturnType<typeof measured> | undefined;
    const measure = () => (running ??= measured().finally(() => (running = undefined)));
    const registers = [this.#registry];
    const up: Gauge = new Gauge({
      name: 'orchestrator_storage_up',
      help: '1 if the storage answers.',
      registers,
      collect: async () => up.set((await measure()).isUp ? 1 : 0),
    });
    const ping: Gauge = new Gauge({
      name: 'orchestrator_storage_ping_seconds',
      help: 'Duration of a ping of the storage, made for this scrape.',
      registers,
      collect: async () => ping.set((await measure()).ms / 1_000),
    });
  }

  #describeSockets(): void {
    const { traffic } = this;
    this.#gauge('sockets', 'Open WebSockets.', ['kind'], (set) => {
      for (const kind of ['client', 'service'] as const) set(traffic.open[kind], { kind });
    });
    this.#counter('socket_frames_total', 'Frames received.', ['kind'], (set) => {
      for (const kind of ['client', 'service'] as const) set(traffic.frames[kind], { kind });
    });
    this.#counter('socket_events_total', 'Events sent to clients.', [], (set) => set(traffic.eventsSent));
    this.#counter('socket_acks_total', 'Acks sent to services, by outcome.', ['outcome'], (set) => {
      for (const [outcome, count] of Object.entries(traffic.acks)) set(count, { outcome });
    });
  }

  #describeWorker(): void {
    const worker = (): OrchestratorStats['worker'] => this.#orchestrator.stats().worker;
    this.#gauge('worker_slots', 'Slots of the worker: maximum of concurrent tasks.', [], (set) =>
      set(worker()?.slots),
    );
    this.#gauge('worker_runs', 'Runs in memory; idle and prefetched ones take no slot.', ['state'], (set) => {
      const now = worker();
      set(now && now.running - now.idle, { state: 'working' });
      set(now?.idle, { state: 'idle' });
      set(now?.prefetched, { state: 'prefetched' });
    });
    this.#gauge('worker_claim_age_seconds', 'Seconds since the last answered claim.', [], (set) =>
      set(inSeconds(worker()?.sinceClaimMs)),
    );
    this.#counter('claims_total', 'Claims sent.', [], (set) => set(worker()?.claimsSent));
    this.#counter('tasks_claimed_total', 'Tasks claimed.', [], (set) => set(worker()?.tasksClaimed));
    this.#counter('runs_total', 'Ended workflow runs, by kind of end.', ['end'], (set) => {
      for (const [end, count] of Object.entries(worker()?.runsEnded ?? {})) set(count, { end });
    });
  }

  #describeSweeper(): void {
    const sweeper = (): OrchestratorStats['sweeper'] => this.#orchestrator.stats().sweeper;
    this.#gauge('sweep_age_seconds', 'Seconds since the last successful sweep.', [], (set) =>
      set(inSeconds(sweeper().sinceSweepMs)),
    );
    this.#counter('sweeps_total', 'Successful sweeps.', [], (set) => set(sweeper().sweeps));
    this.#counter('timers_fired_total', 'Timers that fired, by kind.', ['kind'], (set) => {
      for (const [kind, count] of Object.entries(sweeper().timersFired)) set(count, { kind });
    });
  }

  #describeServices(): void {
    const help = 'Circuit breakers: 1 for the state that a service is in.';
    this.#gauge('breaker_state', help, ['service', 'state'], (set) => {
      for (const [service, now] of Object.entries(this.#orchestrator.stats().breakers)) {
        for (const state of BREAKER_STATES) set(state === now ? 1 : 0, { service, state });
      }
    });
    const openHelp = 'Tenants whose calls to a service do not pass, since theirs failed.';
    this.#gauge('tenant_breakers_open', openHelp, ['service'], (set) => {
      const { breakers, openTenantBreakers } = this.#orchestrator.stats();
      for (const service of Object.keys(breakers)) set(openTenantBreakers[service] ?? 0, { service });
    });
    this.#counter('notifications_total', 'Notifications received, by outcome.', ['outcome'], (set) => {
      for (const [outcome, count] of Object.entries(this.#orchestrator.stats().notifications))
        set(count, { outcome });
    });
  }

  #describeCache(): void {
    const cache = () => Object.entries(this.#orchestrator.stats().cache);
    const hitHelp = 'Answers from the cache, or from a computation under way, by kind.';
    this.#counter('cache_hits_total', hitHelp, ['kind'], (set) => {
      for (const [kind, { hits }] of cache()) set(hits, { kind });
    });
    this.#counter('cache_misses_total', 'Computations of cached values, by kind.', ['kind'], (set) => {
      for (const [kind, { misses }] of cache()) set(misses, { kind });
    });
    const savedHelp = 'Tokens that answers from the cache have saved, by kind.';
    this.#counter('cache_saved_tokens_total', savedHelp, ['kind'], (set) => {
      for (const [kind, { savedTokens }] of cache()) set(savedTokens, { kind });
    });
  }

  #gauge(name: string, help: string, labelNames: string[], collect: Collect): void {
    const gauge: Gauge = new Gauge({
      name: `orchestrator_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        collect((value, labels = {}) => value !== undefined && gauge.set(labels, value));
      },
    });
  }

  #counter(name: string, help: string, labelNames: string[], collect: Collect): void {
    const counter: Counter = new Counter({
      name: `orchestrator_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        collect((value, labels = {}) => value !== undefined && counter.inc(labels, value));
      },
    });
  }
}

/** Reports the values of a metric at collection; an `undefined` one is omitted. */
type Collect = (set: (value: number | undefined, labels?: Record<string, string>) => unknown) => void;

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}
