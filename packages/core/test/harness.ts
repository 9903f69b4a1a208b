import {
  accepted,
  type Clock,
  InProcessTransport,
  MemoryStorage,
  type MemoryStorageOptions,
  Orchestrator,
  type OrchestratorOptions,
  type ServiceCall,
  type Task,
  TaskNotifier,
} from '../src/index.js';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Lets everything run that can run without time passing. */
export async function settled(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until the test moves it. */
export class ManualClock implements Clock {
  #now = Date.parse('2026-01-31T10:00:00.000Z');
  #order = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    this.#order += 1;
    const timer = { at: this.#now + ms, order: this.#order, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves on by `ms`, firing timers in their order and letting what they set off run in between. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await settled();
    for (;;) {
      const [next] = [...this.#timers].toSorted((a, b) => a.at - b.at || a.order - b.order);
      if (!next || next.at > target) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settled(5);
    }
    this.#now = target;
    await settled();
  }
}

export interface Harness {
  readonly clock: ManualClock;
  readonly storage: MemoryStorage;
  readonly orchestrator: Orchestrator;
  readonly acme: ReturnType<Orchestrator['tenant']>;
  /** Calls of the service `slow`, each answered with the job `job-<n>`. */
  readonly calls: ServiceCall[];
  readonly slow: TaskNotifier;
  /** Another process on the same storage. */
  another(options?: OrchestratorOptions): Orchestrator;
  ended(task: { readonly task_id: string }): Promise<Task>;
  stop(): Promise<void>;
}

/** An orchestrator on a clock that the test moves, with a service that answers 202 and reports when the test says so. */
export function harness(
  options: OrchestratorOptions & { readonly limits?: MemoryStorageOptions['limits'] } = {},
): Harness {
  const clock = new ManualClock();
  const { limits, ...rest } = options;
  const storage = new MemoryStorage({ clock, ...(limits && { limits }) });
  const calls: ServiceCall[] = [];
  const slowService = {
    run: (call: ServiceCall) => {
      calls.push(call);
      return accepted(`job-${calls.length}`);
    },
  };
  const all: Orchestrator[] = [];
  const another = (more: OrchestratorOptions = {}) => {
    const services = { slow: slowService, ...rest.services, ...more.services };
    // Tests see a parked task at once; the test of the idle time sets it.
    const orchestrator = new Orchestrator({ clock, storage, parkAfterMs: 0, ...rest, ...more, services });
    all.push(orchestrator);
    return orchestrator;
  };
  const orchestrator = another();
  const slow = new TaskNotifier({
    serviceName: 'slow',
    transport: new InProcessTransport(orchestrator.hub('slow')),
  });
  const acme = orchestrator.tenant('acme');
  return {
    clock,
    storage,
    orchestrator,
    acme,
    calls,
    slow,
    another,
    async ended({ task_id }) {
      await settled();
      return acme.tasks.get(task_id);
    },
    async stop() {
      await slow.close();
      await Promise.all(all.map((each) => each.stop({ graceMs: 0 })));
    },
  };
}
