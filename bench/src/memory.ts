import { Orchestrator } from '@agent-orchestrator/core';
import PQueue from 'p-queue';
import { compare, type Contender, table } from './measure.js';

const CONCURRENCY = 10;
const priorityOf = (task: number) => (task * 7_919) % 10;

/** p-queue as it is used: everything is added, then it is waited for. */
const queueAllAtOnce: Contender = async (tasks) => {
  const queue = new PQueue({ concurrency: CONCURRENCY });
  for (let task = 0; task < tasks; task += 1) {
    void queue.add(async () => task, { priority: priorityOf(task) });
  }
  await queue.onIdle();
};

const queueInHundreds: Contender = async (tasks) => {
  const queue = new PQueue({ concurrency: CONCURRENCY });
  for (let from = 0; from < tasks; from += 100) {
    const added = hundred(from).map((task) => queue.add(async () => task, { priority: priorityOf(task) }));
    await Promise.all(added);
  }
};

/** An orchestrator with everything on: ids, events, leases, deadlines, results that are kept. */
async function withOrchestrator(
  tasks: number,
  submitAll: (submit: (task: number) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  await using orchestrator = new Orchestrator({ concurrency: CONCURRENCY });
  let left = tasks;
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  orchestrator.workflow('bench', async (_ctx, task: number) => {
    left -= 1;
    if (left === 0) end();
    return task;
  });
  await orchestrator.start();
  const acme = orchestrator.tenant('acme');
  await submitAll((task) => acme.tasks.submit({ type: 'bench', payload: task, priority: priorityOf(task) }));
  await ended;
}

const submitAllAtOnce: Contender = (tasks) =>
  withOrchestrator(tasks, async (submit) => {
    await Promise.all(Array.from({ length: tasks }, (_, task) => submit(task)));
  });

/** As a program does that wants to know each task stored before it goes on. */
const submitOneByOne: Contender = (tasks) =>
  withOrchestrator(tasks, async (submit) => {
    for (let task = 0; task < tasks; task += 1) await submit(task);
  });

const submitInHundreds: Contender = (tasks) =>
  withOrchestrator(tasks, async (submit) => {
    for (let from = 0; from < tasks; from += 100) await Promise.all(hundred(from).map(submit));
  });

function hundred(from: number): number[] {
  return Array.from({ length: 100 }, (_, at) => from + at);
}

const ROWS = [
  { name: 'one by one, p-queue all at once', tasks: 100_000, ours: submitOneByOne, peer: queueAllAtOnce },
  { name: 'all at once', tasks: 200_000, ours: submitAllAtOnce, peer: queueAllAtOnce },
  { name: 'all at once', tasks: 100_000, ours: submitAllAtOnce, peer: queueAllAtOnce },
  { name: 'all at once', tasks: 10_000, ours: submitAllAtOnce, peer: queueAllAtOnce },
  { name: 'a hundred at a time', tasks: 100_000, ours: submitInHundreds, peer: queueInHundreds },
] as const;

/** Submit and run, with ten priorities and ten at a time, against p-queue, which only has a queue. */
export async function memory({ rounds }: { readonly rounds: number }): Promise<unknown> {
  const rows: string[][] = [
    ['submitted', 'tasks', 'ours µs', 'CPU µs', 'p-queue µs', 'CPU µs', 'ratio', 'spread'],
  ];
  const results: unknown[] = [];
  for (const { name, ...contenders } of ROWS) {
    const result = await compare({ ...contenders, rounds });
    const { ours, peer, ratio, spread } = result;
    results.push({ name, tasks: contenders.tasks, ...result });
    const figures = [ours.wallUs, ours.cpuUs, peer.wallUs, peer.cpuUs].map((us) => us.toFixed(1));
    const range = spread.map((edge) => edge.toFixed(2)).join(' to ');
    rows.push([name, String(contenders.tasks), ...figures, ratio.toFixed(2), range]);
  }
  console.log(
    `Submit and run, priorities 0 to 9, concurrency ${CONCURRENCY}; time and CPU per task, median of ${rounds} rounds\n`,
  );
  console.log(table(rows));
  return results;
}
