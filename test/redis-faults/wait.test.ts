import { GlobalTaskRegistry } from '@agent-orchestrator/core';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

const tenantId = () => `t-${crypto.randomUUID()}`;

/** A registry, and spies on the reads of its storage. */
function open(url = server.url) {
  const storage = RedisStorage.connect(url, { commandTimeoutMs: 500 });
  const registry = new GlobalTaskRegistry({
    storage,
    types: { has: () => true, checkPayload: () => undefined },
  });
  const get = vi.spyOn(storage.tasks, 'get');
  const follow = vi.spyOn(storage.events, 'followCompletions');
  onTestFinished(async () => {
    registry.close();
    await storage.close();
  });
  return { storage, registry, get, follow };
}

/** The worker process: claims and settles one task. */
async function runOne(storage: RedisStorage, tenant: string, result: unknown): Promise<string> {
  const claimed = await storage.queue.claim({
    workerId: 'w1',
    claimId: crypto.randomUUID(),
    max: 1,
    runs: [{ type: tenant, versions: [1] }],
    leaseMs: 30_000,
  });
  const [claim] = claimed.filter(({ task }) => task.tenant_id === tenant);
  if (!claim) throw new Error('expected a task');
  const settlement = { kind: 'completed', result: result as string } as const;
  await storage.queue.settle({
    tenantId: tenant,
    taskId: claim.task.task_id,
    token: claim.token,
    settlement,
  });
  return claim.task.task_id;
}

describe('waiting for a task on Redis', () => {
  it('returns tasks submitted by this process without a read, except the first one', async () => {
    const tenant = tenantId();
    const { registry, get, follow } = open();
    const worker = open();
    for (let n = 0; n < 5; n += 1) {
      const { task } = await registry.submit({ tenantId: tenant, body: { type: tenant } });
      const waiting = registry.wait({ tenantId: tenant, taskId: task.task_id });
      await runOne(worker.storage, tenant, `result ${n}`);
      const ended = await waiting;
      expect(ended).toMatchObject({ status: 'completed', result: `result ${n}`, version: 1 });
      // A task submitted before the first waiter of this process has to be read.
      expect(get.mock.calls.length).toBe(1);
      const found = await worker.storage.tasks.get({ tenantId: tenant, taskId: task.task_id });
      expect(JSON.stringify(ended)).toBe(JSON.stringify(found?.task));
    }
    expect(follow).toHaveBeenCalledTimes(1);
  });

  it('returns at once for an ended task, and for an unknown one', async () => {
    const tenant = tenantId();
    const { registry, follow } = open();
    const { task } = await registry.register({ tenantId: tenant, type: 'elsewhere' });
    await registry.finish({ tenantId: tenant, taskId: task.task_id, result: 1 });
    expect(await registry.wait({ tenantId: tenant, taskId: task.task_id })).toMatchObject({ result: 1 });
    const absent = registry.wait({ tenantId: tenant, taskId: crypto.randomUUID() });
    await expect(absent).rejects.toMatchObject({ code: 'not_found' });
    expect(follow).not.toHaveBeenCalled();
  });

  it('returns the unended task when the signal fires', async () => {
    const tenant = tenantId();
    const { registry } = open();
    const submit = async () =>
      (await registry.submit({ tenantId: tenant, body: { type: tenant } })).task.task_id;
    for (let n = 0; n < 2; n += 1) {
      const over = new AbortController();
      const waiting = registry.wait({ tenantId: tenant, taskId: await submit(), signal: over.signal });
      setTimeout(() => over.abort(), 20);
      expect(await waiting).toMatchObject({ status: 'pending' });
      const aborted = AbortSignal.abort();
      const soon = registry.wait({ tenantId: tenant, taskId: await submit(), signal: aborted });
      expect(await soon).toMatchObject({ status: 'pending' });
    }
  });

  it('wakes all waiters of two processes while subscriptions are cut continuously', async () => {
    const tenant = tenantId();
    const callers = [open(), open()];
    const worker = open();
    const cutting = setInterval(() => void server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']), 25);
    onTestFinished(() => clearInterval(cutting));
    const waits: Promise<unknown>[] = [];
    for (let n = 0; n < 60; n += 1) {
      const registry = (callers[n % 2] ?? worker).registry;
      const { task } = await registry.submit({ tenantId: tenant, body: { type: tenant } });
      for (const caller of callers)
        waits.push(caller.registry.wait({ tenantId: tenant, taskId: task.task_id }));
      const ended = runOne(worker.storage, tenant, n);
      if (n % 3 === 0) await ended;
      else await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2))]);
      await ended;
    }
    const tasks = (await Promise.all(waits)) as { readonly status: string; readonly result: number }[];
    expect(tasks.every(({ status }) => status === 'completed')).toBe(true);
    expect(tasks.map(({ result }) => result).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 120 }, (_, at) => Math.floor(at / 2)),
    );
  });

  it('survives a restart of a killed server, or fails with storage_unavailable', async () => {
    await using own = await RedisServer.start({ appendonly: true });
    const tenant = tenantId();
    const { registry } = open(own.url);
    const worker = open(own.url);
    const { task } = await registry.submit({ tenantId: tenant, body: { type: tenant } });
    const where = { tenantId: tenant, taskId: task.task_id };
    const waiting = registry.wait(where).catch((error: unknown) => error);
    const meta = `orchestrator:tasks:{${tenant}}:@meta`;
    await vi.waitFor(async () => expect(await own.ask(['HGET', meta, 'awaited'])).toMatch(/ \d+$/));
    await own.ask(['CONFIG', 'SET', 'appendfsync', 'always']);
    await registry.submit({ tenantId: tenant, body: { type: 'other' } });
    await own.kill();
    await own.restart();
    await vi.waitFor(() => runOne(worker.storage, tenant, 'after all'), 60_000);
    const first = await waiting;
    if (first instanceof Error) expect(first).toMatchObject({ code: 'storage_unavailable' });
    const last = first instanceof Error ? await vi.waitFor(() => registry.wait(where), 60_000) : first;
    expect(last).toMatchObject({ status: 'completed', result: 'after all' });
  });

  it('fails with storage_unavailable when it begins during an outage', async () => {
    await using own = await RedisServer.start();
    const { registry } = open(own.url);
    await registry.register({ tenantId: tenantId(), type: 'elsewhere' });
    await own.kill();
    const waiting = registry.wait({ tenantId: tenantId(), taskId: crypto.randomUUID() });
    await expect(waiting).rejects.toMatchObject({ code: 'storage_unavailable' });
  });
});
