import { existsSync, readdirSync } from 'node:fs';
import type { RedisServer } from '@agent-orchestrator/test-servers';
import { Redis } from 'ioredis';

/** Contents of a process and its storage at one moment. */
export interface Census {
  /** Redis keys that do not expire by themselves within the elapsed retention; absent in memory. */
  readonly keys: number | undefined;
  /** Names of those keys, unless they are many. */
  readonly names: readonly string[];
  /** Keys that expire; absent in memory. */
  readonly expiring: number | undefined;
  readonly redisMiB: number | undefined;
  readonly heapMiB: number;
  /** Timers of the simulated clock, and of Node. */
  readonly timers: number;
  readonly nodeTimers: number;
  /** Of the process; absent if the system does not report them. */
  readonly descriptors: number | undefined;
}

const MIB = 1024 * 1024;
const MOST_NAMED = 100;
const FOLDER_OF_DESCRIPTORS = '/proc/self/fd';

export async function takeCensus(
  clock: { readonly pending: number },
  server: RedisServer | undefined,
  passedMs: number,
): Promise<Census> {
  for (let turn = 0; turn < 3; turn += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    ...(server ? await censusOf(server, passedMs) : NONE),
    heapMiB: process.memoryUsage().heapUsed / MIB,
    timers: clock.pending,
    nodeTimers: process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length,
    descriptors: existsSync(FOLDER_OF_DESCRIPTORS) ? readdirSync(FOLDER_OF_DESCRIPTORS).length : undefined,
  };
}

const NONE = { keys: undefined, names: [], expiring: undefined, redisMiB: undefined } as const;

/** Redis counts expiry by its own clock, which the simulated one has left behind by `passedMs`. */
async function censusOf(server: RedisServer, passedMs: number) {
  const redis = new Redis(server.url);
  try {
    let expiring = 0;
    const keys: string[] = [];
    for await (const page of redis.scanStream({ count: 1_000 }) as AsyncIterable<string[]>) {
      const pipeline = redis.pipeline();
      for (const key of page) pipeline.pttl(key);
      for (const [at, [, left]] of ((await pipeline.exec()) ?? []).entries()) {
        if ((left as number) >= 0 && (left as number) <= passedMs) expiring += 1;
        else keys.push(page[at] as string);
      }
    }
    const used = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0;
    return {
      keys: keys.length,
      names: keys.length <= MOST_NAMED ? keys : [],
      expiring,
      redisMiB: Number(used) / MIB,
    };
  } finally {
    redis.disconnect();
  }
}
