import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { median, table } from '../measure.js';
import { installPeers } from '../peers.js';
import { type DurableOrder, type DurableRun, type SideName, SIDES, type Work } from './durable-side.js';

const PROGRAM = fileURLToPath(new URL('measured-side.js', import.meta.url));
const RUN_LIMIT_MS = 300_000;
const run = promisify(execFile);

interface Row {
  readonly name: string;
  readonly work: Work;
  readonly inFlight: number;
  /** Fewer for a side that is slow. */
  readonly tasks: (side: SideName) => number;
  readonly sides: readonly SideName[];
}

const OURS = SIDES.filter((side) => side !== 'openworkflow');
/** A side that is slow has fewer tasks. */
const few = (tasks: number) => (side: SideName) => (side === 'openworkflow' ? Math.ceil(tasks / 10) : tasks);

const ROWS: readonly Row[] = [
  { name: '3 steps, 1 in flight', work: 'workflows', inFlight: 1, tasks: few(1_000), sides: SIDES },
  { name: '3 steps, 10 in flight', work: 'workflows', inFlight: 10, tasks: few(4_000), sides: SIDES },
  {
    name: '3 steps, 100 in flight',
    work: 'workflows',
    inFlight: 100,
    tasks: (side) => (side === 'openworkflow' ? 400 : 8_000),
    sides: SIDES,
  },
  { name: 'submit, 100 in flight', work: 'submit', inFlight: 100, tasks: () => 60_000, sides: OURS },
  { name: 'drain', work: 'drain', inFlight: 100, tasks: () => 60_000, sides: OURS },
];

interface Measured extends DurableRun {
  readonly tasks: number;
}

/** Durable work beside openworkflow on `node:sqlite`, each side in a process of its own, one after the other. */
export async function durable({
  rounds,
  only,
}: {
  readonly rounds: number;
  readonly only?: string | undefined;
}): Promise<unknown> {
  const [major = 0] = process.versions.node.split('.').map(Number);
  const hasPeer = major >= 22;
  if (hasPeer) await installPeers();
  else console.log('openworkflow needs node:sqlite: run this with Node 22 or later to measure it');
  const report: Record<string, unknown> = {};
  for (const row of ROWS.filter(({ name }) => only === undefined || name.includes(only))) {
    const sides = row.sides.filter((side) => hasPeer || side !== 'openworkflow');
    const runs = new Map<SideName, Measured[]>(sides.map((side) => [side, []]));
    for (let round = 0; round < rounds; round += 1)
      for (const side of sides) runs.get(side)?.push(await measured(row, side));
    const middle = new Map([...runs].map(([side, all]) => [side, medianOf(all)] as const));
    print(row, middle);
    report[row.name] = Object.fromEntries(middle);
  }
  return report;
}

async function measured({ work, inFlight, tasks: tasksOf }: Row, side: SideName): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'agent-orchestrator-bench-'));
  const redis = side === 'redis, AOF' ? await RedisServer.start({ appendonly: true }) : undefined;
  const tasks = tasksOf(side);
  try {
    const order: DurableOrder = { side, work, tasks, inFlight, place: redis?.url ?? join(folder, 'data') };
    const args = ['--expose-gc', PROGRAM, JSON.stringify(order)];
    const { stdout } = await run(process.execPath, args, { timeout: RUN_LIMIT_MS });
    return { ...(JSON.parse(stdout) as DurableRun), tasks };
  } finally {
    await redis?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function medianOf(runs: readonly Measured[]): Measured {
  const middle = (of: (one: Measured) => number) => median(runs.map(of));
  const [first] = runs as readonly [Measured];
  return {
    tasks: first.tasks,
    wallMs: middle(({ wallMs }) => wallMs),
    cpuUs: middle(({ cpuUs }) => cpuUs),
    ...(first.p50 !== undefined && {
      p50: middle(({ p50 }) => p50 ?? 0),
      p99: middle(({ p99 }) => p99 ?? 0),
    }),
    syncs: first.syncs === undefined ? undefined : middle(({ syncs }) => syncs ?? 0),
    bytes: middle(({ bytes }) => bytes),
  };
}

function print({ name }: Row, sides: ReadonlyMap<SideName, Measured>): void {
  const memory = sides.get('memory');
  const rateOf = ({ tasks, wallMs }: Measured) => (tasks * 1_000) / wallMs;
  const rows = [...sides].map(([side, one]) => [
    side,
    (one.cpuUs / one.tasks / 1_000).toFixed(3),
    rateOf(one).toFixed(0),
    memory ? (rateOf(one) / rateOf(memory)).toFixed(2) : '',
    one.p50?.toFixed(2) ?? '',
    one.p99?.toFixed(2) ?? '',
    one.syncs === undefined ? '' : (one.syncs / one.tasks).toFixed(3),
    Number.isNaN(one.bytes) ? '' : (one.bytes / one.tasks).toFixed(0),
  ]);
  console.log(`\n${name}`);
  console.log(
    table([
      [
        'side',
        'ms of CPU a task',
        'tasks a second',
        'of memory',
        'p50 ms',
        'p99 ms',
        'syncs a task',
        'bytes a task',
      ],
      ...rows,
    ]),
  );
}
