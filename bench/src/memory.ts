import { setTimeout as pause } from 'node:timers/promises';
import { MemoryStorage, Orchestrator } from '@agent-orchestrator/core';
import PQueue from 'p-queue';
import { compare, type Competitor, table } from './measure.js';

const CONCURRENCY = 10;
/** Retention of results, so that those of one round are gone in the next, ms. */
const RETENTION_MS = 1_000;

const priorityOf = (task: number) => (task * 7_919) % 10;

/** Calls `submit` for all tasks at once, a hundred at a time, or sequentially. */
type Way = (tasks: number, submit: (task: number) => Promise<unknown>) => Promise<void>;

const allAtOnce: Way = async (tasks, submit) => {
  await Promise.all(Array.from({ length: tasks }, (_, task) => submit(task)));
};
const inHundreds: Way = async (tasks, submit) => {
  for (let from = 0; from < tasks; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, at) => submit(from + at)));
  }
};
const oneByOne: Way = async (tasks, submit) => {
  for (let task = 0; task < tasks; task += 1) await submit(task);
};

/** An orchestrator with all features on: ids, events, leases, deadlines, retries, retained results. */
class Ours {
  readonly #orchestrator: Orchestrator;
  #left = 0;
  #end = () => {};

  constructor() {
    const storage = new MemoryStorage({ limits: { retentionMs: RETENTION_MS } });
    this.#orchestrator = new Orchestrator({ concurrency: CONCURRENCY, storage });
    this.#orchestrator.workflow('bench', async (_ctx, task: number) => {
      this.#left -= 1;
      if (this.#left === 0) this.#end();
      return task;
    });
  }

  start(): Promise<void> {
    return this.#orchestrator.start();
  }

  stop(): Promise<void> {
    return this.#orchestrator.stop();
  }

  by(way: Way): Competitor {
    const { tasks: acme } = this.#orchestrator.tenant('acme');
    return async (tasks) => {
      const ended = new Promise<void>((resolve) => {
        this.#end = resolve;
      });
      this.#left = tasks;
      await way(tasks, (task) => acme.submit({ type: 'bench', payload: task, priority: priorityOf(task) }));
      await ended;
    };
  }
}

/** p-queue in its usual form: a promise per task, for its end. */
class Peer {
  readonly #queue = new PQueue({ concurrency: CONCURRENCY });

  by(way: Way): Competitor {
    return async (tasks) => {
      await way(tasks, (task) => this.#queue.add(async () => task, { priority: priorityOf(task) }));
    };
  }
}

const ROWS: readonly {
  readonly name: string;
  readonly tasks: number;
  readonly ours: Way;
  readonly peer: Way;
}[] = [
  { name: 'one by one; p-queue all at once', tasks: 200_000, ours: oneByOne, peer: allAtOnce },
  { name: 'one by one; p-queue all at once', tasks: 100_000, ours: oneByOne, peer: allAtOnce },
  { name: 'both all at once', tasks: 200_000, ours: allAtOnce, peer: allAtOnce },
  { name: 'both all at once', tasks: 100_000, ours: allAtOnce, peer: allAtOnce },
  { name: 'both all at once', tasks: 10_000, ours: allAtOnce, peer: allAtOnce },
  { name: 'both a hundred at a time', tasks: 100_000, ours: inHundreds, peer: inHundreds },
];

/**
 * Submits and runs, with ten priorities and ten at a time, beside p-queue, a pure queue. It is at its best
 * with short queues, since it keeps them sorted in an array.
 */
export async function memory({ rounds }: { readonly rounds: number }): Promise<unknown> {
  const head = ['submitted', 'tasks', 'ours µs', 'CPU µs', 'p-queue µs', 'CPU µs', 'ratio', 'spread'];
  const rows: string[][] = [head];
  const results: unknown[] = [];
  const competitors = { ours: new Ours(), peer: new Peer() };
  await competitors.ours.start();
  for (const { name, tasks, ...ways } of ROWS) {
    const result = await compare({
      ours: competitors.ours.by(ways.ours),
      peer: competitors.peer.by(ways.peer),
      tasks,
      rounds,
      rest: () => pause(2 * RETENTION_MS),
    });
    const { ours, peer, ratio, spread } = result;
    results.push({ name, tasks, ...result });
    const stats = [ours.wallUs, ours.cpuUs, peer.wallUs, peer.cpuUs].map((us) => us.toFixed(1));
    const range = spread.map((edge) => edge.toFixed(2)).join(' to ');
    rows.push([name, String(tasks), ...stats, ratio.toFixed(2), range]);
  }
  await competitors.ours.stop();
  console.log(
    `Submit and run, priorities 0 to 9, concurrency ${CONCURRENCY}: time and CPU of each task, median of ${rounds} rounds\n`,
  );
  console.log(table(rows));
  return results;
}
