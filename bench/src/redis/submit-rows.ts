import { drain, MANY } from './drain-rows.js';
import { type Comparison, rate, redisCpu } from './row.js';

/** No worker runs while tasks are stored. One tenant and a hundred are measured by the drain rows. */
export const SUBMIT_MATCHES: readonly Comparison[] = [
  {
    name: 'submit-t10',
    stages: [{ work: 'submit', tenants: 10, tasks: MANY, inFlight: 100 }],
    rows: [rate('submit T10, 100 in flight', 0, { must: 1.6, aim: 1.9 })],
  },
  {
    name: 'submit-one',
    stages: [{ work: 'submit', tenants: 100, tasks: 5_000, inFlight: 1 }],
    rows: [rate('submit one at a time', 0, { must: 1, aim: 1.2 })],
  },
  {
    name: 'bulk',
    stages: [{ work: 'bulk', tenants: 10, tasks: 30_000, size: 1_000 }],
    rows: [
      rate('submit in bulk of 1,000', 0, { must: 3, aim: 3.5 }),
      redisCpu('Redis CPU: submit in bulk', 0, { must: 1 / 2, aim: 1 / 3 }),
    ],
  },
];

/** Writes are synced to disk every second. */
export const APPENDONLY_MATCHES: readonly Comparison[] = [
  {
    name: 'aof-drain',
    server: { appendonly: true },
    stages: [{ work: 'submit', tenants: 100, tasks: MANY, inFlight: 100 }, drain(MANY, 100)],
    rows: [
      rate('AOF: drain T100, concurrency 100', 1, { must: 3, aim: 4 }),
      rate('AOF: submit T100, 100 in flight', 0, { must: 1.2, aim: 1.4 }),
    ],
  },
  {
    name: 'aof-bulk',
    server: { appendonly: true },
    stages: [{ work: 'bulk', tenants: 10, tasks: 30_000, size: 1_000 }],
    rows: [rate('AOF: submit in bulk of 1,000', 0, { must: 3, aim: 3.3 })],
  },
];
