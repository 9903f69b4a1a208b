import { randomUUID } from 'node:crypto';
import type { PortableRecord } from '@agent-orchestrator/core/storage';
import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { Cluster, Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { canonical, recordsOf } from '../../core/test/portable-records.js';
import { RedisPortableState, RedisStorage, type RedisTarget } from '../src/index.js';
import { exported, imported } from './portable-storage.js';

const { signal } = new AbortController();
const RUNS = [{ type: 'work', versions: [1] }];
const newPrefix = () => `test-${randomUUID().slice(0, 8)}`;

function state(target: RedisTarget, prefix: string): RedisPortableState {
  return RedisPortableState.connect(target, { prefix });
}

async function withStorage<T>(
  target: RedisTarget,
  prefix: string,
  act: (storage: RedisStorage) => Promise<T>,
): Promise<T> {
  const storage = RedisStorage.connect(target, { prefix });
  try {
    return await act(storage);
  } finally {
    await storage.close();
  }
}

/** Tasks of three tenants, with sessions, a batch, an idempotency key and usage. */
async function fill(storage: RedisStorage): Promise<void> {
  for (const tenantId of ['a', 'b', 'c']) {
    const task = (n: number) => ({
      task_id: randomUUID(),
      type: 'work',
      priority: n % 10,
      payload: 'x'.repeat(n * 3_000),
      metadata: {},
      timeoutMs: 60_000,
      maxAttempts: 3,
    });
    for (let n = 0; n < 20; n += 1) {
      const session = n % 4 === 0 ? { session_id: `s-${n % 8}` } : {};
      const submission = { task: { ...task(n), ...session }, onBusy: 'enqueue' } as const;
      const idempotency = { key: `k-${n}`, fingerprint: 'f' };
      await storage.tasks.submit({
        tenantId,
        submission,
        maxWaiting: 1_000,
        ...(n % 5 === 0 && { idempotency }),
      });
    }
    const items = [1, 2, 3].map((n) => ({ task: task(n), onBusy: 'enqueue' }) as const);
    const batch = { batchId: randomUUID(), maxInFlight: 1, failFast: false, items };
    await storage.tasks.submitBatch({ tenantId, batch, maxWaiting: 1_000 });
    const message = { message_id: 'm', role: 'user', content: 'hello' } as const;
    await storage.sessions.append({ tenantId, sessionId: 's-0', message });
    await storage.usage.add({ tenantId, id: 'u', model: 'm', operation: 'o', tokens: 1, savedTokens: 0 });
  }
}

/** Parks a task of each tenant, with a journal of several pages and an unread signal. */
async function park(storage: RedisStorage): Promise<void> {
  for (const tenantId of ['a', 'b', 'c']) await storage.tenants.configure({ tenantId, maxRunning: 1 });
  const params = { workerId: 'w', claimId: randomUUID(), max: 3, runs: RUNS, leaseMs: 60_000 };
  for (const { task, token } of await storage.queue.claim(params)) {
    const lease = { tenantId: task.tenant_id, taskId: task.task_id, token };
    for (let n = 0; n < 12; n += 1) {
      const outcome = { ok: true, value: 'y'.repeat(200_000) } as const;
      const create = { name: 'own', maxSteps: 100 };
      const step = { ...lease, journalRev: n, key: `own-${n}`, create };
      await storage.journal.record({ ...step, answer: { kind: 'outcome', outcome } });
    }
    const { tenantId, taskId } = lease;
    await storage.tasks.signal({ tenantId, taskId, name: 'go', payload: 1, signalId: 'i' });
    await storage.queue.settle({ ...lease, settlement: { kind: 'parked', journalRev: 12 } });
  }
}

async function someLines(url: string): Promise<string[]> {
  const prefix = newPrefix();
  await withStorage(url, prefix, async (storage) => {
    await fill(storage);
    await park(storage);
  });
  return exported(state(url, prefix));
}

/** Counters of the tenants, which the records do not have. */
async function countersOf(target: RedisTarget, prefix: string): Promise<unknown> {
  if (typeof target !== 'string') return undefined;
  const client = new Redis(target);
  try {
    const names = ['stored', 'pending', 'processing', 'running', 'seq', 'type', 'large', 'session_sequence'];
    const keys = ['a', 'b', 'c'].map((tenant) => `${prefix}:tasks:{${tenant}}:@meta`);
    return await Promise.all(keys.map((key) => client.hmget(key, ...names)));
  } finally {
    client.disconnect();
  }
}

class Died extends Error {}

/** Records up to one of them, where the process ends. */
async function* until(records: readonly PortableRecord[], end: number): AsyncGenerator<PortableRecord> {
  for (const [at, record] of records.entries()) {
    if (at === end) throw new Died();
    yield record;
  }
}

describe('an import into Redis', () => {
  it.each(['Redis', 'Cluster'])(
    'that died anywhere hides everything on a %s, and is completed by a repeat',
    async (kind) => {
      const { url } = await sharedRedis();
      const target = kind === 'Redis' ? url : { nodes: (await sharedCluster()).nodes };
      const lines = await someLines(url);
      const records = await recordsOf(lines);
      const undisturbed = newPrefix();
      await imported(state(target, undisturbed), lines);
      const counters = await countersOf(target, undisturbed);
      const every = kind === 'Redis' ? 4 : 25;
      for (let first = 0; first < records.length - 1; first += every) {
        const prefix = newPrefix();
        const source = (end: number) => ({ id: 'a-source', records: () => until(records, end) });
        // Twice: the second one goes further.
        for (const end of [first, Math.min(first + 9, records.length - 1)])
          await expect(state(target, prefix).importRecords({ source: source(end), signal })).rejects.toThrow(
            Died,
          );
        await withStorage(target, prefix, (storage) =>
          expect(storage.tasks.counts({ tenantId: 'a' })).rejects.toMatchObject({
            code: 'invalid_request',
            message: expect.stringContaining('whose import has not come to its end') as string,
          }),
        );
        await expect(exported(state(target, prefix))).rejects.toThrow('whose import has not come to its end');
        const other = { id: 'another', records: () => until(records, records.length) };
        await expect(state(target, prefix).importRecords({ source: other, signal })).rejects.toThrow(
          /expected the export whose import was begun, with the SHA-256 a-source, got another one/,
        );
        await state(target, prefix).importRecords({ source: source(records.length), signal });
        expect(await countersOf(target, prefix)).toEqual(counters);
        expect(canonical(await exported(state(target, prefix))), `died at ${first}`).toEqual(
          canonical(lines),
        );
      }
    },
    120_000,
  );

  it('continues where two have begun at the same time', async () => {
    const { url } = await sharedRedis();
    const lines = await someLines(url);
    const prefix = newPrefix();
    const both = await Promise.allSettled([1, 2].map(() => imported(state(url, prefix), lines, 'same')));
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const refused = both.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    // The traces of the import expire, once it is over.
    const client = new Redis(url);
    expect(await client.pttl(`${prefix}:tasks:{a}:@import`)).toBeGreaterThan(60_000);
    client.disconnect();
    // The second one has waited for its turn.
    expect(refused.reason).toMatchObject({ code: 'conflict' });
    expect(canonical(await exported(state(url, prefix)))).toEqual(canonical(lines));
  }, 60_000);

  it('is refused by a storage that holds something, and names its tenants', async () => {
    const { url } = await sharedRedis();
    const lines = await someLines(url);
    const prefix = newPrefix();
    await imported(state(url, prefix), lines);
    await expect(imported(state(url, prefix), lines)).rejects.toMatchObject({
      code: 'conflict',
      message: 'Redis: expected an empty storage, got one with tenants (3): a, b, c',
    });
  });
});

describe('an export of a Cluster', () => {
  it('has a tenant that a crash has left out of the list', async () => {
    const { nodes } = await sharedCluster();
    const prefix = newPrefix();
    await withStorage({ nodes }, prefix, fill);
    const client = new Cluster([...nodes]);
    await client.zrem(`${prefix}:system:{queue}:tenants`, 'b');
    client.disconnect();
    const records = await recordsOf(await exported(state({ nodes }, prefix)));
    const tenants = records.filter(({ kind }) => kind === 'tenant').map(({ tenant_id: id }) => id);
    expect(tenants).toEqual(['a', 'b', 'c']);
  });
});

describe('a storage on Redis in use', () => {
  it('is not exported or filled while workers are alive, which are named', async () => {
    const { url } = await sharedRedis();
    const prefix = newPrefix();
    const lines = await someLines(url);
    await withStorage(url, prefix, async ({ workers }) => {
      await workers.announce({ workerId: 'worker-1', runs: RUNS, leaseMs: 60_000 });
      const busy = /expected a storage that no process uses, got 1 workers that are alive: worker-1: stop/;
      await expect(exported(state(url, prefix))).rejects.toThrow(busy);
      await expect(imported(state(url, prefix), lines)).rejects.toThrow(busy);
      await workers.leave({ workerId: 'worker-1' });
      await imported(state(url, prefix), lines);
    });
  });

  it('is not exported while a lease runs, which is named', async () => {
    const { url } = await sharedRedis();
    const prefix = newPrefix();
    await withStorage(url, prefix, async (storage) => {
      await fill(storage);
      const [claim] = await storage.queue.claim({
        workerId: 'worker-1',
        claimId: randomUUID(),
        max: 1,
        runs: RUNS,
        leaseMs: 60_000,
      });
      await expect(exported(state(url, prefix))).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringMatching(
          new RegExp(
            `got a lease of task ${claim?.task.task_id} of tenant [abc] by worker worker-1, which ends in \\d+ s`,
          ),
        ) as string,
      });
    });
  });
});
