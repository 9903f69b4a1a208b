import {
  accepted,
  InProcessTransport,
  MemoryStorage,
  Orchestrator,
  type OrchestratorOptions,
  type ServiceCall,
  type Task,
  TaskNotifier,
} from '../src/index.js';
import { type MemoryStorageOptions } from '../src/index.js';
import { ManualClock, settled } from '../src/testing/index.js';

export { ManualClock, settled };

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
