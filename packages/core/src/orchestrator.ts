import type { Admin } from './admin/admin.js';
import { StorageAdmin } from './admin/storage-admin.js';
import { atMost, type Clock, systemClock } from './runtime/clock.js';
import { CachedValues } from './cache/cached-values.js';
import { OrchestratorCache } from './cache/orchestrator-cache.js';
import { OrchestratorUsage } from './usage/orchestrator-usage.js';
import { Prices } from './usage/price-table.js';
import { TenantEvents } from './events/tenant-events.js';
import type { OrchestratorStats } from './orchestrator-stats.js';
import { Gateway } from './intake/gateway.js';
import { Intake } from './intake/intake.js';
import { ServiceLinks } from './intake/service-links.js';
import { guardedLogger, type Logger, silentLogger } from './runtime/logger.js';
import { MemoryStorage } from './engine/memory-storage.js';
import type { InProcessHub } from './notifier/in-process-transport.js';
import {
  type CheckedOptions,
  checkOptions,
  type OrchestratorOptions,
  type Role,
} from './orchestrator-options.js';
import { OrchestratorError } from './protocol/errors.js';
import { idSchema } from './protocol/ids.js';
import { DEFAULTS } from './protocol/settings.js';
import { validate } from './protocol/validation.js';
import { systemRandom } from './runtime/random.js';
import type { OpenedBreaker } from './services/breakers.js';
import type { ServiceKind, ServiceProbe } from './services/probe-service.js';
import { ServiceCaller } from './services/service-caller.js';
import type { ServiceSettings } from './services/service-settings.js';
import { SessionManager } from './sessions/session-manager.js';
import type { Storage } from './storage/storage.js';
import { GlobalTaskRegistry } from './tasks/global-task-registry.js';
import { TenantHandle } from './tenant/tenant-handle.js';
import { TenantAdmin } from './tenants/tenant-admin.js';
import { RejectionGuard } from './worker/rejection-guard.js';
import { Sweeper } from './worker/sweeper.js';
import { Worker } from './worker/worker.js';
import { addBuiltInWorkflows } from './workflows/built-in.js';
import type { RunPorts } from './workflows/run-ports.js';
import { type WorkflowOptions, WorkflowCatalog } from './workflows/catalog.js';
import type { WorkflowFunction } from './workflows/context.js';
import { isDefinition, type WorkflowDefinition } from './workflows/definition.js';
import { checkPlan } from './workflows/plan-check.js';
import { ContractChecks, type Contracts } from './services/contracts.js';
import { parseBySchema } from './protocol/standard-schema.js';
import type { Hooks, OrchestratorHooks } from './runtime/hooks.js';
import { Listeners } from './runtime/listeners.js';
import { diagnose } from './protocol/thrown.js';

export interface StopOptions {
  /** Time for running tasks to end by themselves, ms. Default 10 s. */
  readonly graceMs?: number;
  /** Ends the grace period early. */
  readonly signal?: AbortSignal;
}

/** Whether the process makes progress, with each check. */
export interface Health {
  /** All checks pass: the storage responds, the sweeper sweeps, the worker (unless the role is `api`) claims. */
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly detail: string }>>;
}

const STALE_MS = 15_000;
/** Maximum time that `stop` waits for a running sweep, since the storage may not respond. */
const SWEEP_END_MS = 2_000;

function listenersOf(logger: Logger): Hooks {
  return new Listeners((event, error) => {
    logger.warn(`a listener of "${event}" failed`, { error: diagnose(error).message });
  });
}

/** Composes the parts and owns their lifecycle. States: created, running (`start`), stopped (`stop`), which is final. */
export class Orchestrator<C extends Contracts = Contracts> implements AsyncDisposable {
  readonly registry: GlobalTaskRegistry;
  readonly sessions: SessionManager;
  readonly intake: Intake;
  readonly links: ServiceLinks;
  readonly gateway: Gateway;
  readonly tenants: TenantAdmin;
  /** Values that are computed once, and kept for a while. */
  readonly cache: OrchestratorCache;
  /** Tokens and money that tenants use. */
  readonly usage: OrchestratorUsage;
  /** For operators only: it sees all tenants. */
  readonly admin: Admin;
  readonly role: Role;
  readonly #clock: Clock;
  readonly #storage: Storage;
  readonly #ownsStorage: boolean;
  readonly #catalog = new WorkflowCatalog();
  readonly #hooks: Hooks;
  readonly #caller: ServiceCaller;
  readonly #cached: CachedValues;
  readonly #worker: Worker | undefined;
  readonly #guard: RejectionGuard | undefined;
  readonly #sweeper: Sweeper;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: OrchestratorOptions<C> = {}) {
    const settings = checkOptions(options);
    const { clock = systemClock, random = systemRandom } = options;
    const logger = guardedLogger(options.logger ?? silentLogger);
    const { role, exposeErrors, maxWaiting, callStages } = settings;
    const hooks = listenersOf(logger);
    const storage: Storage = options.storage ?? new MemoryStorage({ clock, random });
    const opened = ({ service, tenantId }: OpenedBreaker) => {
      const why = tenantId === undefined ? 'connections fail' : `calls of tenant ${tenantId} fail`;
      const text = `circuit breaker of service "${service}" opened: ${why}`;
      const fields = { service, ...(tenantId !== undefined && { tenant: tenantId }) };
      logger.warn(text, fields);
      storage.systemEvents.publish({ kind: 'breaker_opened', text, fields });
      hooks.emit('breakerOpened', { service, ...(tenantId !== undefined && { tenantId }) });
    };
    const cached = new CachedValues({ storage, clock, random, logger });
    const contracts = new ContractChecks(options.contracts);
    const prices = new Prices(settings.prices);
    const own = { opened, stages: callStages, hooks, cached, contracts, prices };
    const caller = new ServiceCaller({ clock, random, logger, ...own });
    const ports = { storage, clock, random, logger, caller, contracts, hooks, prices, exposeErrors };
    this.usage = new OrchestratorUsage({ ...ports, ledger: storage.usage });
    this.#hooks = hooks;
    this.role = role;
    this.#clock = clock;
    this.#storage = storage;
    this.#ownsStorage = options.storage === undefined;
    this.#caller = caller;
    this.#cached = cached;
    this.cache = new OrchestratorCache({ values: cached, storage, clock, random, logger });
    const services: Readonly<Record<string, ServiceSettings>> = options.services ?? {};
    for (const [name, settings] of Object.entries(services)) caller.add(name, settings);
    addBuiltInWorkflows(this.#catalog, caller);
    const types = {
      has: (type: string) => this.#catalog.has(type),
      defaults: (type: string) => this.#catalog.defaults(type),
      checkPayload: this.#checkPayload.bind(this),
    };
    this.registry = new GlobalTaskRegistry({ storage, types, clock, random, maxWaiting });
    this.sessions = new SessionManager({ storage, random });
    this.intake = new Intake(ports);
    this.links = new ServiceLinks(ports);
    this.gateway = new Gateway({ ...ports, maxWaiting, registry: this.registry, links: this.links });
    this.tenants = new TenantAdmin(ports);
    const { registry, tenants } = this;
    this.admin = new StorageAdmin({ storage, registry, tenants, clock });
    this.#sweeper = new Sweeper(ports, settings);
    if (role === 'api') return;
    this.#worker = this.#makeWorker(ports, settings);
    if (settings.unhandledRejections === 'log') this.#guard = new RejectionGuard(logger);
  }

  #makeWorker(
    ports: Omit<RunPorts, 'limits' | 'readsMessages'> & { readonly logger: Logger },
    { mismatchMs, parkAfterMs, ...settings }: CheckedOptions,
  ): Worker {
    const { maxSteps, callTries } = DEFAULTS;
    return new Worker(
      {
        ...ports,
        catalog: this.#catalog,
        readsMessages: new Set(),
        limits: { maxSteps, callTries, mismatchMs, parkAfterMs },
      },
      settings,
    );
  }

  /**
   * Registers a workflow, replacing one of the same type and version. Tasks finish with the `version` they started with
   * (default 1): keep older versions registered until then.
   * @throws {OrchestratorError} `invalid_request`
   */
  workflow<I, R>(definition: WorkflowDefinition<I, R>): this;
  workflow<I, R, D extends Contracts = C>(type: string, fn: WorkflowFunction<I, R, D>): this;
  workflow<I, R, D extends Contracts = C>(
    type: string,
    options: WorkflowOptions,
    fn: WorkflowFunction<I, R, D>,
  ): this;
  workflow(
    what: WorkflowDefinition | string,
    ...rest: [] | [WorkflowFunction] | [WorkflowOptions, WorkflowFunction]
  ): this {
    if (isDefinition(what)) {
      const { input, output: _, ...options } = what.options;
      this.#catalog.add(what.type, options, what.run, input);
      return this;
    }
    const type = what;
    const [options, fn] = rest.length === 2 ? rest : [{}, rest[0]];
    if (typeof fn !== 'function') {
      throw new OrchestratorError(
        'invalid_request',
        `workflow "${type}": expected a function, got ${typeof fn}`,
      );
    }
    this.#catalog.add(type, options, fn);
    return this;
  }

  /**
   * Watches what happens in this process, for logs and metrics; returns a function that ends it. Errors of a listener are logged.
   * For what must not be lost follow `tenant(id).events`.
   */
  on<E extends keyof OrchestratorHooks>(
    event: E,
    listener: (payload: OrchestratorHooks[E]) => unknown,
  ): () => void {
    this.#hooks.on(event, listener);
    return () => this.#hooks.off(event, listener);
  }

  /** Registers a service, replacing one of the same name. @throws {OrchestratorError} `invalid_request` */
  service(name: string, settings: ServiceSettings): this {
    this.#caller.add(name, settings);
    return this;
  }

  /** The API of one tenant. @throws {OrchestratorError} `invalid_request` for an invalid id. */
  tenant(tenantId: string): TenantHandle {
    validate(idSchema, tenantId, 'tenant_id');
    const { registry, sessions, usage } = this;
    const events = new TenantEvents(tenantId, { storage: this.#storage, registry, sessions });
    const { tickets, rates } = this.#storage;
    return new TenantHandle(tenantId, { registry, sessions, usage, tickets, rates }, events);
  }

  /** The hub for an in-process service: pass it to the `InProcessTransport` of its `TaskNotifier`. */
  hub(service: string): InProcessHub {
    validate(idSchema, service, 'service name');
    return {
      receive: async (frame, options) => {
        const { errors, ...result } = await this.intake.receive(frame, { service }, options);
        return {
          global_task_id: undefined,
          retry_after_ms: undefined,
          ...result,
          errors: errors && [...errors],
        };
      },
      onFrame: (send) => this.links.attach({ id: `in-process-${service}`, service, send }),
    };
  }

  /** Starts running tasks. Idempotent; may be retried after a failure. @throws {OrchestratorError} `not_running` once stopped. */
  start(): Promise<void> {
    if (this.#stopping)
      return Promise.reject(new OrchestratorError('not_running', 'the orchestrator was stopped'));
    this.#starting ??= this.#start().catch((error: unknown) => {
      // Allows a later `start` to retry.
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    await this.#storage.ping();
    this.links.start();
    this.#sweeper.start();
    this.#guard?.start();
    await this.#worker?.start();
  }

  /** Stops claiming, waits for running tasks up to `graceMs` or until `signal` fires, releases the rest. Idempotent. */
  stop({ graceMs = 10_000, signal }: StopOptions = {}): Promise<void> {
    this.#stopping ??= this.#stop(graceMs, signal);
    return this.#stopping;
  }

  async #stop(graceMs: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#starting?.catch(() => undefined);
    await this.#worker?.stop({ graceMs, signal });
    this.gateway.stop();
    this.registry.close();
    await atMost(this.#clock, SWEEP_END_MS, this.#sweeper.stop());
    this.links.stop();
    await this.cache.stop();
    try {
      await this.#caller.close();
      if (this.#ownsStorage) await this.#storage.close();
    } finally {
      this.#guard?.stop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Health checks of this process; never rejects. */
  async health(): Promise<Health> {
    const running = this.#starting !== undefined && this.#stopping === undefined;
    const storage = await this.#storage.ping().then(
      () => ({ ok: true, detail: 'answers' }),
      (error: unknown) => ({
        ok: false,
        detail: error instanceof OrchestratorError ? error.message : 'does not answer',
      }),
    );
    const age = (ms: number) => ({
      ok: running && ms < STALE_MS,
      detail: running ? `${ms} ms ago` : 'not running',
    });
    const worker = this.#worker;
    const checks = {
      storage,
      sweeper: age(this.#sweeper.behindMs),
      ...(worker && {
        // A worker without free slots sends no claims.
        worker: running && worker.full ? { ok: true, detail: 'every slot is taken' } : age(worker.idleForMs),
      }),
    };
    return { ready: Object.values(checks).every(({ ok }) => ok), checks };
  }

  /** Services of this process, by name. */
  get services(): readonly ServiceKind[] {
    return this.#caller.kinds;
  }

  /** Asks a service whether it answers, within five seconds. @throws {OrchestratorError} `unknown_service` */
  async probeService(name: string, { signal }: { readonly signal: AbortSignal }): Promise<ServiceProbe> {
    return this.#caller.probe(name, signal);
  }

  /** Statistics of this process, for metrics. */
  stats(): OrchestratorStats {
    return {
      ...(this.#worker && { worker: this.#worker.stats }),
      sweeper: this.#sweeper.stats,
      breakers: this.#caller.breakerStates(),
      openTenantBreakers: this.#caller.openTenantBreakers(),
      notifications: this.intake.outcomes,
      cache: this.#cached.stats,
      tasksSubmitted: this.registry.submitted,
    };
  }

  #checkPayload(type: string, payload: unknown): void {
    const schema = this.#catalog.inputSchema(type);
    if (schema) parseBySchema(schema, payload, { what: `input of workflow "${type}"` });
    if (type !== 'workflow' || typeof payload !== 'object' || payload === null) return;
    if ('plan' in payload) checkPlan(payload.plan, this.#caller);
    else if (!('workflow' in payload) || typeof payload.workflow !== 'string') {
      throw new OrchestratorError(
        'invalid_request',
        'payload: expected "plan" or the name of a "workflow", got neither',
      );
    }
  }
}
