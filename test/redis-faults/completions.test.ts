import { GlobalTaskRegistry, type JsonValue, type Task } from '@agent-orchestrator/core';
import { type Settlement } from '@agent-orchestrator/core/storage';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

const tenantId = () => `t-${crypto.randomUUID()}`;

/** A process with a registry, and a spy on its task reads. */
function open() {
  const storage = RedisStorage.connect(server.url, { commandTimeoutMs: 1_000 });
  const types = { has: () => true, checkPayload: () => undefined };
  const registry = new GlobalTaskRegistry({ storage, types });
  const get = vi.spyOn(storage.tasks, 'get');
  onTestFinished(async () => {
    registry.close();
    await storage.close();
  });
  const submit = async (tenant: string, payload: JsonValue = {}) =>
    (await registry.submit({ tenantId: tenant, body: { type: tenant, payload, priority: 2 } })).task.task_id;
  const wait = (tenant: string, taskId: string) => registry.wait({ tenantId: tenant, taskId });
  return { storage, registry, get, submit, wait };
}

type Process = ReturnType<typeof open>;

/** Claims and settles all ready tasks of a tenant. */
async function endAll({ storage }: Process, tenant: string, settlement: Settlement, versions = [1]) {
  const runs = [{ type: tenant, versions }];
  const claimed = await storage.queue.claim({
    workerId: 'w',
    claimId: crypto.randomUUID(),
    max: 100,
    runs,
    leaseMs: 30_000,
  });
  const settled = claimed.map(({ task, token }) =>
    storage.queue.settle({ tenantId: tenant, taskId: task.task_id, token, settlement }),
  );
  expect(new Set(await Promise.all(settled))).toEqual(new Set(claimed.length > 0 ? ['settled'] : []));
}

const done = (result: JsonValue): Settlement => ({ kind: 'completed', result });

/** A process that has waited for a task of the tenant before. */
async function warmCaller(tenant: string, worker: Process): Promise<Process> {
  const caller = open();
  const waiting = caller.wait(tenant, await caller.submit(tenant));
  await endAll(worker, tenant, done(0));
  await waiting;
  caller.get.mockClear();
  return caller;
}

/** Messages on the channels that match a pattern. */
async function collectMessages(pattern: string): Promise<string[]> {
  const client = new Redis(server.url);
  onTestFinished(() => client.disconnect());
  const messages: string[] = [];
  client.on('pmessage', (_pattern, _channel, message: string) => messages.push(message));
  await client.psubscribe(pattern);
  return messages;
}

const asStored = async ({ storage }: Process, tenant: string, { task_id: taskId }: Task) =>
  (await storage.tasks.get({ tenantId: tenant, taskId }))?.task;

describe('waiting for completions', () => {
  it('delivers completions only, of all tenants on one channel, and publishes nothing without a subscriber', async () => {
    const [one, other] = [tenantId(), tenantId()];
    const worker = open();
    const caller = await warmCaller(one, worker);
    const messages = await collectMessages('orchestrator:*');
    const waits = [
      caller.wait(one, await caller.submit(one)),
      caller.wait(other, await caller.submit(other)),
    ];
    await vi.waitFor(() => expect(messages.filter((each) => each.includes(' = ')).length).toBe(1));
    await endAll(worker, one, done(1));
    await endAll(worker, other, done(2));
    expect((await Promise.all(waits)).map(({ result }) => result)).toEqual([1, 2]);
    await worker.storage.wakeupsSettled();
    const ends = messages.filter((each) => each.startsWith(`${one} `) || each.startsWith(`${other} `));
    expect(ends.filter((each) => !each.includes(' = ')).map((each) => each.split(' ')[0])).toEqual([
      one,
      other,
    ]);
    expect(messages.some((each) => each.includes('["C"') || each.includes('["S"'))).toBe(false);
    expect(caller.get).not.toHaveBeenCalled();
  });

  it.each([
    ['a large result', done('x'.repeat(10_000))],
    ['a failure', { kind: 'failed', error: { code: 'workflow_error', message: 'broken', retryable: false } }],
  ] as const)('reads the task after %s', async (_, settlement) => {
    const tenant = tenantId();
    const worker = open();
    const caller = await warmCaller(tenant, worker);
    const waiting = caller.wait(tenant, await caller.submit(tenant, { a: 'ä\u2028"' }));
    await endAll(worker, tenant, settlement);
    const ended = await waiting;
    expect(caller.get).toHaveBeenCalledTimes(1);
    expect(JSON.stringify(ended)).toBe(JSON.stringify(await asStored(worker, tenant, ended)));
  });

  it('has the version of each task, also where versions differ within one step', async () => {
    const tenant = tenantId();
    const worker = open();
    const caller = await warmCaller(tenant, worker);
    const first = caller.wait(tenant, await caller.submit(tenant));
    await endAll(worker, tenant, done({ a: [1] }), [7, 2]);
    expect(await first).toMatchObject({ version: 7, result: { a: [1] } });
    expect(caller.get).not.toHaveBeenCalled();
    const ids = [await caller.submit(tenant), await caller.submit(tenant)];
    const waits = ids.map((taskId) => caller.wait(tenant, taskId));
    const claims = await Promise.all(
      [3, 4].map((version) =>
        worker.storage.queue.claim({
          workerId: `w${version}`,
          claimId: crypto.randomUUID(),
          max: 1,
          runs: [{ type: tenant, versions: [version] }],
          leaseMs: 30_000,
        }),
      ),
    );
    await Promise.all(
      claims.flat().map(({ task, token }) =>
        worker.storage.queue.settle({
          tenantId: tenant,
          taskId: task.task_id,
          token,
          settlement: done(1),
        }),
      ),
    );
    const ended = await Promise.all(waits);
    expect(new Set(ended.map(({ version }) => version))).toEqual(new Set([3, 4]));
    for (const task of ended) expect(task).toEqual(await asStored(worker, tenant, task));
    expect(caller.get).not.toHaveBeenCalled();
  });

  it('returns results that look like other parts of a log entry', async () => {
    const tenant = tenantId();
    const worker = open();
    const caller = await warmCaller(tenant, worker);
    for (const result of [[null, 1, ',null,1]'], '["d","', { D: 1 }, 0, '', false, null, []]) {
      const waiting = caller.wait(tenant, await caller.submit(tenant, { __proto: '\u0000 ' }));
      await endAll(worker, tenant, done(result));
      const ended = await waiting;
      expect(JSON.stringify(ended)).toBe(JSON.stringify(await asStored(worker, tenant, ended)));
    }
    expect(caller.get).not.toHaveBeenCalled();
  });

  it('gives each waiter its own copy of the task', async () => {
    const tenant = tenantId();
    const worker = open();
    const caller = await warmCaller(tenant, worker);
    const taskId = await caller.submit(tenant, { a: [1] });
    const waits = [caller.wait(tenant, taskId), caller.wait(tenant, taskId)];
    await endAll(worker, tenant, done({ b: [2] }));
    const [one, other] = (await Promise.all(waits)) as [Task, Task];
    expect(one).toEqual(other);
    expect(one.payload).not.toBe(other.payload);
    expect(one.result).not.toBe(other.result);
  });

  it('does not disturb a follower of all events that connects and leaves meanwhile', async () => {
    const tenant = tenantId();
    const worker = open();
    const caller = await warmCaller(tenant, worker);
    const follower = open();
    const after = await follower.storage.events.head({ tenantId: tenant });
    const over = new AbortController();
    const received: string[] = [];
    const following = (async () => {
      const log = follower.storage.events.follow({ tenantId: tenant, after, signal: over.signal });
      for await (const event of log) received.push(event.event);
    })();
    for (let n = 0; n < 20; n += 1) {
      const waiting = caller.wait(tenant, await caller.submit(tenant));
      await endAll(worker, tenant, done(n));
      expect(await waiting).toMatchObject({ result: n });
      if (n !== 9) continue;
      await vi.waitFor(() => expect(received.length).toBe(30));
      over.abort();
      await following;
    }
    const each = ['task_created', 'task_started', 'task_completed'];
    expect(received).toEqual(Array.from({ length: 10 }, () => each).flat());
    expect(caller.get).not.toHaveBeenCalled();
  });

  it('receives a completion published while the subscription was cut, and later ones', async () => {
    const tenant = tenantId();
    const worker = open();
    const caller = await warmCaller(tenant, worker);
    for (let n = 0; n < 10; n += 1) {
      const waiting = caller.wait(tenant, await caller.submit(tenant));
      await server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
      await endAll(worker, tenant, done(n));
      expect(await waiting).toMatchObject({ status: 'completed', result: n });
    }
  });

  it('wakes waiters in two processes at once', async () => {
    const tenant = tenantId();
    const worker = open();
    const callers = [await warmCaller(tenant, worker), await warmCaller(tenant, worker)];
    const waits: Promise<Task>[] = [];
    for (const caller of callers) waits.push(caller.wait(tenant, await caller.submit(tenant)));
    await endAll(worker, tenant, done(1));
    expect((await Promise.all(waits)).map(({ result }) => result)).toEqual([1, 1]);
    for (const { get } of callers) expect(get).not.toHaveBeenCalled();
  });

  it('drops a waiting process that has not renewed its interest for a minute', async () => {
    const tenant = tenantId();
    const worker = open();
    await warmCaller(tenant, worker);
    const meta = `orchestrator:tasks:{${tenant}}:@meta`;
    const [process] = String(await server.ask(['HGET', meta, 'awaited'])).split(' ');
    await server.ask(['HSET', meta, 'awaited', `gone 1 ${process} 1`]);
    const messages = await collectMessages('orchestrator:wakeups:*');
    const caller = await warmCaller(tenant, worker);
    await worker.storage.wakeupsSettled();
    expect(messages.filter((each) => each.startsWith(`${tenant} `)).length).toBeGreaterThan(0);
    const awaited = String(await server.ask(['HGET', meta, 'awaited'])).split(' ');
    expect(awaited.length).toBe(2);
    expect(awaited[0]).not.toBe(process);
    expect(caller.get).not.toHaveBeenCalled();
  });
});
