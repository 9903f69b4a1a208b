import { type JsonValue, Orchestrator } from '@agent-orchestrator/core';
import { type Claim } from '@agent-orchestrator/core/storage';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

const SYSTEM = 'orchestrator:system:{queue}:';
const name = (of: string) => `${of}-${crypto.randomUUID()}`;

function open(): RedisStorage {
  const storage = RedisStorage.connect(server.url, { commandTimeoutMs: 1_000 });
  onTestFinished(() => storage.close());
  return storage;
}

interface Submitted {
  readonly payload?: JsonValue;
  readonly priority?: number;
  readonly session_id?: string;
}

async function submit(storage: RedisStorage, tenantId: string, type = tenantId, more: Submitted = {}) {
  const task = {
    task_id: crypto.randomUUID(),
    type,
    priority: 4,
    payload: {},
    metadata: {},
    timeoutMs: 60_000,
    maxAttempts: 5,
    ...more,
  };
  const submission = { task, onBusy: 'enqueue' } as const;
  const answer = await storage.tasks.submit({ tenantId, submission, maxWaiting: 100 });
  if (!('task' in answer)) throw new Error(answer.answer);
  return answer.task.task_id;
}

/** A waiting claim, once the storage has registered it. */
async function wait(storage: RedisStorage, type: string, workerId = name('w'), leaseMs = 30_000) {
  const over = new AbortController();
  const params = { workerId, claimId: `${workerId}.0`, max: 10, leaseMs };
  // The first claim subscribes the worker.
  await storage.queue.claim({ ...params, runs: [{ type, versions: [1, 3] }] });
  await vi.waitFor(async () => expect(await subscribers(workerId)).toBe(1));
  let claims: readonly Claim[] | undefined;
  const claiming = storage.queue
    .claim({
      ...params,
      claimId: `${workerId}.1`,
      runs: [{ type, versions: [1, 3] }],
      waitMs: 60_000,
      signal: over.signal,
    })
    .then((found) => (claims = found));
  claiming.catch(() => undefined);
  onTestFinished(() => over.abort());
  await vi.waitFor(async () => expect(await marker(workerId)).toContain('\n\t'));
  const ids = async () => (await claiming).map(({ task }) => task.task_id);
  return { workerId, claiming, ids, over, claimedSoFar: () => claims };
}

const marker = async (workerId: string) => String(await server.ask(['GET', `${SYSTEM}claimed:${workerId}`]));
const subscribers = async (workerId: string) =>
  Number(((await server.ask(['PUBSUB', 'NUMSUB', `orchestrator:wakeups:${workerId}@0`])) as unknown[])[1]);

/** Number of claims that took tasks from a queue. */
async function queueClaims(): Promise<number> {
  const stats = String(await server.ask(['INFO', 'commandstats']));
  return Number(/cmdstat_zremrangebyrank:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

const eventsOf = async (storage: RedisStorage, tenantId: string) =>
  (await storage.events.read({ tenantId, after: 'new:0', limit: 100 })).events;

describe('a waiting claim', () => {
  it('leases a handed over task for its own lease duration, beside longer leases', async () => {
    const [storage, tenant] = [open(), name('t')];
    const claimNow = () => {
      const workerId = name('w');
      const runs = [{ type: tenant, versions: [1, 3] }];
      return storage.queue.claim({ workerId, claimId: `${workerId}.0`, max: 1, runs, leaseMs: 60_000 });
    };
    await submit(storage, tenant);
    expect(await claimNow()).toHaveLength(1);
    const waiting = await wait(storage, tenant, name('w'), 200);
    const taskId = await submit(storage, tenant);
    expect(await waiting.ids()).toEqual([taskId]);
    await vi.waitFor(async () => {
      await storage.queue.sweep({ max: 100 });
      expect((await claimNow()).map(({ task }) => task.task_id)).toEqual([taskId]);
    });
  });

  it.each(['small', 'large'])('gets a lone %s task in the step that stores it', async (size) => {
    const [storage, caller, tenant] = [open(), open(), name('t')];
    const waiting = await wait(storage, tenant);
    const before = await queueClaims();
    const payload = { text: size === 'small' ? 'ä\n"' : 'x'.repeat(100_000) };
    const taskId = await submit(caller, tenant, tenant, { payload });
    const [claim] = await waiting.claiming;
    expect(await queueClaims()).toBe(before);
    const task = (await storage.tasks.get({ tenantId: tenant, taskId }))?.task;
    expect(claim).toEqual({
      task: { ...task, payload },
      prefetched: false,
      inherited: 0,
      token: `${waiting.workerId}.1`,
      version: 3,
      startedAt: Date.parse(task?.updated_at ?? ''),
      seed: taskId,
      steps: [],
      journalRev: 0,
      replayedTo: 0,
    });
    expect(task).toMatchObject({ status: 'processing', attempt: 1, rev: 2, version: 3 });
    const settlement = { kind: 'completed', result: 1 } as const;
    const where = { tenantId: tenant, taskId, token: claim?.token ?? '' };
    expect(await storage.queue.settle({ ...where, settlement })).toBe('settled');
    expect((await eventsOf(caller, tenant)).map(({ event, rev }) => [event, rev])).toEqual([
      ['task_created', 1],
      ['task_started', 2],
      ['task_completed', 3],
    ]);
    const { counts } = await storage.tasks.counts({ tenantId: tenant });
    expect(counts).toEqual({ pending: 0, processing: 0, completed: 1, failed: 0, cancelled: 0 });
    expect(await storage.queue.claim({ ...lastOf(waiting.workerId, tenant), max: 10 })).toEqual([]);
  });

  it('claims at the wakeup a task that is not handed over: of a session, or behind others', async () => {
    const [storage, caller, tenant] = [open(), open(), name('t')];
    const first = await wait(storage, tenant);
    await caller.sessions.create({ tenantId: tenant, sessionId: 's', context: {} });
    const inSession = await submit(caller, tenant, tenant, { session_id: 's' });
    expect(await first.ids()).toEqual([inSession]);
    await submit(caller, tenant, 'unclaimed');
    const second = await wait(storage, tenant);
    const behind = await submit(caller, tenant);
    expect(await second.ids()).toEqual([behind]);
  });

  it('gets no task of a tenant that is paused or at its limit', async () => {
    const [storage, caller, tenant] = [open(), open(), name('t')];
    await caller.tenants.configure({ tenantId: tenant, maxRunning: 1 });
    const first = await wait(storage, tenant);
    const taskId = await submit(caller, tenant);
    expect(await first.ids()).toEqual([taskId]);
    const second = await wait(storage, tenant);
    const next = await submit(caller, tenant);
    await storage.wakeupsSettled();
    expect(second.claimedSoFar()).toBeUndefined();
    const token = `${first.workerId}.1`;
    await storage.queue.settle({
      tenantId: tenant,
      taskId,
      token,
      settlement: { kind: 'completed', result: 1 },
    });
    expect(await second.ids()).toEqual([next]);
    const paused = name('t');
    await caller.tenants.configure({ tenantId: paused, paused: true });
    const third = await wait(storage, paused);
    const late = await submit(caller, paused);
    await storage.wakeupsSettled();
    expect(third.claimedSoFar()).toBeUndefined();
    await caller.tenants.configure({ tenantId: paused, paused: false });
    expect(await third.ids()).toEqual([late]);
  });

  it('shares tasks with others: each claim gets one, the longest waiting first', async () => {
    const [storage, caller, tenant] = [open(), open(), name('t')];
    const waiting = [await wait(storage, tenant), await wait(storage, tenant), await wait(open(), tenant)];
    const ids = [await submit(caller, tenant), await submit(caller, tenant), await submit(caller, tenant)];
    expect(await Promise.all(waiting.map((each) => each.ids()))).toEqual(ids.map((id) => [id]));
  });

  it('gets no task while its worker is not subscribed', async () => {
    const [storage, caller, tenant] = [open(), open(), name('t')];
    const { workerId } = await wait(storage, tenant);
    await storage.close();
    await vi.waitFor(async () => expect(await subscribers(workerId)).toBe(0));
    expect(await marker(workerId)).toContain('\n\t');
    const taskId = await submit(caller, tenant);
    expect((await caller.tasks.get({ tenantId: tenant, taskId }))?.task.status).toBe('pending');
    const claims = await caller.queue.claim(lastOf(name('w'), tenant));
    expect(claims.map(({ task }) => task.task_id)).toEqual([taskId]);
  });

  it('repeats the claim for a task handed over while its subscription was cut', async () => {
    const [storage, caller, tenant] = [open(), open(), name('t')];
    const waiting = await wait(storage, tenant);
    const silent = new Redis(server.url);
    onTestFinished(() => silent.disconnect());
    const channel = `orchestrator:wakeups:${waiting.workerId}@0`;
    await server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    await silent.subscribe(channel);
    const taskId = await submit(caller, tenant);
    expect(await waiting.ids()).toEqual([taskId]);
    expect((await caller.tasks.get({ tenantId: tenant, taskId }))?.task).toMatchObject({
      attempt: 1,
      rev: 2,
    });
  });

  it('gets nothing new once its worker stops, except a task handed over, and leaves no keys', async () => {
    const [storage, caller, tenant] = [open(), open(), name('t')];
    const waiting = await wait(storage, tenant);
    waiting.over.abort();
    expect(await waiting.claiming).toEqual([]);
    expect(await server.ask(['EXISTS', `${SYSTEM}claimed:${waiting.workerId}`])).toBe(0);
    const taskId = await submit(caller, tenant);
    expect((await caller.tasks.get({ tenantId: tenant, taskId }))?.task.status).toBe('pending');
    const other = open();
    expect((await other.queue.claim(lastOf(name('w'), tenant))).length).toBe(1);
    const second = await wait(other, tenant);
    const client = new Redis(server.url);
    onTestFinished(() => client.disconnect());
    // The worker stops before the message of the task can arrive.
    const answer = submit(caller, tenant);
    await answer;
    second.over.abort();
    expect((await second.ids()).length).toBe(1);
    const idle = (await client.keys(`${SYSTEM}idle:*`)).map((key) => client.zscore(key, second.workerId));
    expect(await Promise.all(idle)).toEqual(idle.map(() => null));
  });

  it('ends empty after waitMs', async () => {
    const storage = open();
    const claim = { ...lastOf(name('w'), name('t')), waitMs: 50 };
    expect(await storage.queue.claim(claim)).toEqual([]);
    expect(await server.ask(['EXISTS', `${SYSTEM}claimed:${claim.workerId}`])).toBe(0);
  });

  it('under load, with cut subscriptions, runs each task once and every caller gets its result', async () => {
    const ran = new Map<string, number>();
    const storages = [open(), open(), open()];
    const workers = storages.map((storage) => new Orchestrator({ storage, concurrency: 3 }));
    const type = name('t');
    for (const worker of workers) {
      worker.workflow(type, async (ctx) => {
        ran.set(ctx.taskId, (ran.get(ctx.taskId) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, ran.size % 4));
        return ctx.taskId;
      });
      await worker.start();
    }
    const caller = new Orchestrator({ storage: open(), role: 'api' });
    await caller.start();
    const cutting = setInterval(() => void server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']), 150);
    const tenants = [name('t'), name('t')].map((id) => caller.tenant(id).tasks);
    const waits: Promise<unknown>[] = [];
    for (let n = 0; n < 300; n += 1) {
      const own = tenants[n % 2];
      const task = await own?.submit({ type });
      waits.push(own?.wait(task?.task_id ?? '') ?? Promise.resolve());
      if (n % 3 === 0) await new Promise((resolve) => setTimeout(resolve, n % 7));
    }
    const tasks = (await Promise.all(waits)) as { task_id: string; result: string; attempt: number }[];
    clearInterval(cutting);
    for (const { task_id: id, result, attempt } of tasks) expect([result, attempt]).toEqual([id, 1]);
    expect(ran.size).toBe(300);
    expect([...ran.values()].every((times) => times === 1)).toBe(true);
    await Promise.all([...workers, caller].map((each) => each.stop()));
  });
});

function lastOf(workerId: string, type: string) {
  return { workerId, claimId: `${workerId}.9`, max: 10, leaseMs: 30_000, runs: [{ type, versions: [1] }] };
}
