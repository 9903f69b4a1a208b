import { MemoryStorage, type Storage } from '@agent-orchestrator/core';
import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { table } from '../measure.js';
import { type Census, takeCensus } from './census.js';
import { JumpClock } from './jump-clock.js';
import { Load } from './load.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Duration of the load in simulated time, and the interval of its rounds. */
const SPANS = {
  '24 hours': { roundMs: MINUTE_MS, rounds: (24 * HOUR_MS) / MINUTE_MS },
  '30 days': { roundMs: 30 * MINUTE_MS, rounds: (30 * DAY_MS) / (30 * MINUTE_MS) },
} as const;
type Span = keyof typeof SPANS;

/** Below the retention of dead letters, so that the wait at the end of the soak covers it. */
const LIMITS = { usageRetentionMs: 7 * DAY_MS } as const;
const AFTERWARDS_MS = DEFAULTS.deadLetterRetentionMs + 3 * DAY_MS;
const SWEPT_AT_ONCE = 10_000;
const MOST_SWEEPS = 10_000;
/** Bounded caches, and memory of the runtime. */
const HEAP_SLACK_MIB = 10;
/** Timers of a process, and keys of live workers and sweeps, vary. */
const TIMER_SLACK = 5;
const KEY_SLACK = 3;

async function passTime(clock: JumpClock, storage: Storage, ms: number): Promise<void> {
  clock.jump(ms);
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep += 1) {
    const { nextDueAt, now } = await storage.queue.sweep({ max: SWEPT_AT_ONCE });
    if (nextDueAt === undefined || nextDueAt > now) return;
  }
  throw new Error(`still not swept after ${MOST_SWEEPS} sweeps`);
}

interface Outcome {
  readonly start: Census;
  readonly loaded: Census;
  readonly after: Census;
  readonly tasks: number;
  readonly tenants: number;
}

async function soakIn(
  storage: Storage,
  clock: JumpClock,
  span: Span,
  server?: RedisServer,
): Promise<Outcome> {
  const { roundMs, rounds } = SPANS[span];
  const load = new Load({ storage, clock });
  await load.start();
  try {
    // One-time allocations, such as compiled code, are not growth.
    const rest = async () => {
      await load.finish();
      for (let passed = 0; passed < AFTERWARDS_MS; passed += 6 * HOUR_MS)
        await passTime(clock, storage, 6 * HOUR_MS);
    };
    for (let round = 0; round < 100; round += 1) {
      await load.round(round);
      await passTime(clock, storage, roundMs);
    }
    await rest();
    const start = await takeCensus(clock, server, AFTERWARDS_MS);
    for (let round = 100; round < 100 + rounds; round += 1) {
      await load.round(round);
      await passTime(clock, storage, roundMs);
      if (round % 100 === 0) console.error(`${span}: round ${round - 100} of ${rounds}`);
    }
    const loaded = await takeCensus(clock, server, 0);
    await rest();
    const after = await takeCensus(clock, server, AFTERWARDS_MS);
    return { start, loaded, after, tasks: load.tasks, tenants: load.tenants.size };
  } finally {
    await load.stop();
  }
}

async function onMemory(span: Span): Promise<Outcome> {
  const clock = new JumpClock();
  const storage = new MemoryStorage({ clock, limits: LIMITS });
  try {
    return await soakIn(storage, clock, span);
  } finally {
    await storage.close();
  }
}

async function onRedis(span: Span): Promise<Outcome> {
  const clock = new JumpClock();
  const server = await RedisServer.start();
  const storage = RedisStorage.connect(server.url, { clock, limits: LIMITS });
  try {
    return await soakIn(storage, clock, span, server);
  } finally {
    await storage.close();
    await server.stop();
  }
}

const show = (value: number | undefined, digits = 0) => value?.toFixed(digits) ?? '';

function rowOf(name: string, census: Census): string[] {
  const { keys, expiring, redisMiB, heapMiB, timers, nodeTimers, descriptors } = census;
  const counts = [keys, expiring].map((value) => show(value));
  const sizes = [redisMiB, heapMiB].map((value) => show(value, 1));
  return [name, ...counts, ...sizes, ...[timers, nodeTimers, descriptors].map((value) => show(value))];
}

/** Measures that exceed those at the start. */
function growthOf({ start, after }: Outcome): string[] {
  const slack = { keys: KEY_SLACK, timers: TIMER_SLACK, nodeTimers: TIMER_SLACK, descriptors: 0 } as const;
  const grown: string[] = (['keys', 'timers', 'nodeTimers', 'descriptors'] as const).filter(
    (name) => (after[name] ?? 0) > (start[name] ?? 0) + slack[name],
  );
  return after.heapMiB > start.heapMiB + HEAP_SLACK_MIB ? [...grown, 'heapMiB'] : grown;
}

/**
 * A day and a month of simulated time under load, in memory and on Redis: contents of the process and its
 * storage before, right after, and once everything is past its retention. Exits with 1 if that exceeds the
 * contents before.
 */
export async function soak({ only = '' }: { readonly only?: string | undefined }): Promise<unknown> {
  const rows = [['', 'keys', 'expiring', 'Redis MiB', 'heap MiB', 'timers', "Node's timers", 'descriptors']];
  const results: Record<string, Outcome> = {};
  for (const span of Object.keys(SPANS) as Span[]) {
    for (const [place, run] of Object.entries({ memory: onMemory, Redis: onRedis })) {
      const name = `${span}, ${place}`;
      if (!name.includes(only)) continue;
      const outcome = await run(span);
      results[name] = outcome;
      const grown = growthOf(outcome);
      rows.push(
        rowOf(`${name}: start`, outcome.start),
        rowOf(`  after ${outcome.tasks} tasks of ${outcome.tenants} tenants`, outcome.loaded),
        rowOf('  after retention', outcome.after),
      );
      const names = outcome.after.names.filter((key) => !outcome.start.names.includes(key));
      if (names.length > 0)
        console.error(`${name}: keys that were not there at the start: ${names.join(' ')}`);
      if (grown.length === 0) continue;
      console.error(`${name}: more than at the start: ${grown.join(', ')}`);
      process.exitCode = 1;
    }
  }
  console.log(table(rows));
  return results;
}
