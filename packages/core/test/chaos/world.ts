import {
  type Clock,
  MemoryStorage,
  type Orchestrator,
  type OrchestratorOptions,
  type Storage,
} from '../../src/index.js';
import { type DEFAULTS } from '../../src/protocol/index.js';
import type { JsonObject } from '../../src/index.js';
import { pause } from '../../src/server.js';
import { type Settlement, type Swept } from '../../src/storage/index.js';
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
}

/** Everything that outlives a process: the storage, the time, the services, the callers, and what all of them saw. */
export class World {
  readonly clock = new VirtualClock();
  readonly storage: Storage;
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
    const storage = new MemoryStorage({ clock: this.clock, random, limits });
    this.storage = options.tamper?.(storage) ?? storage;
    this.failpoints = new Failpoints(options.decide ?? (() => false));
    const deliver = this.#deliver.bind(this);
    this.services = new OutsideServices({ clock: this.clock, storage: this.storage, deliver });
  }

  /** Starts the processes, and goes on until `story` is over; false when it is stuck for longer than `limitMs`. */
  async run(story: (world: World) => Promise<void>, limitMs: number): Promise<boolean> {
    for (let n = 0; n < this.options.processes; n += 1) this.begin();
    return this.clock.runThrough(story(this), limitMs);
  }

  /** Starts one more process. */
  begin(): SimulatedProcess {
    this.#started += 1;
    const name = `p${this.#started}`;
    const { storage, clock, failpoints } = this;
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
    void process.orchestrator.start();
    return process;
  }

  /** A process that lives, if one does. */
  someone(): SimulatedProcess | undefined {
    return this.#living.length > 0 ? this.#random.pick(this.#living) : undefined;
  }

  /** Ends a process in good order, if it lives for long enough, and starts its successor. */
  async stop(process: SimulatedProcess): Promise<void> {
    this.#living = this.#living.filter((other) => other !== process);
    const stopped = await process.ask((orchestrator) => orchestrator.stop({ graceMs: 1_000 }));
    if (stopped !== LOST) this.begin();
  }

  /** A caller without an answer repeats the request at any live process. */
  async insist<T>(request: (orchestrator: Orchestrator) => Promise<T>): Promise<T> {
    for (;;) {
      const process = this.someone();
      const answer = process ? await process.ask(request) : LOST;
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
    this.drops.push(dropped.name);
    this.#living = this.#living.filter((other) => other !== dropped);
    this.clock.after(this.options.restartMs?.() ?? 100, () => this.begin());
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
