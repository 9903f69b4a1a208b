import { sharedRedis } from '@agent-orchestrator/test-servers';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { RedisStorage } from '../src/index.js';

const refused = { code: 'storage_unavailable', retryable: true };

it('fails with storage_unavailable when the nodes form no Cluster, instead of waiting for ever', async () => {
  const { url } = await sharedRedis();
  const storage = RedisStorage.connect({ nodes: [url] }, { commandTimeoutMs: 200 });
  await expect(storage.ping()).rejects.toMatchObject(refused);
  await expect(storage.events.head({ tenantId: 'acme' })).rejects.toMatchObject(refused);
  await storage.close();
});

it('applies its command timeout to a borrowed client without one', async () => {
  const client = new Redis({ port: 1, maxRetriesPerRequest: null, lazyConnect: true });
  client.on('error', () => undefined);
  const storage = RedisStorage.using(client, { commandTimeoutMs: 100 });
  await expect(storage.ping()).rejects.toMatchObject(refused);
  await storage.close();
  client.disconnect();
});
