import { FaultyProxy, RedisServer } from '@agent-orchestrator/test-servers';
import { RedisPortableState, RedisStorage } from '@agent-orchestrator/redis-adapter';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonical } from '../../packages/core/test/portable-records.js';
import { exported, imported } from '../../packages/redis-adapter/test/portable-storage.js';
import { scriptDigest } from './script-digests.js';

const TENANTS = ['a', 'b'];
let redis: RedisServer;
let lines: string[];

beforeAll(async () => {
  redis = await RedisServer.start();
  const storage = RedisStorage.connect(redis.url, { prefix: 'source' });
  for (const tenantId of TENANTS)
    for (let n = 0; n < 10; n += 1) {
      const task = { task_id: `task-${n}`, type: 'work', priority: 4, payload: n, metadata: {} };
      const submission = { task: { ...task, timeoutMs: 60_000, maxAttempts: 3 }, onBusy: 'enqueue' } as const;
      await storage.tasks.submit({ tenantId, submission, maxWaiting: 100 });
    }
  await storage.close();
  lines = await exported(RedisPortableState.connect(redis.url, { prefix: 'source' }));
});
afterAll(() => redis.stop());

describe('a lost reply during an import', () => {
  it.each([
    ['importPortion', 0],
    ['importPortion', 2],
    ['holdImport', 0],
  ] as const)('of %s, after %d bytes, changes nothing', async (script, bytes) => {
    await using proxy = await FaultyProxy.start(redis.port);
    const prefix = `${script}-${bytes}`;
    proxy.cutReplyAfter(bytes, { to: await scriptDigest(script) });
    await imported(RedisPortableState.connect(proxy.url, { prefix }), lines);
    expect(proxy.counters.cutReplies).toBe(1);
    expect(canonical(await exported(RedisPortableState.connect(redis.url, { prefix })))).toEqual(
      canonical(lines),
    );
    const storage = RedisStorage.connect(redis.url, { prefix });
    for (const tenantId of TENANTS)
      expect(await storage.tenants.get({ tenantId })).toMatchObject({ ready: 10, counts: { pending: 10 } });
    await storage.close();
  });
});
