import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Clock, MemoryStorage, type Storage } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { table } from '../measure.js';
import { Bench, type Verb, VERBS } from './verbs.js';
import { VERBS_OF_ONE_TENANT } from './verbs-of-one-tenant.js';

/** Threshold of the slow log of Redis. */
const SLOW_FROM_US = 100;
const SLOW_LOG = 10_000;

/** The longest step of a verb, ms: of the event loop, and of Redis where measured. */
interface Longest {
  readonly nodeMs: number;
  readonly redisMs: number | undefined;
  readonly allMs: number;
}

/** The system clock, with an offset that can be advanced. */
class MovableClock implements Clock {
  #ahead = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  monotonic(): number {
    return performance.now() + this.#ahead;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  }

  readonly advance = (ms: number): void => {
    this.#ahead += ms;
  };
}

interface Measuring {
  readonly storage: Storage;
  readonly advance: (ms: number) => void;
  /** Of Redis since `reset`, ms. */
  readonly slowest: (() => Promise<number>) | undefined;
  readonly reset: () => Promise<void>;
}

async function measure(verb: Verb, waiting: number, on: Measuring): Promise<Longest> {
  const act = await verb.prepare(new Bench(on.storage, waiting, on.advance));
  globalThis.gc?.();
  await on.reset();
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  loop.reset();
  // The monitor counts from the first turn after a reset.
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
  const began = performance.now();
  await act();
  const allMs = performance.now() - began;
  await new Promise((resolve) => setTimeout(resolve, 5));
  loop.disable();
  return { nodeMs: loop.max / 1e6, redisMs: await on.slowest?.(), allMs };
}

async function onMemory(verb: Verb, waiting: number): Promise<Longest> {
  const clock = new MovableClock();
  const storage = new MemoryStorage({ clock });
  const on = { storage, advance: clock.advance, slowest: undefined, reset: async () => {} };
  try {
    return await measure(verb, waiting, on);
  } finally {
    await storage.close();
  }
}

async function onRedis(verb: Verb, waiting: number, server: RedisServer): Promise<Longest> {
  const clock = new MovableClock();
  const storage = RedisStorage.connect(server.url, { clock, commandTimeoutMs: 120_000 });
  const ask = (...command: string[]) => server.ask(command, { timeoutMs: 60_000 });
  try {
    await ask('FLUSHALL');
    await ask('CONFIG', 'SET', 'slowlog-log-slower-than', String(SLOW_FROM_US));
    await ask('CONFIG', 'SET', 'slowlog-max-len', String(SLOW_LOG));
    return await measure(verb, waiting, {
      storage,
      advance: clock.advance,
      slowest: async () => slowestOf(await ask('SLOWLOG', 'GET', String(SLOW_LOG))),
      reset: async () => {
        await ask('SLOWLOG', 'RESET');
      },
    });
  } finally {
    await storage.close();
  }
}

/**
 * Maximum of a slow log, whose entries are id, time, microseconds, command. Clearing the log is an entry of
 * the new one.
 */
function slowestOf(reply: unknown): number {
  const entries = reply as readonly (readonly [number, number, number, readonly unknown[]])[];
  const ofVerb = entries.filter(([, , , [command]]) => String(command).toUpperCase() !== 'SLOWLOG');
  return Math.max(0, ...ofVerb.map(([, , us]) => us)) / 1_000;
}

async function shortest(rounds: number, measured: () => Promise<Longest>): Promise<Longest> {
  const all: Longest[] = [];
  for (let round = 0; round < rounds; round += 1) all.push(await measured());
  const least = (of: (one: Longest) => number) => Math.min(...all.map(of));
  return {
    nodeMs: least(({ nodeMs }) => nodeMs),
    redisMs: all[0]?.redisMs === undefined ? undefined : least(({ redisMs = 0 }) => redisMs),
    allMs: least(({ allMs }) => allMs),
  };
}

const ms = (value: number | undefined) => (value === undefined ? '' : value.toFixed(1));

/**
 * The longest step of each verb at its limits: of Node's event loop, in memory and with Redis, and of Redis
 * itself by its slow log. Less than 0.1 ms of Redis counts as 0. The shortest of several rounds counts: the
 * machine is shared.
 */
export async function steps({
  waiting,
  rounds,
  only = '',
}: {
  readonly rounds: number;
  readonly waiting: number;
  readonly only?: string | undefined;
}): Promise<unknown> {
  const rows = [['verb', 'memory: loop', 'all', 'Redis: step', 'loop', 'all']];
  const results: unknown[] = [];
  const server = await RedisServer.start();
  try {
    for (const verb of [...VERBS, ...VERBS_OF_ONE_TENANT].filter(({ name }) => name.includes(only))) {
      const memory = await shortest(rounds, () => onMemory(verb, waiting));
      const redis = await shortest(rounds, () => onRedis(verb, waiting, server));
      results.push({ name: verb.name, memory, redis });
      const stats = [memory.nodeMs, memory.allMs, redis.redisMs, redis.nodeMs, redis.allMs];
      rows.push([verb.name, ...stats.map(ms)]);
      console.error(rows.at(-1)?.join('  '));
    }
  } finally {
    await server.stop();
  }
  console.log(`The longest step, and all of them, in ms; where many wait, ${waiting} do\n\n${table(rows)}`);
  return results;
}
