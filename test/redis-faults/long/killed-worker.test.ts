import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { GlobalTaskRegistry } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from './child-process.js';

const TASKS = Number(process.env['FAULT_TASKS'] ?? 100);
const LEASE_MS = 2_000;
const TAKES_MS = 3_000;
const LIMIT_MS = 60_000;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'killed-worker-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const startedBy = async (worker: Child) =>
  (await worker.entries()).flatMap((entry) => (entry.kind === 'started' ? [entry] : []));

it(`a worker is killed with ${TASKS} running tasks: each runs once more, and none is lost with it`, async () => {
  await using redis = await RedisServer.start({ appendonly: true });
  const target = { target: redis.url, prefix: 'killed', leaseMs: LEASE_MS };
  const options = { ...target, concurrency: 2 * TASKS, takesMs: TAKES_MS };
  const start = (name: string) => new Child({ program: 'held-worker', name, dir, options });
  const workers = [start('first')];
  const [first] = workers as [Child];
  await using storage = RedisStorage.connect(redis.url, { prefix: 'killed' });
  const registry = new GlobalTaskRegistry({ storage });
  try {
    await first.receives('up');
    const tasks = await Promise.all(
      Array.from({ length: TASKS }, () => registry.submit({ tenantId: 'acme', body: { type: 'held' } })),
    );
    const ids = tasks.map(({ task }) => task.task_id).toSorted();
    const signal = AbortSignal.timeout(LIMIT_MS);
    while ((await startedBy(first)).length < TASKS) await pause(20, undefined, { signal });
    const killedAt = Number(process.hrtime.bigint() / 1_000n) / 1_000;
    await first.kill();
    const second = start('second');
    workers.push(second);
    const wait = (taskId: string) => registry.wait({ tenantId: 'acme', taskId, timeoutMs: LIMIT_MS });
    const ended = await Promise.all(ids.map(wait));
    const again = await startedBy(second);
    const lags = again.map(({ at }) => at - killedAt).toSorted((a, b) => a - b);
    console.table({
      'running when its worker was killed': TASKS,
      'run again': again.length,
      'extra runs beyond one each': again.length - TASKS,
      'failed with worker_lost': ended.filter(({ error }) => error?.code === 'worker_lost').length,
      'lease, ms': LEASE_MS,
      'first again after, ms': Math.round(lags[0] ?? 0),
      'last again after, ms': Math.round(lags.at(-1) ?? 0),
      'over lease + 1 s': lags.filter((ms) => ms > LEASE_MS + 1_000).length,
    });
    expect(ended.map(({ status, result }) => ({ status, result }))).toEqual(
      ids.map(() => ({ status: 'completed', result: 2 })),
    );
    expect(again.map(({ task }) => task).toSorted()).toEqual(ids);
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
  }
});
