import { atMost, type Clock, systemClock } from './clock.js';
import { TenantEvents } from './events/tenant-events.js';
import type { Figures } from './figures.js';
import { Gateway } from './intake/gateway.js';
import { Intake } from './intake/intake.js';
import { ServiceLinks } from './intake/service-links.js';
import { guardedLogger, type Logger, silentLogger } from './logger.js';
import { MemoryStorage } from './memory/memory-storage.js';
import type { InProcessHub } from './notifier/in-process-transport.js';
import { OrchestratorError } from './protocol/errors.js';
import { idSchema } from './protocol/ids.js';
import { DEFAULTS } from './protocol/settings.js';
import { validate } from './protocol/validation.js';
import { type Random, systemRandom } from './random.js';
import { ServiceCaller } from './services/service-caller.js';
import type { ServiceSettings } from './services/service-settings.js';
import { SessionManager } from './sessions/session-manager.js';
import type { Storage } from './storage/storage.js';
import { GlobalTaskRegistry } from './tasks/global-task-registry.js';
import { TenantHandle } from './tenant.js';
import { TenantAdmin } from './tenants/tenant-admin.js';
import { Sweeper } from './worker/sweeper.js';
import { Worker } from './worker/worker.js';
import { addBuiltInWorkflows } from './workflows/built-in.js';
import type { RunPorts } from './workflows/run-ports.js';
import { type WorkflowOptions, WorkflowCatalog } from './workflows/catalog.js';
import type { WorkflowFunction } from './workflows/context.js';
import { checkPlan } from './workflows/plan-check.js';

export const ROLES = ['all', 'api', 'worker'] as const;
export type Role = (typeof ROLES)[number];

export interface OrchestratorOptions {
  /** Default: in memory; nothing survives the process. A storage that is given stays open after `stop`. */
  readonly storage?: Storage;
  /**
   * What this process does. `api`: takes requests and notifications, runs no tasks. `worker`: the same as `all`, but its
   * server answers nobody except who asks for its health. Sweeping is everybody's duty. Default `all`.
   */
  readonly role?: Role;
  readonly services?: Readonly<Record<string, ServiceSettings>>;
  /** Tasks that this process runs at once; parked ones do not count. Default 100. */
  readonly concurrency?: number;
  /**
   * Tasks that a worker may claim ahead of its free slots, so that the next one is there when one ends: fewer, down to
   * none, the longer tasks take. Worth it where the storage is in another process. Default 0.
   */
  readonly prefetch?: number;
  /** Default 30 s. */
  readonly leaseMs?: number;
  /** Default a third of the lease. */
  readonly renewMs?: number;
  /** Default 500 ms. */
  readonly sweepMs?: number;
  /** How long a function may go on without asking for what its journal has. Default 5 s. */
  readonly mismatchMs?: number;
  /**
   * How long a workflow whose branches all wait is kept in memory before its task is parked. What is told within that
   * time needs no replay, and a branch that awaits something foreign for so long goes on. Default 1 s; 0 parks at once.
   */
  readonly lingerMs?: number;
  /** Waiting tasks of a tenant before `queue_full`. Default 200,000. */
  readonly maxWaiting?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Default: silent. */
  readonly logger?: Logger;
}

export interface StopOptions {
  /** How long what runs has to end by itself, in milliseconds. Default 10 s. */
  readonly graceMs?: number;
  /** Fires when the grace is over earlier. */
  readonly signal?: AbortSignal;
}

export interface Health {
  /** Whether there is progress: the storage answers, the sweeper sweeps, the worker (unless the role is `api`) claims. */
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly detail: string }>>;
}

const STALE_MS = 15_000;
/** How long a stop waits for a sweep that the storage does not answer. */
const SWEEP_END_MS = 2_000;

/** Composes the parts and owns their lifecycle. States: stopped, running (`start`), stopped again (`stop`). */
export class Orchestrator implements AsyncDisposable {
  readonly registry: GlobalTaskRegistry;
  readonly sessions: SessionManager;
  readonly intake: Intake;
  readonly links: ServiceLinks;
  readonly gateway: Gateway;
  readonly tenants: TenantAdmin;
  readonly role: Role;
  readonly #clock: Clock;
  readonly #storage: Storage;
  readonly #ownsStorage: boolean;
  readonly #catalog = new WorkflowCatalog();
  readonly #caller: ServiceCaller;
  readonly #worker: Worker | undefined;
  readonly #sweeper: Sweeper;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: OrchestratorOptions = {}) {
    const { clock = systemClock, random = systemRandom } = options;
    const logger = guardedLogger(options.logger ?? silentLogger);
    const { sweepMs = DEFAULTS.sweepMs } = options;
    const { role = 'all' } = options;
    if (!ROLES.includes(role)) {
      throw new OrchestratorError(
        'invalid_request',
        `role: expected one of ${ROLES.join(', ')}; got "${role}"`,
      );
    }
    const storage: Storage = options.storage ?? new MemoryStorage({ clock, random });
    const opened = (service: string) => {
      const text = `service ${service} failed too often: it is not called for a while`;
      logger.warn(text, { service });
      storage.tell?.('breaker_opened', text, { service });
    };
    const caller = new ServiceCaller({ clock, random, logger, opened });
    const ports = { storage, clock, random, logger, caller };
    this.role = role;
    this.#clock = clock;
    this.#storage = storage;
    this.#ownsStorage = options.storage === undefined;
    this.#caller = caller;
    for (const [name, settings] of Object.entries(options.services ?? {})) caller.add(name, settings);
    addBuiltInWorkflows(this.#catalog, caller);
    const types = {
      has: (type: string) => this.#catalog.has(type),
      checkPayload: this.#checkPayload.bind(this),
    };
    const { maxWaiting = DEFAULTS.maxWaiting } = options;
    this.registry = new GlobalTaskRegistry({ storage, types, clock, random, maxWaiting });
    this.sessions = new SessionManager({ storage, random });
    this.intake = new Intake(ports);
    this.links = new ServiceLinks(ports);
    this.gateway = new Gateway({ ...ports, registry: this.registry, links: this.links });
    this.tenants = new TenantAdmin(ports);
    this.#sweeper = new Sweeper(ports, { sweepMs });
    if (role !== 'api') this.#worker = this.#makeWorker(ports, options);
  }

  #makeWorker(
    ports: Omit<RunPorts, 'limits'> & { readonly logger: Logger },
    options: OrchestratorOptions,
  ): Worker {
    const { leaseMs = DEFAULTS.leaseMs, concurrency = 100 } = options;
    const { maxSteps, callTries, pollMs } = DEFAULTS;
    return new Worker(
      {
        ...ports,
        catalog: this.#catalog,
        limits: {
          maxSteps,
          callTries,
          mismatchMs: options.mismatchMs ?? 5_000,
          lingerMs: options.lingerMs ?? DEFAULTS.lingerMs,
        },
      },
      {
        concurrency,
        leaseMs,
        renewMs: options.renewMs ?? Math.max(1, Math.floor(leaseMs / 3)),
        pollMs,
        prefetch: options.prefetch ?? 0,
      },
    );
  }

  /** Adds a workflow, or puts another in its place; `version` (default 1) for tasks that began with an older one. */
  workflow<I, R>(type: string, fn: WorkflowFunction<I, R>): this;
  workflow<I, R>(type: string, options: WorkflowOptions, fn: WorkflowFunction<I, R>): this;
  workflow(type: string, ...rest: [WorkflowFunction] | [WorkflowOptions, WorkflowFunction]): this {
    const [options, fn] = rest.length === 1 ? [{}, rest[0]] : rest;
    if (typeof fn !== 'function') {
      throw new OrchestratorError(
        'invalid_request',
        `workflow "${type}": expected a function, got ${typeof fn}`,
      );
    }
    this.#catalog.add(type, options, fn);
    return this;
  }

  /** Adds a service, or puts another in its place. */
  service(name: string, settings: ServiceSettings): this {
    this.#caller.add(name, settings);
    return this;
  }

  /** Everything of one tenant. @throws {OrchestratorError} `invalid_request` for an id that is none. */
  tenant(tenantId: string): TenantHandle {
    validate(idSchema, tenantId, 'tenant_id');
    const { registry, sessions } = this;
    const events = new TenantEvents(tenantId, { storage: this.#storage, registry, sessions });
    return new TenantHandle(tenantId, { registry, sessions, usage: this.#storage.usage }, events);
  }

  /** The hub for a service in this process: what `InProcessTransport` of its `TaskNotifier` needs. */
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

  /** Begins to run tasks. Calling it again changes nothing. */
  start(): Promise<void> {
    if (this.#stopping)
      return Promise.reject(new OrchestratorError('not_running', 'the orchestrator was stopped'));
    this.#starting ??= this.#start().catch((error: unknown) => {
      // Whoever starts it again later may be luckier.
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    await this.#storage.ping();
    this.links.start();
    this.#sweeper.start();
    await this.#worker?.start();
  }

  /** Takes no more, lets what runs end within `graceMs` (default 10 s) or until `signal` fires, gives the rest back. */
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
    await this.#caller.close();
    if (this.#ownsStorage) await this.#storage.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

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
        // Whoever has its hands full does not ask for more.
        worker: running && worker.full ? { ok: true, detail: 'every slot is taken' } : age(worker.idleForMs),
      }),
    };
    return { ready: Object.values(checks).every(({ ok }) => ok), checks };
  }

  /** Numbers of this process, for metrics. */
  figures(): Figures {
    return {
      ...(this.#worker && { worker: this.#worker.figures }),
      sweeper: this.#sweeper.figures,
      breakers: this.#caller.breakerStates(),
      notifications: this.intake.outcomes,
    };
  }

  #checkPayload(type: string, payload: unknown): void {
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
