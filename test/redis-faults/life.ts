import { CaseTools, type Clock } from '@agent-orchestrator/core';
import { RedisStorage, type RedisTarget } from '@agent-orchestrator/redis-adapter';
import type { RedisServer } from '@agent-orchestrator/test-servers';
import { Cluster } from 'ioredis';
import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';
import type { StepStory } from './step-stories.js';
import { storedKeys } from './stored-keys.js';

let lived = 0;

/** A storage whose ids and times are those of every other one that lives through the same. */
export class Life implements AsyncDisposable {
  readonly prefix = `life-${(lived += 1)}`;
  readonly storage: RedisStorage;
  readonly tools: CaseTools;
  #now = Date.parse('2026-01-31T10:00:00.000Z');

  /** @param target where Redis is, or a client to borrow. */
  constructor(target: RedisTarget | Cluster, commandTimeoutMs = 5_000) {
    const clock: Clock = {
      now: () => this.#now,
      after: () => {
        throw new Error('nothing waits by this clock');
      },
    };
    const random = new SeededRandom('storage');
    const options = { prefix: this.prefix, clock, random, commandTimeoutMs };
    this.storage =
      target instanceof Cluster ? RedisStorage.using(target, options) : RedisStorage.connect(target, options);
    const advance = async (ms: number) => {
      this.#now += ms;
    };
    this.tools = new CaseTools(
      { storage: this.storage, now: () => this.#now, advance },
      new SeededRandom('case'),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage.close();
  }
}

export function wordOf(answer: unknown): unknown {
  const word = typeof answer === 'object' && answer !== null && 'answer' in answer ? answer.answer : answer;
  return word ?? null;
}

/** What is stored, but for hints: a second renewal may be scheduled a second time. */
export async function keptBy(redis: RedisServer, { prefix }: Life): Promise<Record<string, unknown>> {
  const all = await storedKeys(redis, prefix);
  for (const key of Object.keys(all)) if (/@leases$|:system:/.test(key)) delete all[key];
  return all;
}

/** A step's undisturbed life: what it said, what is left of it, and all keys there were before or after it. */
export async function undisturbed(redis: RedisServer, { prepare }: StepStory) {
  await using life = new Life(redis.url);
  const step = await prepare(life.tools);
  const keys = Object.keys(await storedKeys(redis, life.prefix));
  const before = await keptBy(redis, life);
  const answer = await step();
  keys.push(...Object.keys(await storedKeys(redis, life.prefix)));
  return { before, answer, kept: await keptBy(redis, life), keys: [...new Set(keys)] };
}
