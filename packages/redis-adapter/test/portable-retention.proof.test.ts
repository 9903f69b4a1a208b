import { randomUUID } from 'node:crypto';
import { FileStorage, MemoryStorage, type Storage } from '@agent-orchestrator/core';
import { PortableFolder } from '@agent-orchestrator/core/server';
import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { folder } from '../../core/test/file/folder.js';
import { ManualClock } from '../../core/test/harness.js';
import { RedisPortableState, RedisStorage, type RedisTarget } from '../src/index.js';
import { exported, imported } from './portable-storage.js';

const HOUR_MS = 60 * 60_000;
const RUNS = [{ type: 'work', versions: [1] }];
const newTask = (n: number, fields: object = {}) => ({
  task_id: randomUUID(),
  type: 'work',
  priority: n % 10,
  payload: n,
  metadata: {},
  timeoutMs: HOUR_MS + n,
  maxAttempts: 3,
  ...fields,
});

/** Tasks in every state, with calls, jobs, timers, groups and keys. */
async function fill({ tasks, queue, journal, sessions }: Storage, now: number): Promise<void> {
  const tenantId = 'acme';
  const all = { tenantId, maxWaiting: 1_000 };
  for (let n = 0; n < 12; n += 1) {
    const fields = { ...(n % 3 === 0 && { session_id: 's' }), ...(n % 4 === 0 && { runAt: now + HOUR_MS }) };
    const submission = { task: newTask(n, fields), onBusy: 'enqueue' } as const;
    await tasks.submit({ ...all, submission, idempotency: { key: `k-${n}`, fingerprint: 'f' } });
  }
  const items = [1, 2, 3, 4].map((n) => ({ task: newTask(n), onBusy: 'enqueue' }) as const);
  await tasks.submitBatch({ ...all, batch: { batchId: 'b', maxInFlight: 2, failFast: true, items } });
  const call = { callId: 'tracked', service: 'slow', operation: 'o', jobId: 'j-tracked', silenceMs: 60_000 };
  await tasks.register({ ...all, task: newTask(1), call });
  await sessions.append({
    tenantId,
    sessionId: 's',
    message: { message_id: 'm', role: 'user', content: 'c' },
  });
  const claims = await queue.claim({
    workerId: 'w',
    claimId: randomUUID(),
    max: 6,
    runs: RUNS,
    leaseMs: 30_000,
  });
  for (const [n, { task, token }] of claims.entries()) {
    const lease = { tenantId, taskId: task.task_id, token };
    const call = {
      callId: `call-${n}`,
      service: 'slow',
      operation: 'o',
      maxTries: 2,
      retryDelayMs: 1_000,
      silenceMs: 60_000,
    };
    await journal.begin({
      ...lease,
      journalRev: 0,
      step: { key: 'call', kind: 'call', name: 'slow.o', call },
      maxSteps: 10,
    });
    const answer = { kind: 'accepted', jobId: `j-${n}` } as const;
    if (n % 2 === 0)
      await journal.record({ ...lease, journalRev: 0, key: 'call', callId: call.callId, answer });
    const error = { code: 'service_error', message: 'm', retryable: true } as const;
    const settlements = [
      { kind: 'parked', journalRev: 0 },
      { kind: 'completed', result: 'r'.repeat(5_000) },
      { kind: 'failed', error },
      { kind: 'retry', error, delayMs: 1_000, drop: 'call' },
      { kind: 'released' },
    ] as const;
    const settlement = settlements[n];
    if (settlement) await queue.settle({ ...lease, settlement });
  }
}

async function passDays(storage: Storage, clock: ManualClock): Promise<void> {
  for (let hours = 0; hours < 24 * 20; hours += hours < 6 ? 1 : 6) {
    await clock.advance((hours < 6 ? 1 : 6) * HOUR_MS);
    for (let n = 0; n < 50; n += 1) {
      const { nextDueAt } = await storage.queue.sweep({ max: 10_000 });
      if (nextDueAt === undefined || nextDueAt > clock.now()) break;
    }
  }
}

async function keysOf(url: string, prefix: string): Promise<string[]> {
  const client = new Redis(url);
  try {
    return await client.keys(`${prefix}:*`);
  } finally {
    client.disconnect();
  }
}

async function someLines(clock: ManualClock): Promise<string[]> {
  await using place = await folder();
  const storage = await FileStorage.open(place.path, { clock, durability: 'process' });
  await fill(storage, clock.now());
  await storage.close();
  return await exported(new PortableFolder(place.path, { clock }));
}

describe('a storage that was imported', () => {
  it.each(['Redis', 'Cluster'])(
    'removes everything at the end of its retention, on a %s',
    async (kind) => {
      const { url } = await sharedRedis();
      const target: RedisTarget = kind === 'Redis' ? url : { nodes: (await sharedCluster()).nodes };
      const clock = new ManualClock();
      const prefix = `test-${randomUUID().slice(0, 8)}`;
      await imported(RedisPortableState.connect(target, { prefix, clock }), await someLines(clock));
      const storage = RedisStorage.connect(target, { prefix, clock });
      await passDays(storage, clock);
      expect(await storage.tenants.list({ limit: 10 })).toEqual({ tenants: [] });
      await storage.close();
      if (kind === 'Redis')
        expect((await keysOf(url, prefix)).filter((key) => !/:system:|:@import$|:@key:/.test(key))).toEqual(
          [],
        );
    },
    120_000,
  );

  it('removes everything at the end of its retention, in a folder', async () => {
    const clock = new ManualClock();
    const lines = await someLines(clock);
    await using place = await folder();
    await imported(new PortableFolder(place.path, { clock }), lines);
    const storage = await FileStorage.open(place.path, { clock, durability: 'process' });
    await passDays(storage, clock);
    expect(await storage.tenants.list({ limit: 10 })).toEqual({ tenants: [] });
    await storage.close();
  }, 120_000);

  it('has the same tasks as one that stays, at the end of all its timers', async () => {
    const clock = new ManualClock();
    const lines = await someLines(clock);
    const { url } = await sharedRedis();
    const prefix = `test-${randomUUID().slice(0, 8)}`;
    await imported(RedisPortableState.connect(url, { prefix, clock }), lines);
    const storage = RedisStorage.connect(url, { prefix, clock });
    const staying = new MemoryStorage({ clock });
    await fill(staying, clock.now());
    const counts = async (one: Storage) => (await one.tasks.counts({ tenantId: 'acme' })).counts;
    for (const one of [storage, staying]) {
      for (let n = 0; n < 50; n += 1) await one.queue.sweep({ max: 1_000 });
    }
    for (let hours = 0; hours < 3; hours += 1) {
      await clock.advance(HOUR_MS);
      for (const one of [storage, staying])
        for (let n = 0; n < 50; n += 1) await one.queue.sweep({ max: 1_000 });
      expect(await counts(storage), `after ${hours + 1} hours`).toEqual(await counts(staying));
    }
    expect((await counts(staying)).failed).toBeGreaterThan(10);
    await storage.close();
  }, 60_000);
});
