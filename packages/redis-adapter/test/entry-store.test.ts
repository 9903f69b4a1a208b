import { randomUUID } from 'node:crypto';
import { entryStoreConformance } from '@agent-orchestrator/core/conformance';
import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { RedisEntryStore, type RedisTarget } from '../src/index.js';

const SERVERS: readonly (readonly [string, () => Promise<RedisTarget>])[] = [
  ['one Redis', async () => (await sharedRedis()).url],
  ['a Cluster of three', async () => ({ nodes: (await sharedCluster()).nodes })],
];

const newPrefix = () => `test-${randomUUID().slice(0, 8)}`;

describe.each(SERVERS)('RedisEntryStore on %s', (_, serverOf) => {
  it.each(entryStoreConformance)('$name', async (requirement) => {
    const [target, prefix] = [await serverOf(), newPrefix()];
    await requirement.run({
      open: async () => RedisEntryStore.connect(target, { service: 'query', prefix }),
    });
  });

  it('keeps services apart', async () => {
    const [target, prefix] = [await serverOf(), newPrefix()];
    await using query = RedisEntryStore.connect(target, { service: 'query', prefix });
    await using other = RedisEntryStore.connect(target, { service: 'conversation', prefix });
    await query.put({ tenantId: 'acme', changes: [{ key: 'a', value: 1 }] });
    await other.put({ tenantId: 'acme', changes: [{ key: 'a', value: 2 }] });
    const found: unknown[] = [];
    const { signal } = new AbortController();
    for await (const { value } of query.entries({ signal })) found.push(value);
    expect(found).toEqual([1]);
  });
});

describe('RedisEntryStore', () => {
  it('refuses with storage_unavailable while no Redis answers', async () => {
    await using store = RedisEntryStore.connect('redis://127.0.0.1:1', { service: 'query' });
    const put = store.put({ tenantId: 'acme', changes: [{ key: 'a', value: 1 }] });
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it.each([
    ['service', { service: 'a:b' }],
    ['service', { service: '' }],
    ['prefix', { service: 'query', prefix: 'a b' }],
  ])('refuses an invalid %s', (what, options) => {
    expect(() => RedisEntryStore.connect('redis://127.0.0.1:1', options)).toThrow(`${what}: expected`);
  });
});
