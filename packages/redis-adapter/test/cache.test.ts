import { randomUUID } from 'node:crypto';
import { cachedBytes } from '@agent-orchestrator/core/storage';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RedisStorageOptions } from '../src/index.js';
import { openStorage } from './storage-under-test.js';

const tenantId = 'acme';

async function open(limits: RedisStorageOptions['limits'] = {}) {
  const { url } = await sharedRedis();
  const subject = openStorage(url, { limits });
  const client = new Redis(url);
  onTestFinished(async () => {
    await subject.close();
    client.disconnect();
  });
  const base = `${subject.prefix}:cache:{${tenantId}}`;
  const { cache } = subject.storage;
  const put = async (digest: string, size: number, ttlMs = 60_000) => {
    const computation = { tenantId, digest, token: randomUUID() };
    await cache.claim({ ...computation, kind: 'k', collection: 'docs', leaseMs: 10_000 });
    return cache.put({ ...computation, value: 'x'.repeat(size), tokens: 1, ttlMs });
  };
  /** Bytes as counted, and those of the entries. */
  const bytes = async () => {
    const entries = Object.values(await client.hgetall(`${base}:@entries`));
    const sum = entries.reduce((all, text) => all + (JSON.parse(text) as { bytes: number }).bytes, 0);
    return [Number(await client.hget(`${base}:@sum`, 'bytes')), sum];
  };
  return { ...subject, subject, client, base, cache, put, bytes };
}

describe('cached values on Redis', () => {
  it('are in keys of their tenant, all of which expire', async () => {
    const { client, cache, put, subject } = await open();
    for (let n = 0; n < 5; n += 1) await put(`d${n}`, 100, 3_600_000);
    await cache.claim({ tenantId, digest: 'lease', token: 't', kind: 'k', leaseMs: 10_000 });
    const keys = await client.keys(`${subject.prefix}:cache:*`);
    expect(keys.every((key) => key.startsWith(`${subject.prefix}:cache:{acme}:`))).toBe(true);
    expect(keys).toHaveLength(9);
    for (const key of keys) {
      const life = await client.pttl(key);
      expect([key, life > 3_500_000 && life <= 3_660_000]).toEqual([key, true]);
    }
  });

  it('count exactly what is stored, whatever is stored, replaced, removed, evicted and invalidated', async () => {
    const max = 20 * cachedBytes('docs', 300);
    const { cache, put, bytes, subject } = await open({ maxCacheBytes: max, cachedAtOnce: 4 });
    const sizes = [0, 10, 200, 900, 3_000];
    for (let n = 0; n < 300; n += 1) {
      const digest = `d${(n * 7) % 40}`;
      await put(digest, sizes[n % sizes.length] ?? 0, n % 3 ? 60_000 : 5);
      if (n % 11 === 0) await cache.remove({ tenantId, digest, token: 'of-another' });
      if (n % 17 === 0) await subject.advance(3);
      if (n % 97 === 0) await cache.invalidate({ tenantId, kind: 'none' });
      const [counted, stored] = await bytes();
      expect(counted).toBe(stored);
      expect(counted).toBeLessThanOrEqual(max + 5 * cachedBytes('docs'));
    }
    expect(await cache.invalidate({ tenantId })).toBeGreaterThan(5);
    expect(await bytes()).toEqual([0, 0]);
  });

  it('that have expired are removed a portion a step', async () => {
    const { client, base, put, subject } = await open({ cachedAtOnce: 20 });
    for (let n = 0; n < 100; n += 1) await put(`d${n}`, 1, 1_000);
    await subject.advance(1_000);
    const left: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      const claim = { tenantId, digest: `new${n}`, token: 't', kind: 'k', leaseMs: 10_000 };
      await subject.storage.cache.claim(claim);
      left.push(await client.hlen(`${base}:@entries`));
    }
    expect(left).toEqual([81, 62, 43]);
  });
});
