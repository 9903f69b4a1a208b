import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Orchestrator, OrchestratorError } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness({ role: 'api' });
});
afterEach(() => h.stop());

const never = () => new Promise<never>(() => {});

describe('a role', () => {
  it('api: accepts tasks, and leaves them to workers', async () => {
    await h.orchestrator.start();
    h.orchestrator.workflow('quick', () => 'done');
    const task = await h.acme.tasks.submit({ type: 'quick' });
    await h.clock.advance(5_000);
    expect(await h.acme.tasks.get(task.task_id)).toMatchObject({ status: 'pending' });
    const worker = h.another({ role: 'worker' });
    worker.workflow('quick', () => 'done');
    await worker.start();
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'done' });
    expect([h.orchestrator.role, worker.role]).toEqual(['api', 'worker']);
  });

  it('api: sweeps, and is healthy without a worker', async () => {
    await h.orchestrator.start();
    h.orchestrator.workflow('quick', () => 1);
    const task = await h.acme.tasks.submit({ type: 'quick', metadata: { timeout_ms: 1_000 } });
    await h.clock.advance(2_000);
    expect(await h.ended(task)).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
    const { ready, checks } = await h.orchestrator.health();
    expect([ready, Object.keys(checks)]).toEqual([true, ['storage', 'sweeper']]);
    expect(h.orchestrator.stats().worker).toBeUndefined();
  });

  it('worker: announces its types in time, for any lease', async () => {
    await h.orchestrator.start();
    const worker = h.another({ role: 'worker', leaseMs: 24 * 3_600_000 });
    worker.workflow('quick', () => 'done');
    await worker.start();
    for (let minutes = 0; minutes < 60; minutes += 1) await h.clock.advance(60_000);
    const task = await h.acme.tasks.submit({ type: 'quick' });
    expect(await h.ended(task)).toMatchObject({ status: 'completed' });
  });

  it('api: accepts types announced within ten minutes, and reads them once a minute', async () => {
    const announce = async () => {
      const worker = h.another({ role: 'worker' });
      worker.workflow('elsewhere', () => 'done');
      await worker.start();
      await worker.stop();
    };
    await announce();
    await h.clock.advance(9 * 60_000);
    const ask = vi.spyOn(h.storage.workers, 'announced');
    const submit = () => h.acme.tasks.submit({ type: 'elsewhere' });
    await submit();
    await h.clock.advance(60_000);
    await submit();
    expect(ask).toHaveBeenCalledTimes(1);
    await h.clock.advance(1);
    await expect(submit()).rejects.toMatchObject({ code: 'unknown_workflow' });
    expect(ask).toHaveBeenCalledTimes(2);
    await announce();
    await submit();
  });

  it('is one of three', () => {
    expect(() => new Orchestrator({ role: 'other' as 'api' })).toThrow(
      /"role": expected one of "all"\|"api"\|"worker"/,
    );
  });
});

describe('a worker', () => {
  it('is healthy with all slots taken, and unhealthy when its claims are not answered', async () => {
    const worker = h.another({ role: 'worker', concurrency: 1 });
    worker.workflow('long', () => never());
    await worker.start();
    h.orchestrator.workflow('long', () => never());
    await h.acme.tasks.submit({ type: 'long' });
    await h.clock.advance(20_000);
    expect((await worker.health()).checks['worker']).toEqual({ ok: true, detail: 'every slot is taken' });
    const idle = h.another({ role: 'worker' });
    await idle.start();
    expect((await idle.health()).ready).toBe(true);
    h.storage.queue.claim = async () => {
      throw new OrchestratorError('storage_unavailable', 'gone');
    };
    await h.clock.advance(20_000);
    expect((await idle.health()).checks['worker']?.ok).toBe(false);
  });

  it.each(['refuses everything', 'answers nothing'] as const)(
    'comes to its end though the storage %s',
    async (how) => {
      const worker = h.another({ role: 'worker' });
      worker.workflow('long', () => never());
      h.orchestrator.workflow('long', () => never());
      await worker.start();
      await h.acme.tasks.submit({ type: 'long' });
      await settled();
      expect(worker.stats().worker?.running).toBe(1);
      const { queue, workers } = h.storage;
      const away = (): Promise<never> =>
        how === 'answers nothing'
          ? never()
          : Promise.reject(new OrchestratorError('storage_unavailable', 'gone'));
      Object.assign(queue, { claim: away, settle: away, sweep: away, renew: away });
      workers.leave = away;
      let stopped = false;
      const stop = worker.stop({ graceMs: 1_000 }).then(() => (stopped = true));
      await h.clock.advance(900);
      expect(stopped).toBe(false);
      await h.clock.advance(5_000);
      expect(stopped).toBe(true);
      await stop;
      for (const method of ['claim', 'settle', 'sweep', 'renew']) Reflect.deleteProperty(queue, method);
      Reflect.deleteProperty(workers, 'leave');
    },
  );

  it('releases the tasks of a claim answered after its end', async () => {
    const worker = h.another({ role: 'worker' });
    let ran = 0;
    worker.workflow('quick', () => (ran += 1));
    h.orchestrator.workflow('quick', () => 1);
    const { queue } = h.storage;
    const claim = queue.claim.bind(queue);
    let answer = () => {};
    queue.claim = async (params) => {
      await new Promise<void>((resolve) => (answer = resolve));
      return claim(params);
    };
    const task = await h.acme.tasks.submit({ type: 'quick' });
    await worker.start();
    await settled();
    const stop = worker.stop({ graceMs: 100 });
    await h.clock.advance(200);
    await stop;
    answer();
    await settled();
    expect(await h.ended(task)).toMatchObject({ status: 'pending', attempt: 0 });
    expect(ran).toBe(0);
    queue.claim = claim;
  });
});

describe('stats', () => {
  it('count completed work', async () => {
    const worker = h.another({ role: 'all', concurrency: 7 });
    worker.workflow('quick', () => 'done');
    worker.workflow('bad', () => Promise.reject(new Error('bad')));
    worker.workflow('slow', (ctx) => ctx.call('slow', 'work'));
    await worker.start();
    for (const type of ['quick', 'quick', 'bad', 'slow']) await worker.tenant('acme').tasks.submit({ type });
    await h.clock.advance(2_000);
    const { worker: stats, sweeper, breakers } = worker.stats();
    expect(stats).toMatchObject({ slots: 7, running: 0, idle: 0, tasksClaimed: 4 });
    expect(stats?.runsEnded).toMatchObject({ completed: 2, failed: 1, parked: 1, abandoned: 0 });
    expect(stats?.claimsSent).toBeGreaterThan(0);
    expect(sweeper.sweeps).toBeGreaterThan(0);
    expect(breakers).toEqual({ slow: 'closed' });
    await h.clock.advance(120_000);
    expect(worker.stats().sweeper.timersFired['step']).toBeGreaterThan(0);
    await worker.hub('slow').receive({ event: 'nonsense' }, { signal: new AbortController().signal });
    expect(worker.stats().notifications).toMatchObject({ invalid: 1, applied: 0 });
  });
});

describe('tenants, as configured by an operator', () => {
  it('are paused and resumed, weighted and limited', async () => {
    const { tenants } = h.orchestrator;
    const worker = h.another({ role: 'all' });
    worker.workflow('quick', () => 'done');
    h.orchestrator.workflow('quick', () => 'done');
    await worker.start();
    expect((await tenants.pause('acme')).settings).toEqual({ weight: 1, paused: true });
    const task = await h.acme.tasks.submit({ type: 'quick' });
    await h.clock.advance(5_000);
    expect(await h.ended(task)).toMatchObject({ status: 'pending' });
    expect(await tenants.get('acme')).toMatchObject({ ready: 1, oldestReadyAt: h.clock.now() - 5_000 });
    await tenants.resume('acme');
    expect(await h.ended(task)).toMatchObject({ status: 'completed' });
    const change = { weight: 5, maxRunning: 2 };
    expect((await tenants.configure('acme', change)).settings).toEqual({ ...change, paused: false });
    expect((await tenants.configure('acme', { maxRunning: null })).settings).toEqual({
      weight: 5,
      paused: false,
    });
    await tenants.configure('globex', {});
    const first = await tenants.list({ limit: 1 });
    expect(first.tenants.map(({ tenantId }) => tenantId)).toEqual(['acme']);
    const second = await tenants.list({ limit: 1, cursor: first.next as string });
    expect([second.tenants[0]?.tenantId, second.next]).toEqual(['globex', undefined]);
  });

  it.each([
    [{ weight: 0 }],
    [{ weight: 101 }],
    [{ weight: 1.5 }],
    [{ maxRunning: 0 }],
    [{ paused: 'yes' as never }],
  ])('refuse %o', async (change) => {
    const { tenants } = h.orchestrator;
    const refused = { code: 'invalid_request' };
    await expect(tenants.configure('acme', change)).rejects.toMatchObject(refused);
    await expect(tenants.pause('not an id')).rejects.toMatchObject(refused);
    await expect(tenants.get('not an id')).rejects.toMatchObject(refused);
    await expect(tenants.list({ limit: 0 })).rejects.toMatchObject(refused);
  });
});
