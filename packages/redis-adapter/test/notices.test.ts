import { Orchestrator } from '@agent-orchestrator/core';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Notice, RedisStorage } from '../src/index.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

/** The first notices of these kinds. */
async function heard(storage: RedisStorage, kinds: readonly string[]): Promise<readonly Notice[]> {
  const missing = new Set(kinds);
  const notices: Notice[] = [];
  for await (const notice of storage.notices({ signal: AbortSignal.timeout(60_000) })) {
    notices.push(notice);
    missing.delete(notice.kind);
    if (missing.size === 0) break;
  }
  expect([...missing]).toEqual([]);
  return notices;
}

describe('notices for operators', () => {
  it('tell of workers, dead letters, tenants at their limit, and what the orchestrator has to say', async () => {
    const storage = RedisStorage.connect(server.url);
    const orchestrator = new Orchestrator({ storage, maxWaiting: 2 });
    orchestrator.workflow('broken', () => {
      throw new Error('broken');
    });
    await orchestrator.start();
    const { tasks } = orchestrator.tenant('acme');
    const { task_id: task } = await tasks.submit({ type: 'broken', max_attempts: 1 });
    expect(await tasks.wait(task)).toMatchObject({ status: 'failed' });
    await orchestrator.stop();

    const intake = new Orchestrator({ storage, role: 'api', maxWaiting: 2 });
    intake.workflow('broken', () => undefined);
    const { tasks: more, batches } = intake.tenant('acme');
    await more.submit({ type: 'broken' });
    await more.submit({ type: 'broken' });
    for (let times = 0; times < 3; times += 1)
      await expect(more.submit({ type: 'broken' })).rejects.toMatchObject({ code: 'queue_full' });
    await expect(batches.submit({ requests: [{ type: 'broken' }] })).rejects.toMatchObject({
      code: 'queue_full',
    });
    storage.tell('breaker_opened', 'service query failed too often', { service: 'query' });

    const kinds = ['worker_joined', 'dead_letter', 'worker_left', 'tenant_at_limit', 'breaker_opened'];
    const notices = await heard(storage, kinds);
    expect(notices.map(({ kind }) => kind)).toEqual(kinds);
    expect(notices[1]).toMatchObject({ tenant: 'acme', task });
    expect(notices[3]).toMatchObject({ tenant: 'acme' });
    expect(notices[4]).toMatchObject({ service: 'query', text: 'service query failed too often' });
    await intake.stop();
    await storage.close();
  });
});
