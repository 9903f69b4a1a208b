import { describe, expect, it } from 'vitest';
import { MemoryStorage, Orchestrator } from '../src/index.js';
import { PrefetchedClaims } from '../src/worker/prefetched-claims.js';
import { ManualClock, settled } from './harness.js';

const claimOf = (taskId: string) =>
  ({ task: { tenant_id: 'acme', task_id: taskId } }) as Parameters<PrefetchedClaims['add']>[0];
const named = (taskId: string) => ({ task: { task_id: taskId } });

describe('prefetched claims', () => {
  it('are limited by run time: none at the start, none for long tasks', () => {
    const prefetched = new PrefetchedClaims(400, 10);
    expect(prefetched.capacity).toBe(0);
    prefetched.recordDuration(0.1);
    expect(prefetched.capacity).toBe(400);
    for (let n = 0; n < 200; n += 1) prefetched.recordDuration(10);
    expect(prefetched.capacity).toBe(20);
    for (let n = 0; n < 200; n += 1) prefetched.recordDuration(5_000);
    expect(prefetched.capacity).toBe(0);
  });

  it('are returned in order with their wake-ups, and released after too long a wait', () => {
    const prefetched = new PrefetchedClaims(400, 1);
    for (const [at, taskId] of ['a', 'b', 'c'].entries())
      prefetched.add(claimOf(taskId), { since: at, leasedUntil: 0 });
    prefetched.onWakeup({ tenantId: 'acme', taskId: 'b' });
    prefetched.onWakeup({ tenantId: 'other', taskId: 'a' });
    expect(prefetched.next()).toMatchObject({ claim: named('a'), notified: false });
    expect(prefetched.next()).toMatchObject({ claim: named('b'), notified: true });
    expect(prefetched.takeOlder(1)).toEqual([]);
    expect(prefetched.takeOlder(2)).toMatchObject([named('c')]);
    expect(prefetched.next()).toBeUndefined();
    expect(prefetched.size).toBe(0);
  });

  it('keep their order at any throughput', () => {
    const prefetched = new PrefetchedClaims(400, 1);
    for (let n = 0; n < 5_000; n += 1) {
      prefetched.add(claimOf(`${n}`), { since: n, leasedUntil: 0 });
      if (n < 3) continue;
      expect(prefetched.next()?.claim.task.task_id).toBe(`${n - 3}`);
      expect(prefetched.size).toBe(3);
    }
    prefetched.onWakeup({ tenantId: 'acme', taskId: '4998' });
    expect(prefetched.takeOlder(4_997)).toMatchObject([named('4997')]);
    expect(prefetched.next()).toMatchObject({ claim: named('4998'), notified: true });
  });
});

describe('a worker with prefetched tasks', () => {
  async function start() {
    const clock = new ManualClock();
    const storage = new MemoryStorage({ clock });
    const orchestrator = new Orchestrator({ clock, storage, concurrency: 2, prefetch: 50 });
    const hold: (() => void)[] = [];
    const running = { now: 0, most: 0 };
    orchestrator.workflow('short', async () => 'done');
    orchestrator.workflow('long', async () => {
      running.now += 1;
      running.most = Math.max(running.most, running.now);
      await new Promise<void>((resolve) => hold.push(resolve));
      running.now -= 1;
      return 'done';
    });
    const acme = orchestrator.tenant('acme');
    // Short ones first: from then on some tasks are prefetched.
    for (let n = 0; n < 10; n += 1) await acme.tasks.submit({ type: 'short', payload: n });
    await orchestrator.start();
    await settled();
    for (let n = 0; n < 20; n += 1) await acme.tasks.submit({ type: 'long', payload: n });
    await settled();
    return { clock, storage, orchestrator, acme, hold, running };
  }

  it('runs no more than its slots at once, and all tasks in the end', async () => {
    const { orchestrator, acme, hold, running } = await start();
    expect(orchestrator.stats().worker?.prefetched).toBeGreaterThan(0);
    for (let n = 0; n < 40; n += 1) {
      hold.shift()?.();
      await settled();
    }
    expect(running.most).toBe(2);
    const { tasks } = await acme.tasks.list({ status: 'completed', limit: 100 });
    expect(tasks).toHaveLength(30);
    await orchestrator.stop({ graceMs: 0 });
  });

  it('releases tasks that wait longer than a poll, and all at its stop, at no cost of an attempt', async () => {
    const { clock, orchestrator, acme, storage } = await start();
    const stats = () => storage.tenants.get({ tenantId: 'acme' });
    expect((await stats()).running).toBeGreaterThan(2);
    const ending = orchestrator.stop({ graceMs: 0 });
    await clock.advance(10_000);
    await ending;
    expect((await stats()).running).toBe(0);
    const { tasks } = await acme.tasks.list({ status: 'pending', limit: 100 });
    expect(tasks).toHaveLength(20);
    expect(tasks.map(({ attempt }) => attempt)).toEqual(tasks.map(() => 0));
  });

  it('reports the begin of a task that ran before, also after it was parked', async () => {
    const clock = new ManualClock();
    const storage = new MemoryStorage({ clock });
    const queue = { ...storage.queue };
    const begun: string[] = [];
    Object.assign(storage.queue, {
      claim: (params: Parameters<typeof queue.claim>[0]) => queue.claim({ ...params, begins: 0 }),
      renew: (params: Parameters<typeof queue.renew>[0]) => {
        for (const lease of params.leases) if (lease.begun) begun.push(lease.taskId);
        return queue.renew(params);
      },
    });
    await using orchestrator = new Orchestrator({ clock, storage, parkAfterMs: 0 });
    orchestrator.workflow('waits', (ctx) => ctx.waitForSignal('go'));
    const { tasks } = orchestrator.tenant('acme');
    await orchestrator.start();
    const { task_id } = await tasks.submit({ type: 'waits' });
    await settled();
    expect(begun).toEqual([]);
    await tasks.signal(task_id, 'go', 'it goes');
    await settled();
    expect(begun).toEqual([task_id]);
    expect(await tasks.get(task_id)).toMatchObject({ status: 'completed', result: 'it goes', attempt: 1 });
  });
});
