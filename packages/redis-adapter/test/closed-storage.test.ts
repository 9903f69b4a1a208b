import { RedisServer } from '@agent-orchestrator/test-servers';
import { expect, it } from 'vitest';
import { RedisStorage } from '../src/index.js';

it('a closed storage rejects a settlement with storage_unavailable, and never throws synchronously', async () => {
  const server = await RedisServer.start();
  try {
    const storage = RedisStorage.connect(server.url);
    await storage.ping();
    await storage.close();
    const settlement = { kind: 'completed', result: null } as const;
    const settled = storage.queue.settle({ tenantId: 't', taskId: 'a', token: 'b', settlement });
    await expect(settled).rejects.toMatchObject({ code: 'storage_unavailable' });
  } finally {
    await server.stop();
  }
});
