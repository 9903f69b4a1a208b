import { type Clock } from '@agent-orchestrator/core';
import { CaseTools } from '@agent-orchestrator/core/conformance';
import { RedisStorage, type RedisTarget } from '@agent-orchestrator/redis-adapter';
import type { RedisServer } from '@agent-orchestrator/test-servers';
import { Cluster } from 'ioredis';
import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';
import type { StepScenario } from './step-scenarios.js';
import { storedKeys } from './stored-keys.js';

let count = 0;

/** A storage whose ids and times are the same as in every other one with the same calls. */
export class DeterministicStorage implements AsyncDisposable {
  readonly prefix = `subject-${(count += 1)}`;
  readonly storage: RedisStorage;
  readonly tools: CaseTools;
  #now = Date.parse('2026-01-31T10:00:00.000Z');

  /** @param target address of Redis, or a client to borrow. */
  constructor(target: RedisTarget | Cluster, commandTimeoutMs = 5_000) {
    const clock: Clock = {
      now: () => this.#now,
      monotonic: () => this.#now,
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

/** Stored data without hints: a repeated renewal may schedule a second timer. */
export async function storedBy(
  redis: RedisServer,
  { prefix }: DeterministicStorage,
): Promise<Record<string, unknown>> {
  const all = await storedKeys(redis, prefix);
  for (const key of Object.keys(all)) if (/@leases$|:system:/.test(key)) delete all[key];
  return all;
}

/** A step without faults: its answer, the data it leaves, and all keys before and after it. */
export async function withoutFaults(redis: RedisServer, { prepare }: StepScenario) {
  await using subject = new DeterministicStorage(redis.url);
  const step = await prepare(subject.tools);
  const keys = Object.keys(await storedKeys(redis, subject.prefix));
  const before = await storedBy(redis, subject);
  const answer = await step();
  keys.push(...Object.keys(await storedKeys(redis, subject.prefix)));
  return { before, answer, kept: await storedBy(redis, subject), keys: [...new Set(keys)] };
}
