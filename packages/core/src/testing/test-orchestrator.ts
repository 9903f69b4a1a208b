import { MemoryStorage } from '../engine/memory-storage.js';
import { Orchestrator } from '../orchestrator.js';
import type { OrchestratorOptions } from '../orchestrator-options.js';
import { OrchestratorError } from '../protocol/errors.js';
import { isFinal, type Task } from '../protocol/task.js';
import { SeededRandom } from '../workflows/seeded-random.js';
import type { Contracts } from '../services/contracts.js';
import type { ServiceSettings } from '../services/service-settings.js';
import type { Storage } from '../storage/storage.js';
import type { TenantHandle } from '../tenant/tenant-handle.js';
import { ManualClock, settled } from './manual-clock.js';
import { RealTime } from './real-time.js';
import { ScriptedService } from './scripted-service.js';

/** Options of `TestOrchestrator`. */
export interface TestOptions<C extends Contracts = Contracts> extends Omit<
  OrchestratorOptions<C>,
  'clock' | 'services' | 'storage'
> {
  /** Services of the test. Those over HTTP do not follow the manual clock: see `realTimeMs`. */
  readonly services?: Readonly<Record<string, ScriptedService | ServiceSettings>>;
  /**
   * How long `ended` and `reached` wait for one call, one function of `ctx.run` or a workflow function before they move the clock
   * nevertheless, ms of real time. Default 2,000. Work that never ends is waited for once.
   */
  readonly realTimeMs?: number;
  /** Tenant of `tasks`, `sessions` and so on. Default `acme`. */
  readonly tenantId?: string;
}

/** How far `ended` and `reached` move the clock at most, ms, and how many timers they fire. */
const MAX_ADVANCE_MS = 31 * 24 * 60 * 60_000;
const MAX_TIMERS = 100_000;
const REAL_TIME_MS = 2_000;
/** States in which only time or an external event moves a task. */
const WAITING: ReadonlySet<string> = new Set(['parked', 'scheduled', 'waiting']);

/** In memory no wake-up is lost: what only repeats in case of that is rare, so that the clock moves far at once. */
const RARE = { sweepMs: 60 * 60_000, pollMs: 60 * 60_000, leaseMs: 24 * 60 * 60_000 };

/**
 * An orchestrator in memory on a manual clock, for tests of workflows: sleeps, time limits and retries of days take milliseconds,
 * and ids and random numbers are the same in each run.
 *
 * @example
 * const payments = new ScriptedService({ refund: { amount: 5 } });
 * await using test = await TestOrchestrator.start({ services: { payments } }, (orchestrator) => orchestrator.workflow(refund));
 * const task = await test.tenant.tasks.submit(refund, { order: 'o-1' });
 * expect((await test.ended(task)).result).toEqual({ refunded: 5 });
 */
export class TestOrchestrator<C extends Contracts = Contracts> implements AsyncDisposable {
  readonly orchestrator: Orchestrator<C>;
  readonly storage: Storage;
  readonly tenant: TenantHandle;
  readonly #scripted: readonly ScriptedService[];
  readonly #realTimeMs: number;

  private constructor(
    readonly clock: ManualClock,
    { services = {}, tenantId = 'acme', realTimeMs = REAL_TIME_MS, ...options }: TestOptions<C>,
  ) {
    const random = new SeededRandom('test');
    this.storage = new MemoryStorage({ clock, random });
    const common = { ...RARE, parkAfterMs: 0, random };
    this.orchestrator = new Orchestrator<C>({ ...common, ...options, clock, storage: this.storage });
    for (const [name, service] of Object.entries(services)) this.orchestrator.service(name, service);
    const scripted = Object.entries(services).filter(([, service]) => service instanceof ScriptedService);
    for (const [name, service] of scripted)
      (service as ScriptedService).connect(name, this.orchestrator.hub(name));
    this.#scripted = scripted.map(([, service]) => service as ScriptedService);
    this.tenant = this.orchestrator.tenant(tenantId);
    this.#realTimeMs = realTimeMs;
  }

  /** Creates and starts one. `register`: registers the workflows. */
  static async start<C extends Contracts = Contracts>(
    options: TestOptions<C> = {},
    register: (orchestrator: Orchestrator<C>) => unknown = () => {},
  ): Promise<TestOrchestrator<C>> {
    const test = new TestOrchestrator<C>(new ManualClock(), options);
    register(test.orchestrator);
    await test.orchestrator.start();
    return test;
  }

  /**
   * The task once it has ended. Moves the clock from timer to timer, by up to 31 days; before each, waits in real time for calls and
   * functions in flight, up to `realTimeMs`.
   * @throws {OrchestratorError} `timeout`, with the reason that `explain` gives, if it does not end: it may wait for a report or a signal.
   */
  ended<R>(task: { readonly task_id: string; readonly task?: Task<R> }): Promise<Task<R>> {
    return this.#until(task.task_id, 'its end', ({ status }) => isFinal(status)) as Promise<Task<R>>;
  }

  /** The task once it is in a state, such as `parked`. Moves the clock as `ended` does. @throws {OrchestratorError} `timeout` */
  reached(task: { readonly task_id: string }, state: string): Promise<Task> {
    return this.#until(task.task_id, `state ${state}`, (_, current) => current === state);
  }

  /** Stops the orchestrator and the scripted services. Running workflows are abandoned. */
  async stop(): Promise<void> {
    await Promise.all(this.#scripted.map((service) => service.close()));
    await this.orchestrator.stop({ graceMs: 0 });
    await this.storage.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #until(
    taskId: string,
    expected: string,
    isReached: (task: Task, state: string) => boolean,
  ): Promise<Task> {
    const { clock } = this;
    const lastAt = clock.now() + MAX_ADVANCE_MS;
    const realTime = new RealTime(clock, this.#realTimeMs);
    await settled();
    for (let fired = 0; ; fired += 1) {
      const { task, state, reason } = await this.tenant.tasks.explain(taskId);
      if (isReached(task, state)) return task;
      if (!isFinal(task.status) && (await realTime.passes())) continue;
      const { nextAt = Number.POSITIVE_INFINITY } = clock;
      if (isFinal(task.status) || nextAt > lastAt || fired >= MAX_TIMERS) {
        throw new OrchestratorError(
          'timeout',
          `task ${taskId}: expected ${expected}, got ${state}: ${reason}`,
        );
      }
      await clock.fireNext();
      if (!WAITING.has(state)) await settled();
    }
  }
}
