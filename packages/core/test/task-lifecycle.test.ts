import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type WorkflowContext } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness({ limits: { retentionMs: 60_000 } });
});
afterEach(() => h.stop());

/** A workflow that continues on command, and records the state of its signal. */
function gated(type: string) {
  const runs: { readonly ctx: WorkflowContext; readonly go: (result?: unknown) => void }[] = [];
  h.orchestrator.workflow(
    type,
    (ctx) =>
      new Promise((resolve) => {
        runs.push({ ctx, go: resolve });
      }),
  );
  return runs;
}

describe('a lost lease', () => {
  it('reassigns the task to another worker, and writes of the first one have no effect', async () => {
    const runs = gated('work');
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'work' });
    await settled();
    expect(runs).toHaveLength(1);
    // The worker is frozen: its lease keeper does not come to renew, though its time passes.
    const renew = h.storage.queue.renew.bind(h.storage.queue);
    h.storage.queue.renew = async () => [];
    await h.clock.advance(31_000);
    h.storage.queue.renew = renew;
    expect(runs).toHaveLength(2);
    runs[0]?.go('from the frozen one');
    await settled();
    expect(await h.ended(task)).toMatchObject({ status: 'processing', attempt: 2 });
    await h.clock.advance(10_000);
    expect(runs[0]?.ctx.signal.aborted).toBe(true);
    expect(runs[1]?.ctx.signal.aborted).toBe(false);
    runs[1]?.go('from the second');
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'from the second' });
  });

  it('three times fails the task', async () => {
    gated('poison');
    await h.orchestrator.start();
    h.storage.queue.renew = async () => [];
    const task = await h.acme.tasks.submit({ type: 'poison' });
    await h.clock.advance(3 * 31_000);
    expect(await h.ended(task)).toMatchObject({
      status: 'failed',
      error: { code: 'worker_lost', retryable: false },
    });
  });

  it('does not happen to a worker that renews', async () => {
    const runs = gated('long');
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'long' });
    await h.clock.advance(10 * 60_000);
    expect(runs).toHaveLength(1);
    runs[0]?.go('done');
    expect(await h.ended(task)).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it('resends the call in progress, with the same key', async () => {
    const keys: string[] = [];
    let answer: ((result: unknown) => void) | undefined;
    h.orchestrator.service('hanging', {
      timeoutMs: 600_000,
      run: (call) => {
        keys.push(call.call_id);
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    h.orchestrator.workflow('resend', (ctx) => ctx.call('hanging', 'work'));
    await h.orchestrator.start();
    const renew = h.storage.queue.renew.bind(h.storage.queue);
    h.storage.queue.renew = async () => [];
    const task = await h.acme.tasks.submit({ type: 'resend' });
    await h.clock.advance(31_000);
    h.storage.queue.renew = renew;
    expect(keys).toHaveLength(2);
    expect(keys[1]).toBe(keys[0]);
    answer?.('the same');
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'the same' });
  });
});

describe('a deadline', () => {
  it('fails a task in any state', async () => {
    gated('stuck');
    h.orchestrator.workflow('parked', (ctx) => ctx.call('slow', 'work', {}, { timeoutMs: 3_600_000 }));
    await h.orchestrator.start();
    const timeout = { metadata: { timeout_ms: 5_000 } };
    const leased = await h.acme.tasks.submit({ type: 'stuck', ...timeout });
    const parked = await h.acme.tasks.submit({ type: 'parked', ...timeout });
    const run_at = new Date(h.clock.now() + 2_000).toISOString();
    const later = await h.acme.tasks.submit({ type: 'parked', run_at, ...timeout });
    await h.clock.advance(5_500);
    for (const task of [leased, parked]) {
      expect(await h.ended(task)).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
    }
    expect(await h.ended(later)).toMatchObject({ status: 'processing' });
    await h.clock.advance(2_000);
    expect(await h.ended(later)).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
    const late = await h.slow.notifyTaskCompletion({ task_id: 'job-1', tenant_id: 'acme', result: 1 });
    expect(late.outcome).toBe('late');
  });
});

describe('cancelling', () => {
  it('aborts the signal of a running task, which ends by itself', async () => {
    let cleaned = false;
    h.orchestrator.workflow('tidy', async (ctx) => {
      try {
        await ctx.call('slow', 'work');
      } finally {
        cleaned = ctx.signal.aborted;
      }
    });
    const runs = gated('running');
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'running' });
    await settled();
    const cancelling = await h.acme.tasks.cancel(task.task_id, { reason: 'enough' });
    expect(cancelling.status).toBe('processing');
    await settled();
    expect(runs[0]?.ctx.signal.aborted).toBe(true);
    await h.clock.advance(31_000);
    expect(await h.ended(task)).toMatchObject({
      status: 'cancelled',
      error: { code: 'cancelled', message: 'enough' },
    });
    expect(cleaned).toBe(false);
  });

  it('ends at once when the function does', async () => {
    h.orchestrator.workflow('listens', (ctx) => {
      return new Promise((_, reject) => {
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error));
      });
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'listens' });
    await settled();
    await h.acme.tasks.cancel(task.task_id);
    expect(await h.ended(task)).toMatchObject({ status: 'cancelled' });
  });

  it.each([
    ['completed', (): string => 'done'],
    [
      'failed',
      (): never => {
        throw new Error('no');
      },
    ],
  ] as const)('a task that has %s is a conflict, and changes nothing', async (status, run) => {
    h.orchestrator.workflow('quick', run);
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'quick', max_attempts: 1 });
    await settled();
    const before = await h.ended(task);
    await expect(h.acme.tasks.cancel(task.task_id)).rejects.toMatchObject({
      code: 'conflict',
      retryable: false,
      message: expect.stringContaining(status),
      details: { task_status: status },
    });
    expect(await h.ended(task)).toEqual(before);
  });

  it('a cancelled task again returns it unchanged', async () => {
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'query', run_at: '2026-02-01T00:00:00Z' });
    const cancelled = await h.acme.tasks.cancel(task.task_id);
    expect(cancelled.status).toBe('cancelled');
    expect(await h.acme.tasks.cancel(task.task_id)).toEqual(cancelled);
  });
});

describe('priorities', () => {
  it('run 9 before 0, FIFO, and every tenth claim the oldest', async () => {
    const order: string[] = [];
    const orchestrator = h.another({ concurrency: 1 });
    orchestrator.workflow('note', (_, input: { name: string }) => {
      order.push(input.name);
      return null;
    });
    for (let n = 0; n < 3; n += 1) {
      for (const priority of [0, 4, 9])
        await h.acme.tasks.submit({ type: 'query', priority, payload: { n } });
    }
    const submit = (name: string, priority: number) =>
      orchestrator.tenant('other').tasks.submit({ type: 'note', priority, payload: { name } });
    await submit('idle', 0);
    for (let n = 0; n < 12; n += 1) await submit(`urgent-${n}`, 9);
    await submit('normal', 4);
    await orchestrator.start();
    await settled(2_000);
    expect(order.indexOf('idle')).toBe(9);
    expect(order.filter((name) => name !== 'idle')).toEqual([
      ...Array.from({ length: 12 }, (_, n) => `urgent-${n}`),
      'normal',
    ]);
  });

  it('alternate between tenants: a busy one does not block another', async () => {
    const order: string[] = [];
    const orchestrator = h.another({ concurrency: 1 });
    orchestrator.workflow('note', (ctx) => {
      order.push(ctx.tenantId);
      return null;
    });
    for (let n = 0; n < 50; n += 1) await orchestrator.tenant('busy').tasks.submit({ type: 'note' });
    await orchestrator.tenant('small').tasks.submit({ type: 'note' });
    await orchestrator.start();
    await settled(2_000);
    expect(order).toHaveLength(51);
    expect(order.indexOf('small')).toBeLessThan(10);
  });
});

describe('registered tasks', () => {
  it('are tracked, and ended by the outcome of their only call', async () => {
    await h.orchestrator.start();
    const { registry } = h.orchestrator;
    const { task } = await registry.register({
      tenantId: 'acme',
      type: 'external',
      service: 'slow',
      jobId: 'mine',
    });
    expect(task).toMatchObject({
      status: 'processing',
      delegated_services: [{ service: 'slow', task_id: 'mine' }],
    });
    const ack = await h.slow.notifyTaskCompletion({ task_id: 'mine', tenant_id: 'acme', result: [] });
    expect(ack).toMatchObject({ outcome: 'applied', global_task_id: task.task_id });
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: [] });
    const again = await h.slow.notifyTaskCompletion({ task_id: 'mine', tenant_id: 'acme', result: [] });
    expect(again.outcome).toBe('duplicate');
    const other = await h.slow.notifyTaskCompletion({ task_id: 'mine', tenant_id: 'acme', result: [1] });
    expect(other.outcome).toBe('late');
    const foreign = await h.slow.notifyTaskCompletion({ task_id: 'mine', tenant_id: 'globex', result: [1] });
    expect(foreign.outcome).toBe('unknown_task');
  });

  it('are finished once', async () => {
    const { registry } = h.orchestrator;
    const { task } = await registry.register({ tenantId: 'acme', type: 'external' });
    await registry.progress({ tenantId: 'acme', taskId: task.task_id, percent: 50 });
    const done = await registry.finish({ tenantId: 'acme', taskId: task.task_id, result: 0 });
    expect(done).toMatchObject({ status: 'completed', result: 0, progress: { percent: 50 }, rev: 4 });
    const again = await registry.finish({ tenantId: 'acme', taskId: task.task_id, result: 1 });
    expect(again.result).toBe(0);
  });

  it('with a workflow are not finished by finish', async () => {
    h.orchestrator.workflow('own', (ctx) => ctx.sleep(1_000));
    const task = await h.acme.tasks.submit({ type: 'own' });
    await expect(
      h.orchestrator.registry.finish({ tenantId: 'acme', taskId: task.task_id, result: 1 }),
    ).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('a failed task', () => {
  it('is redriven as a new one that keeps the successes', async () => {
    let works = false;
    h.orchestrator.workflow('fragile', async (ctx) => {
      const first = await ctx.call('slow', 'one');
      if (!works) throw new Error('not yet');
      return { first, id: ctx.uuid() };
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'fragile' });
    await settled();
    await h.slow.notifyTaskCompletion({ task_id: 'job-1', tenant_id: 'acme', result: 'kept' });
    expect(await h.ended(task)).toMatchObject({ status: 'failed' });
    works = true;
    const redriven = await h.acme.tasks.redrive(task.task_id);
    expect(redriven).toMatchObject({ redriven_from: task.task_id });
    expect(await h.ended(redriven)).toMatchObject({ status: 'completed', result: { first: 'kept' } });
    expect(h.calls).toHaveLength(1);
    expect(await h.ended(task)).toMatchObject({ status: 'failed' });
  });
});

describe('explain', () => {
  it('explains the state of a task', async () => {
    gated('stuck');
    h.orchestrator.workflow('parked', (ctx) =>
      Promise.all([ctx.call('slow', 'work'), ctx.waitForSignal('word')]),
    );
    await h.orchestrator.start();
    const reason = async (task: { task_id: string }) => (await h.acme.tasks.explain(task.task_id)).reason;
    const running = await h.acme.tasks.submit({ type: 'stuck', session_id: 's' });
    const behind = await h.acme.tasks.submit({ type: 'stuck', session_id: 's' });
    const parked = await h.acme.tasks.submit({ type: 'parked' });
    const later = await h.acme.tasks.submit({ type: 'stuck', run_at: '2026-02-01T00:00:00' });
    await settled();
    expect(await reason(running)).toMatch(/^worker .* runs it, attempt 1$/);
    expect(await reason(behind)).toBe(`session s is busy with task ${running.task_id}`);
    expect(await reason(parked)).toBe('waits for slow.work (job job-1), signal word');
    expect(await reason(later)).toBe('not before 2026-02-01T00:00:00.000Z');
  });
});

describe('retention', () => {
  it('removes a task after its end', async () => {
    h.orchestrator.workflow('quick', () => 'done');
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'quick' });
    await h.clock.advance(59_000);
    expect(await h.ended(task)).toMatchObject({ status: 'completed' });
    await h.clock.advance(2_000);
    await expect(h.acme.tasks.get(task.task_id)).rejects.toMatchObject({ code: 'not_found' });
    expect(await h.acme.tasks.counts()).toMatchObject({ completed: 0 });
  });
});

describe('idempotency', () => {
  it('returns the same task for a key, and a conflict for another body', async () => {
    const key = { idempotencyKey: 'k-1' };
    const first = await h.acme.tasks.submit({ type: 'query', payload: { question: 'a' } }, key);
    const second = await h.acme.tasks.submit({ type: 'query', payload: { question: 'a' } }, key);
    expect(second).toMatchObject({ replayed: true, task: { task_id: first.task.task_id } });
    await expect(
      h.acme.tasks.submit({ type: 'query', payload: { question: 'b' } }, key),
    ).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    expect((await h.acme.tasks.list()).tasks).toHaveLength(1);
    const other = await h.orchestrator.tenant('globex').tasks.submit({ type: 'query', payload: {} }, key);
    expect(other.replayed).toBe(false);
  });
});

describe('a lost lease among several of one claim', () => {
  it('ends the run of its own task only', async () => {
    const runs = gated('many');
    for (let n = 0; n < 3; n += 1) await h.acme.tasks.submit({ type: 'many', payload: { n } });
    await h.orchestrator.start();
    await settled();
    await h.acme.tasks.cancel(runs[1]?.ctx.taskId ?? '');
    await h.clock.advance(31_000);
    expect(runs.map(({ ctx }) => ctx.signal.aborted)).toEqual([false, true, false]);
    runs[0]?.go(0);
    runs[2]?.go(2);
    await settled();
    expect(await h.acme.tasks.counts()).toMatchObject({ completed: 2, cancelled: 1 });
  });
});
