import { Orchestrator, type OrchestratorOptions } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import {
  type Competitor,
  countdown,
  eachInFlight,
  eachInPace,
  NO_LATENCIES,
  type Order,
  payloadOf,
  type Prepared,
  priorityOf,
  QUEUE,
  resultOf,
  type Target,
} from './competitor.js';

const MAX_WAITING = 10_000_000;
const FILL_IN_FLIGHT = 1_000;

type Payload = ReturnType<typeof payloadOf>;
type OrderOf<W extends Order['work']> = Extract<Order, { readonly work: W }>;
type Options = Pick<OrchestratorOptions, 'role' | 'concurrency' | 'prefetch'>;

const bodyOf = (task: number) => ({ type: QUEUE, payload: payloadOf(task), priority: priorityOf(task) });
const tenantOf = (task: number, tenants: number) => `tenant-${task % tenants}`;

/**
 * An orchestrator with all features on: tenants, events, leases, deadlines, retries, fairness, retained
 * results.
 */
export class Ours implements Competitor {
  constructor(private readonly target: Target) {}

  prepare(order: Order): Promise<Prepared> {
    if (order.work === 'submit') return this.#submit(order);
    if (order.work === 'fill') return this.#submit({ ...order, work: 'submit', inFlight: FILL_IN_FLIGHT });
    if (order.work === 'bulk') return this.#submitInBulk(order);
    return order.work === 'drain' ? this.#drain(order) : this.#endToEnd(order);
  }

  #open(options: Options, ran: () => void = () => {}) {
    const storage = RedisStorage.connect(this.target);
    const orchestrator = new Orchestrator({ storage, maxWaiting: MAX_WAITING, ...options });
    orchestrator.workflow(QUEUE, async (_ctx, payload: Payload) => {
      ran();
      return resultOf(payload);
    });
    const close = async () => {
      await orchestrator.stop();
      await storage.close();
    };
    return { orchestrator, storage, close };
  }

  /** Accepts submissions as if workers had run before: ready tenants join their rotation. */
  async #openForSubmissions() {
    const worker = this.#open({});
    await worker.orchestrator.start();
    await worker.close();
    const opened = this.#open({ role: 'api' });
    await opened.storage.ping();
    return opened;
  }

  async #submit({ tenants, tasks, inFlight }: OrderOf<'submit'>): Promise<Prepared> {
    const { orchestrator, close } = await this.#openForSubmissions();
    const { registry } = orchestrator;
    const run = async () => {
      await eachInFlight(tasks, inFlight, (task) =>
        registry.submit({ tenantId: tenantOf(task, tenants), body: bodyOf(task) }),
      );
      return NO_LATENCIES;
    };
    return { run, close };
  }

  async #submitInBulk({ tenants, tasks, size }: OrderOf<'bulk'>): Promise<Prepared> {
    const { orchestrator, close } = await this.#openForSubmissions();
    const run = async () => {
      for (let from = 0, batch = 0; from < tasks; from += size, batch += 1) {
        const { batches } = orchestrator.tenant(tenantOf(batch, tenants));
        const requests = Array.from({ length: Math.min(size, tasks - from) }, (_, at) => bodyOf(from + at));
        await batches.submit({ requests });
      }
      return NO_LATENCIES;
    };
    return { run, close };
  }

  async #drain({ tasks, concurrency, ahead }: OrderOf<'drain'>): Promise<Prepared> {
    const { done, ended } = countdown(tasks);
    const options = { concurrency, ...(ahead !== undefined && { prefetch: ahead }) };
    const { orchestrator, storage, close } = this.#open(options, done);
    await storage.ping();
    const run = async () => {
      await orchestrator.start();
      await ended;
      // The last tasks are still being settled; if more wait than the order has, there is no last one.
      for (;;) {
        const { running = 0, runsEnded } = orchestrator.stats().worker ?? {};
        if (running === 0 || (runsEnded?.completed ?? 0) > tasks) break;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return NO_LATENCIES;
    };
    return { run, close };
  }

  /** The caller and the worker share nothing but Redis. */
  async #endToEnd({ tenants, tasks, perSecond, concurrency }: OrderOf<'end to end'>): Promise<Prepared> {
    const worker = this.#open({ concurrency });
    const caller = this.#open({ role: 'api' });
    await Promise.all([worker.orchestrator.start(), caller.orchestrator.start()]);
    const run = () =>
      eachInPace(tasks, perSecond, async (at) => {
        const { tasks: own } = caller.orchestrator.tenant(tenantOf(at, tenants));
        const { task_id: taskId } = await own.submit(bodyOf(at));
        const { status } = await own.wait(taskId);
        if (status !== 'completed') throw new Error(`expected a completed task, got one that is ${status}`);
      });
    const close = async () => {
      await caller.close();
      await worker.close();
    };
    return { run, close };
  }
}
