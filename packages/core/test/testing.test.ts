import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineWorkflow, OrchestratorError } from '../src/index.js';
import { LATER, ManualClock, ScriptedService, TestOrchestrator } from '../src/testing/index.js';

const DAY = 24 * 60 * 60_000;

const refund = defineWorkflow(
  'refund',
  { input: z.object({ order: z.string() }), timeoutMs: 25 * DAY },
  async (ctx, { order }) => {
    const { amount } = await ctx.call<{ amount: number }>('payments', 'refund', { order });
    await ctx.sleep(20 * DAY);
    await ctx.call('mailer', 'send', { order, amount });
    return { refunded: amount, id: ctx.uuid() };
  },
);

describe('ManualClock', () => {
  it('starts where it is told, and fires timers in order as it is moved', async () => {
    const clock = new ManualClock(new Date('2026-03-01T00:00:00Z'));
    expect([clock.now(), clock.nextAt]).toEqual([Date.parse('2026-03-01T00:00:00Z'), undefined]);
    const fired: [string, number][] = [];
    const start = clock.now();
    const note = (name: string) => () => fired.push([name, clock.now() - start]);
    clock.after(20, note('b'));
    clock.after(10, () => {
      note('a')();
      clock.after(5, note('within'));
    });
    clock.after(20, note('c'));
    const cancel = clock.after(15, note('cancelled'));
    cancel();
    expect(clock.nextAt).toBe(start + 10);
    await clock.advance(19);
    expect(fired).toEqual([
      ['a', 10],
      ['within', 15],
    ]);
    await clock.advance(1);
    expect(fired.slice(2)).toEqual([
      ['b', 20],
      ['c', 20],
    ]);
    expect(clock.now() - start).toBe(20);
  });
});

describe('TestOrchestrator', () => {
  it('runs a workflow of weeks at once, with scripted services, the same in each run', async () => {
    const run = async () => {
      const payments = new ScriptedService({ refund: { amount: 5 } });
      const mailer = new ScriptedService({ send: ({ order }: { order: string }) => `sent ${order}` });
      await using test = await TestOrchestrator.start({ services: { payments, mailer } }, (orchestrator) =>
        orchestrator.workflow(refund),
      );
      const startedAt = test.clock.now();
      const task = await test.tenant.tasks.submit(refund, { order: 'o-1' });
      const { status, result } = await test.ended(task);
      expect(status).toBe('completed');
      expect(payments.inputs('refund')).toEqual([{ order: 'o-1' }]);
      expect(mailer.inputs('send')).toEqual([{ order: 'o-1', amount: 5 }]);
      expect(test.clock.now() - startedAt).toBe(20 * DAY);
      return result;
    };
    const first = await run();
    expect(first).toMatchObject({ refunded: 5 });
    expect(await run()).toEqual(first);
  });

  it('reports outcomes, statuses and failures when the test says so', async () => {
    const slow = new ScriptedService({ work: LATER });
    await using test = await TestOrchestrator.start({ services: { slow } }, (orchestrator) =>
      orchestrator.workflow('waits', (ctx) => ctx.call('slow', 'work', {}, { retry: { maxAttempts: 1 } })),
    );
    const task = await test.tenant.tasks.submit({ type: 'waits' });
    expect((await test.reached(task, 'parked')).status).toBe('processing');
    await slow.progress('half', { percent: 50 });
    expect((await slow.complete({ done: true })).outcome).toBe('applied');
    expect((await test.ended(task)).result).toEqual({ done: true });
    const failing = await test.tenant.tasks.submit({ type: 'waits' });
    await test.reached(failing, 'parked');
    await slow.fail('no paper');
    expect((await test.ended(failing)).error).toMatchObject({ code: 'service_error', retryable: false });
  });

  it('replies by a sequence, with errors and retries', async () => {
    const busy = new OrchestratorError('service_unavailable', 'busy', { retryable: true });
    const flaky = new ScriptedService({ work: [busy, busy, 'third', 'fourth'] });
    await using test = await TestOrchestrator.start({ services: { flaky } }, (orchestrator) =>
      orchestrator.workflow('again', (ctx) => ctx.call('flaky', 'work', 1)),
    );
    const results: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      results.push((await test.ended(await test.tenant.tasks.submit({ type: 'again' }))).result);
    }
    expect(results).toEqual(['third', 'fourth', 'fourth']);
    expect(flaky.calls).toHaveLength(5);
  });

  it('says what a task waits for that does not end', async () => {
    await using test = await TestOrchestrator.start({}, (orchestrator) =>
      orchestrator
        .workflow('stuck', { timeoutMs: 30 * DAY }, (ctx) => ctx.waitForSignal('go'))
        .workflow('foreign', { timeoutMs: 30 * DAY }, () => new Promise(() => {})),
    );
    const task = await test.tenant.tasks.submit({ type: 'stuck' });
    await expect(test.reached(task, 'woken')).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/^task .*: expected state woken, got failed: /),
    });
    await expect(test.ended({ task_id: crypto.randomUUID() })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('refuses an operation that has no script, and a report without a call', async () => {
    const some = new ScriptedService({ one: 1 });
    expect(() => some.complete(1)).toThrow('expected a call to report on, got none yet');
    await using test = await TestOrchestrator.start({ services: { some } }, (orchestrator) =>
      orchestrator.workflow('other', (ctx) => ctx.call('some', 'two')),
    );
    const { error } = await test.ended(await test.tenant.tasks.submit({ type: 'other' }));
    expect(error).toMatchObject({
      code: 'invalid_request',
      message: 'expected one of the operations one; got "two"',
    });
  });

  it('stops with a workflow that never ends', async () => {
    const test = await TestOrchestrator.start({}, (orchestrator) =>
      orchestrator.workflow('endless', () => new Promise(() => {})),
    );
    await test.reached(await test.tenant.tasks.submit({ type: 'endless' }), 'leased');
    await test.stop();
  });
});
