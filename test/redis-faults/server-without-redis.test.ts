import { Orchestrator } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { expect, it, vi } from 'vitest';

const KEY = 'key-of-acme';
/** Text that no caller may read. */
const INSIDE = /127\.0\.0\.1|ECONN|ioredis|evalsha|Redis connection/i;

it('a server whose Redis is killed answers 503 to every request, and recovers when Redis is back', async () => {
  await using redis = await RedisServer.start({ appendonly: true });
  await using storage = RedisStorage.connect(redis.url, { commandTimeoutMs: 2_000 });
  const orchestrator = new Orchestrator({ storage }).workflow('echo', (_, input) => input);
  const identities = createIdentities({ apiKeys: [{ tenant: 'acme', key: KEY }] });
  await using server = await new OrchestratorServer(orchestrator, { identities }).listen(0);
  const ask = (path: string, body?: object, key?: string) =>
    fetch(server.url + path, {
      method: body ? 'POST' : 'GET',
      headers: {
        authorization: `Bearer ${KEY}`,
        'content-type': 'application/json',
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  const task = { type: 'echo', payload: { a: 1 } };
  const before = await ask('/v1/tasks', task, 'before');
  expect(before.status).toBe(202);
  const { task_id } = (await before.json()) as { task_id: string };

  await redis.kill();
  const refused = [
    ask('/v1/tasks', task, 'before'),
    ask('/v1/tasks', task, 'meanwhile'),
    ask('/v1/chat', { message: 'hello' }),
    ask('/v1/sessions', {}),
    ask('/v1/batch', { requests: [task] }),
    ask(`/v1/tasks/${task_id}/cancel`, {}),
    ask(`/v1/tasks/${task_id}`),
    ask('/v1/tasks'),
    ask('/v1/usage?from=2026-01-01&to=2026-12-31'),
    ask('/health/ready'),
  ];
  for (const answer of await Promise.all(refused)) {
    const text = await answer.text();
    expect([answer.url, answer.status, text]).toEqual([answer.url, 503, expect.not.stringMatching(INSIDE)]);
    if (!answer.url.includes('/health/')) expect(text).toContain('"storage_unavailable"');
  }
  expect((await ask('/health/live')).status).toBe(200);

  await redis.restart();
  await vi.waitFor(async () => expect((await ask('/health/ready')).status).toBe(200), 60_000);
  const again = await ask('/v1/tasks', task, 'before');
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(await again.json()).toMatchObject({ task_id });
  const after = (await (await ask('/v1/tasks', task, 'meanwhile')).json()) as { task_id: string };
  const ended = await orchestrator.tenant('acme').tasks.wait(after.task_id);
  expect(ended).toMatchObject({ status: 'completed', result: { a: 1 } });
});
