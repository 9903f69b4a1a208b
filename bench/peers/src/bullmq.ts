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
} from '@agent-orchestrator/bench';
import { type Job, Queue, QueueEvents, Worker } from 'bullmq';

type Payload = ReturnType<typeof payloadOf>;
type OrderOf<W extends Order['work']> = Extract<Order, { readonly work: W }>;

const FILL_SIZE = 1_000;
const KEEP = { removeOnComplete: false, removeOnFail: false } as const;
const JOB_OPTIONS = {
  ...KEEP,
  attempts: 5,
  backoff: { type: 'exponential', delay: 1_000 },
} as const;
/** 1 is the most urgent, 0 would be no priority. */
const optionsOf = (task: number) => ({ priority: 10 - priorityOf(task) });

/** BullMQ with priorities, retries and retained finished jobs. It has no tenants, so all share one queue. */
export class BullMq implements Competitor {
  readonly #connection: { readonly host: string; readonly port: number };

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#connection = { host: hostname, port: Number(port) };
  }

  prepare(order: Order): Promise<Prepared> {
    if (order.work === 'submit') return this.#submit(order);
    if (order.work === 'fill') return this.#submitInBulk({ ...order, work: 'bulk', size: FILL_SIZE });
    if (order.work === 'bulk') return this.#submitInBulk(order);
    return order.work === 'drain' ? this.#drain(order) : this.#endToEnd(order);
  }

  async #openQueue() {
    const queue = new Queue<Payload>(QUEUE, {
      connection: this.#connection,
      defaultJobOptions: JOB_OPTIONS,
    });
    await queue.waitUntilReady();
    return queue;
  }

  async #openWorker(concurrency: number, done: () => void = () => {}) {
    const worker = new Worker<Payload>(QUEUE, async (job: Job<Payload>) => resultOf(job.data), {
      connection: this.#connection,
      concurrency,
      autorun: false,
    });
    worker.on('completed', done);
    worker.on('error', (error) => console.error(`BullMQ: ${error.message}`));
    await worker.waitUntilReady();
    return worker;
  }

  async #submit({ tasks, inFlight }: OrderOf<'submit'>): Promise<Prepared> {
    const queue = await this.#openQueue();
    const run = async () => {
      await eachInFlight(tasks, inFlight, (task) => queue.add(QUEUE, payloadOf(task), optionsOf(task)));
      return NO_LATENCIES;
    };
    return { run, close: () => queue.close() };
  }

  async #submitInBulk({ tasks, size }: OrderOf<'bulk'>): Promise<Prepared> {
    const queue = await this.#openQueue();
    const run = async () => {
      for (let from = 0; from < tasks; from += size) {
        const jobs = Array.from({ length: Math.min(size, tasks - from) }, (_, at) => ({
          name: QUEUE,
          data: payloadOf(from + at),
          opts: optionsOf(from + at),
        }));
        await queue.addBulk(jobs);
      }
      return NO_LATENCIES;
    };
    return { run, close: () => queue.close() };
  }

  async #drain({ tasks, concurrency }: OrderOf<'drain'>): Promise<Prepared> {
    const { done, ended } = countdown(tasks);
    const worker = await this.#openWorker(concurrency, done);
    const run = async () => {
      void worker.run();
      await ended;
      return NO_LATENCIES;
    };
    return { run, close: () => worker.close() };
  }

  async #endToEnd({ tasks, perSecond, concurrency }: OrderOf<'end to end'>): Promise<Prepared> {
    const queue = await this.#openQueue();
    const events = new QueueEvents(QUEUE, { connection: this.#connection });
    await events.waitUntilReady();
    // Each waiter adds a listener.
    for (const emitter of [queue, events]) emitter.setMaxListeners(0);
    const worker = await this.#openWorker(concurrency);
    void worker.run();
    const run = () =>
      eachInPace(tasks, perSecond, async (at) => {
        const job = await queue.add(QUEUE, payloadOf(at), optionsOf(at));
        const { ok } = (await job.waitUntilFinished(events)) as ReturnType<typeof resultOf>;
        if (!ok) throw new Error('expected a result, got another one');
      });
    const close = async () => {
      await Promise.all([worker.close(), events.close(), queue.close()]);
    };
    return { run, close };
  }
}
