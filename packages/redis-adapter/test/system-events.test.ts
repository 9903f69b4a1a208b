import { Orchestrator } from '@agent-orchestrator/core';
import type { SystemEvent } from '@agent-orchestrator/core/storage';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisStorage } from '../src/index.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

/** Events until each of these kinds has arrived. */
async function eventsOf(storage: RedisStorage, kinds: readonly string[]): Promise<readonly SystemEvent[]> {
  const missing = new Set(kinds);
  const systemEvents: SystemEvent[] = [];
  for await (const systemEvent of storage.systemEvents.follow({ signal: AbortSignal.timeout(60_000) })) {
    systemEvents.push(systemEvent);
    missing.delete(systemEvent.kind);
    if (missing.size === 0) break;
  }
  expect([...missing]).toEqual([]);
  return systemEvents;
}

describe('RedisStorage.systemEvents.follow', () => {
  it('delivers workers, dead letters, tenants at their limit, and events of the orchestrator', async () => {
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
    storage.systemEvents.publish({
      kind: 'breaker_opened',
      text: 'circuit breaker opened',
      fields: { service: 'query' },
    });

    const kinds = ['worker_joined', 'dead_letter', 'worker_left', 'tenant_at_limit', 'breaker_opened'];
    const systemEvents = await eventsOf(storage, kinds);
    expect(systemEvents.map(({ kind }) => kind)).toEqual(kinds);
    expect(systemEvents[1]).toMatchObject({ tenant: 'acme', task });
    expect(systemEvents[3]).toMatchObject({ tenant: 'acme' });
    expect(systemEvents[4]).toMatchObject({ service: 'query', text: 'circuit breaker opened' });
    await intake.stop();
    await storage.close();
  });
});
