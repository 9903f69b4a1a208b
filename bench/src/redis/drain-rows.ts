import type { Order } from './competitor.js';
import { commands, type Comparison, memory, rate, redisCpu } from './row.js';

/** Prefetch of the worker where there is room for it, by concurrency. */
const AHEAD = { 1: 100, 50: 400, 100: 400 } as const;

/** V8 compiles again for each worker, about 0.2 s on either side: a fifth of our time for 40,000 tasks. */
export const MANY = 80_000;

export function drain(tasks: number, concurrency: keyof typeof AHEAD, ahead?: number): Order {
  return { work: 'drain', tasks, concurrency, ahead: ahead ?? AHEAD[concurrency] };
}

/** One worker drains the queue. */
export const DRAIN_MATCHES: readonly Comparison[] = [
  {
    name: 'drain-t100',
    stages: [{ work: 'submit', tenants: 100, tasks: MANY, inFlight: 100 }, drain(MANY, 100)],
    rows: [
      rate('drain T100, concurrency 100', 1, { must: 3, aim: 4 }),
      redisCpu('Redis CPU: drain T100', 1, { must: 1 / 3, aim: 1 / 4.5 }),
      commands('Redis commands per drained task', 1, { must: 4, aim: 1.7 }),
      memory('Redis memory: waiting task', 0, { must: 0.8, aim: 0.75 }),
      memory('Redis memory: kept finished task', 1, { must: 0.8, aim: 0.7 }),
      rate('submit T100, 100 in flight', 0, { must: 1.3, aim: 1.6 }),
      redisCpu('Redis CPU: submit T100', 0, { must: 0.65, aim: 0.5 }),
    ],
  },
  {
    name: 'drain-t100-not-ahead',
    stages: [{ work: 'fill', tenants: 100, tasks: MANY }, drain(MANY, 100, 0)],
    rows: [rate('drain T100, concurrency 100, nothing ahead', 1, { must: 2, aim: 2.4 })],
  },
  {
    name: 'drain-t100-c50',
    stages: [{ work: 'fill', tenants: 100, tasks: MANY }, drain(MANY, 50)],
    rows: [rate('drain T100, concurrency 50', 1, { must: 3, aim: 4 })],
  },
  {
    name: 'drain-t100-c1',
    stages: [{ work: 'fill', tenants: 100, tasks: 20_000 }, drain(20_000, 1)],
    rows: [rate('drain T100, concurrency 1', 1, { must: 8, aim: 12 })],
  },
  {
    name: 'drain-t1',
    stages: [{ work: 'submit', tenants: 1, tasks: MANY, inFlight: 100 }, drain(MANY, 100)],
    rows: [
      rate('drain of one tenant', 1, { must: 2.7, aim: 3.5 }),
      rate('submit T1, 100 in flight', 0, { must: 2, aim: 2.3 }),
    ],
  },
  {
    name: 'drain-t10000',
    stages: [{ work: 'fill', tenants: 10_000, tasks: 20_000 }, drain(20_000, 100)],
    rows: [rate('drain of 10,000 tenants with 2 tasks each', 1, { must: 2, aim: 2.5 })],
  },
  {
    name: 'drain-cluster',
    server: { cluster: true },
    stages: [{ work: 'fill', tenants: 100, tasks: MANY }, drain(MANY, 100)],
    rows: [rate('drain T100 as on a Cluster, one tenant a call', 1, { must: 2.5, aim: 3 })],
  },
];
