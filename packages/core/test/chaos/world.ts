import {
  type Clock,
  MemoryStorage,
  type Orchestrator,
  OrchestratorError,
  type OrchestratorOptions,
  type Storage,
} from '../../src/index.js';
import { type DEFAULTS } from '../../src/protocol/index.js';
import type { JsonObject } from '../../src/index.js';
import { pause } from '../../src/server.js';
import { type Settlement, type Swept } from '../../src/storage/index.js';
import { CrashingFolder, type DiskFaults } from './crashing-folder.js';
import { type Failpoint, Failpoints } from './failpoints.js';
import { OutsideServices } from './outside-services.js';
import { SeededRandom } from './seeded-random.js';
import { LOST, SimulatedProcess } from './simulated-process.js';
import { VirtualClock } from './virtual-clock.js';

export const TENANT = 'acme';
const YEAR_MS = 365 * 24 * 60 * 60_000;

export interface WorldOptions {
  readonly seed: string;
  /** How many processes live at a time. */
  readonly processes: number;
  /** Names of the services; each does what its calls' inputs say. */
  readonly services: readonly string[];
  /** Gives a new process its workflows. */
  readonly furnish: (process: SimulatedProcess, world: World) => void;
  readonly decide?: (point: Failpoint, processName: string) => boolean;
  /** How long until a dropped process has a successor. */
  readonly restartMs?: () => number;
  readonly orchestrator?: Pick<OrchestratorOptions, 'concurrency' | 'sweepMs'>;
  readonly limits?: Partial<Record<keyof typeof DEFAULTS, number>>;
  /** Wraps the storage with a defect, to prove that it would be noticed. */
  readonly tamper?: (storage: Storage) => Storage;
  /**
   * The storage is in a folder, which one process at a time uses, and dies with it. Each change of the disk is a failpoint, and
   * may fail in other ways.
   */
  readonly folder?: DiskFaults;
}

/** Everything that outlives a process: the storage, the time, the services, the callers, and what all of them saw. */
export class World {
  readonly clock = new VirtualClock();
  /** For those who look on from outside. */
  readonly storage: Storage;
  readonly folder: CrashingFolder | undefined;
  readonly services: OutsideServices;
  readonly failpoints: Failpoints;
  /** Tasks whose submission was answered. */
  readonly acknowledged = new Set<string>();
  readonly drops: string[] = [];
  /** How often each piece of own work ran, by task and step. */
  readonly effects = new Map<string, number>();
  /** Own work that ran though its result was recorded already. */
  readonly repeatedEffects: string[] = [];
  /** How often a connection broke before the answer came, so that a caller had to ask again. */
  resent = 0;
  /** Leases that ended without their worker: each makes a task run once more. */
  lostLeases = 0;
  /** Tasks of which an attempt has failed, and another one followed. */
  readonly retried = new Set<string>();
  readonly #recordedEffects = new Set<string>();
  readonly #random: SeededRandom;
  #living: SimulatedProcess[] = [];
  /** The process that has the folder. */
  #user: SimulatedProcess | undefined;
  #fail: (error: unknown) => void = () => {};
  /** Rejects once a folder cannot be opened. */
  readonly #failure = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });
  #started = 0;
  #messages = 0;

  constructor(private readonly options: WorldOptions) {
    this.#random = new SeededRandom(`${options.seed}/world`);
    const random = new SeededRandom(`${options.seed}/storage`);
    // The whole log and every task are kept, however long the story is.
    const kept = {
      maxEvents: Infinity,
      maxEventAgeMs: YEAR_MS,
      retentionMs: YEAR_MS,
      sessionIdleMs: YEAR_MS,
    };
    const limits = { ...kept, ...options.limits };
    this.failpoints = new Failpoints(options.decide ?? (() => false));
    this.folder = options.folder && this.#folder(options.folder, { random, limits });
    const storage = this.folder?.observed ?? new MemoryStorage({ clock: this.clock, random, limits });
    this.storage = options.tamper?.(storage) ?? storage;
    const deliver = this.#deliver.bind(this);
    this.services = new OutsideServices({ clock: this.clock, storage: this.storage, deliver });
  }

  /** Starts the processes, and goes on until `story` is over; false when it is stuck for longer than `limitMs`. */
  async run(story: (world: World) => Promise<void>, limitMs: number): Promise<boolean> {
    for (let n = 0; n < this.options.processes; n += 1) this.#start();
    return this.clock.runThrough(Promise.race([story(this), this.#failure]), limitMs);
  }

  /** Starts one more process. In a folder, it opens that first, and may die already there. */
  #start(): void {
    if (!this.folder) {
      this.#begin(this.storage);
      return;
    }
    void this.folder.open().then(
      (storage) => {
        if (storage) this.#begin(storage);
      },
      (error: unknown) => {
        // It has no room: another start may have.
        if (isUnavailable(error)) this.#startLater();
        else this.#fail(error);
      },
    );
  }

  #begin(storage: Storage): void {
    this.#started += 1;
    const name = `p${this.#started}`;
    const { clock, failpoints } = this;
    const process = new SimulatedProcess(
      name,
      { storage, clock, failpoints, witness: this.#witness.bind(this), onDrop: this.#replace.bind(this) },
      { random: new SeededRandom(`${this.options.seed}/${name}`), ...this.options.orchestrator },
    );
    for (const service of this.options.services) {
      process.orchestrator.service(service, {
        run: (call) => process.through('service.send', () => this.services.run(service, call)),
      });
    }
    this.options.furnish(process, this);
    this.#living.push(process);
    this.#user = process;
    process.orchestrator.start().catch((error: unknown) => {
      if (isUnavailable(error)) process.drop();
      else this.#fail(error);
    });
  }

  /** A process that lives, if one does. */
  someone(): SimulatedProcess | undefined {
    return this.#living.length > 0 ? this.#random.pick(this.#living) : undefined;
  }

  /** Ends a process in good order, if it lives for long enough, and starts its successor. */
  async stop(process: SimulatedProcess): Promise<void> {
    this.#living = this.#living.filter((other) => other !== process);
    const stopped = await process.ask((orchestrator) => orchestrator.stop({ graceMs: 1_000 }));
    if (stopped === LOST) return;
    this.#user = undefined;
    if (this.folder && !(await this.folder.close())) return;
    this.#start();
  }

  /** A caller without an answer repeats the request at any live process. */
  async insist<T>(request: (orchestrator: Orchestrator) => Promise<T>): Promise<T> {
    for (;;) {
      const process = this.someone();
      const answer = process ? await process.ask(request).catch(lostIfUnavailable) : LOST;
      if (answer !== LOST) return answer;
      if (process) this.resent += 1;
      await pause(this.clock, 200);
    }
  }

  /** Own work of a workflow that `process` runs. */
  effect(process: SimulatedProcess, taskId: string, stepKey: string): Promise<number> {
    return process.through('effect.run', () => {
      const key = `${taskId}/${stepKey}`;
      if (this.#recordedEffects.has(key)) this.repeatedEffects.push(key);
      const count = (this.effects.get(key) ?? 0) + 1;
      this.effects.set(key, count);
      return count;
    });
  }

  pause(ms: number): Promise<void> {
    return pause(this.clock satisfies Clock, ms);
  }

  #witness(operation: string, params: unknown, answer: unknown): void {
    if (operation === 'queue.sweep') this.lostLeases += (answer as Swept).done['lease'] ?? 0;
    if (operation.startsWith('queue.settle')) {
      const { taskId, settlement } = params as { readonly taskId: string; readonly settlement: Settlement };
      if (settlement.kind === 'retry') this.retried.add(taskId);
    }
    if (operation !== 'journal.record/own_work') return;
    const { taskId, key } = params as { readonly taskId: string; readonly key: string };
    if ((answer as { readonly answer: string }).answer === 'recorded') {
      this.#recordedEffects.add(`${taskId}/${key}`);
    }
  }

  #replace(dropped: SimulatedProcess): void {
    this.#living = this.#living.filter((other) => other !== dropped);
    this.#died(dropped.name);
  }

  #died(name: string): void {
    this.drops.push(name);
    this.#user = undefined;
    this.folder?.crash();
    this.#startLater();
  }

  #startLater(): void {
    this.clock.after(this.options.restartMs?.() ?? 100, () => this.#start());
  }

  #folder(
    faults: DiskFaults,
    parts: { readonly random: SeededRandom; readonly limits: NonNullable<WorldOptions['limits']> },
  ): CrashingFolder {
    return new CrashingFolder({
      ...parts,
      clock: this.clock,
      faults,
      diesAt: (point) => this.failpoints.pass(point, this.#user?.name ?? 'opening'),
      onDeath: () => {
        if (this.#user) this.#user.drop();
        else this.#died('opening');
      },
    });
  }

  /** A service's notifier: resends the message until it is acknowledged. */
  async #deliver(service: string, frame: JsonObject): Promise<string> {
    this.#messages += 1;
    const message = { ...frame, message_id: `message-${this.#messages}` };
    for (;;) {
      const { outcome } = await this.insist((orchestrator) =>
        orchestrator.hub(service).receive(message, { signal: new AbortController().signal }),
      );
      if (outcome !== 'retry_later') return outcome;
      await this.pause(1_000);
    }
  }
}

/** A disk may have no room, or be broken: the request may succeed later, or elsewhere. */
function lostIfUnavailable(error: unknown): typeof LOST {
  if (isUnavailable(error)) return LOST;
  throw error;
}

function isUnavailable(error: unknown): boolean {
  return error instanceof OrchestratorError && error.code === 'storage_unavailable';
}
