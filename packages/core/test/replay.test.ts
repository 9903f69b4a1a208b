import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answered, OrchestratorError, ServiceCallError, StepError } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

async function complete(n: number, result: unknown) {
  const ack = await h.slow.notifyTaskCompletion({
    task_id: `job-${n}`,
    tenant_id: 'acme',
    result,
  });
  await settled();
  return ack.outcome;
}

describe('outcomes', () => {
  it('are delivered in the order of recording, whatever the order of requests', async () => {
    const orders: string[][] = [];
    h.orchestrator.workflow('race', async (ctx) => {
      const order: string[] = [];
      orders.push(order);
      const branch = async (name: string) => {
        await ctx.call('slow', 'work', { name });
        order.push(name);
        return name;
      };
      const first = await Promise.race([branch('a'), branch('b'), branch('c')]);
      await ctx.call('slow', 'work', { name: 'after' });
      return first;
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'race' });
    await settled();
    expect(h.calls).toHaveLength(3);
    for (const n of [2, 3, 1]) expect(await complete(n, n)).toBe('applied');
    await settled();
    expect(h.calls.map((call) => (call.input as { name: string }).name)).toEqual(['a', 'b', 'c', 'after']);
    await complete(4, 4);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'b', attempt: 1 });
    for (const order of orders.slice(1)) expect('bca'.startsWith(order.join(''))).toBe(true);
  });

  it('of a call against a sleep have the same winner in each replay', async () => {
    const winners: string[] = [];
    h.orchestrator.workflow('limit', async (ctx) => {
      const winner = await Promise.race([
        ctx.call('slow', 'work').then(() => 'call'),
        ctx.sleep(1_000).then(() => 'sleep'),
      ]);
      winners.push(winner);
      await ctx.sleep(10);
      return winner;
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'limit' });
    await h.clock.advance(1_000);
    await complete(1, 'too late');
    await h.clock.advance(10);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'sleep' });
    expect(new Set(winners)).toEqual(new Set(['sleep']));
    expect(winners.length).toBeGreaterThan(1);
  });

  it('that are falsy are outcomes like any other', async () => {
    h.orchestrator.workflow('falsy', async (ctx) => [
      await ctx.call('slow', 'zero'),
      await ctx.call('slow', 'empty'),
      await ctx.call('slow', 'none'),
      await ctx.call('slow', 'no'),
    ]);
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'falsy' });
    await settled();
    for (const [n, value] of [0, '', null, false].entries()) await complete(n + 1, value);
    expect((await h.ended(task)).result).toEqual([0, '', null, false]);
  });
});

describe('a replay', () => {
  it('does not repeat calls, runs and appends of the journal', async () => {
    let ran = 0;
    h.orchestrator.workflow('once', async (ctx) => {
      const mine = await ctx.run('own_work', () => (ran += 1));
      await ctx.session.append({ role: 'assistant', content: 'working on it' });
      const [a, b] = await Promise.all([ctx.call('slow', 'one'), ctx.call('slow', 'two')]);
      const c = await ctx.call('slow', 'three', { a, b });
      return { mine, c, ids: [ctx.uuid(), ctx.uuid()], random: ctx.random() };
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'once', session_id: 's' });
    await settled();
    for (const n of [1, 2, 3]) await complete(n, `r${n}`);
    const { result } = await h.ended(task);
    expect(result).toMatchObject({ mine: 1, c: 'r3' });
    expect(ran).toBe(1);
    expect(h.calls.map((call) => call.operation)).toEqual(['one', 'two', 'three']);
    expect((await h.acme.sessions.messages('s')).map((message) => message.content)).toEqual([
      'working on it',
    ]);
  });

  it('draws the same random numbers, ids and time', async () => {
    const drawn: unknown[] = [];
    h.orchestrator.workflow('random', async (ctx) => {
      drawn.push([ctx.random(), ctx.uuid(), ctx.now()]);
      await ctx.sleep(500);
      const after = ctx.now();
      await ctx.sleep(500);
      return after;
    });
    await h.orchestrator.start();
    const start = h.clock.now();
    const task = await h.acme.tasks.submit({ type: 'random' });
    await h.clock.advance(1_500);
    expect((await h.ended(task)).result).toBe(start + 500);
    expect(drawn.length).toBe(3);
    for (const values of drawn) expect(values).toEqual(drawn[0]);
    expect(drawn[0]).toMatchObject([expect.any(Number), expect.stringMatching(/^[0-9a-f-]{36}$/), start]);
  });

  it('emits progress once', async () => {
    h.orchestrator.workflow('told', async (ctx) => {
      await ctx.progress({ message: 'begun' });
      await ctx.call('slow', 'one');
      await ctx.progress({ message: 'one is done', percent: 50 });
      await ctx.call('slow', 'two');
      return null;
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'told' });
    await settled();
    await complete(1, null);
    await complete(2, null);
    const received: unknown[] = [];
    for await (const event of h.acme.events.follow({ task_id: task.task_id })) {
      if (event.event === 'task_status_update')
        received.push((event.data.details as { message: string }).message);
    }
    expect(received).toEqual(['begun', 'one is done']);
  });

  it('of a changed workflow fails the task and names both sides', async () => {
    let changed = false;
    h.orchestrator.workflow('changing', async (ctx) => {
      await ctx.call('slow', changed ? 'new_name' : 'old_name');
      return null;
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'changing' });
    await settled();
    changed = true;
    await complete(1, null);
    await h.clock.advance(5_000);
    const ended = await h.ended(task);
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'workflow_error', retryable: false } });
    expect(ended.error?.message).toContain('slow.old_name');
    expect(ended.error?.message).toContain('slow.new_name');
    expect(h.calls).toHaveLength(1);
  });

  it('with an id of another kind of step fails at once', async () => {
    let changed = false;
    h.orchestrator.workflow('renamed', (ctx) =>
      changed ? ctx.call('slow', 'two', {}, { id: 'x' }) : ctx.call('slow', 'one', {}, { id: 'x' }),
    );
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'renamed' });
    await settled();
    changed = true;
    await complete(1, null);
    expect(await h.ended(task)).toMatchObject({ status: 'failed', error: { code: 'workflow_error' } });
  });

  it('waits for branches with foreign awaits before their next request', async () => {
    let gate: () => void = () => {};
    h.orchestrator.workflow('foreign', async (ctx) => {
      const slowBranch = async () => {
        await new Promise<void>((resolve) => {
          gate = resolve;
          if (ctx.attempt === 1 && h.calls.length === 0) resolve();
        });
        return ctx.call('slow', 'late');
      };
      const results = await Promise.all([ctx.call('slow', 'early'), slowBranch()]);
      await ctx.call('slow', 'end');
      return results;
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'foreign' });
    await settled();
    expect(h.calls.map((call) => call.operation).toSorted()).toEqual(['early', 'late']);
    await complete(1, 1);
    await settled();
    expect(await h.ended(task)).toMatchObject({ status: 'processing' });
    expect(h.calls).toHaveLength(2);
    gate();
    await settled();
    await complete(2, 2);
    gate();
    await settled();
    expect(h.calls).toHaveLength(3);
    await complete(3, 3);
    gate();
    expect((await h.ended(task)).result).toEqual([1, 2]);
  });
});

describe('failures', () => {
  it('of a call throw with code and retryable, and can be caught', async () => {
    h.orchestrator.workflow('careful', async (ctx) => {
      try {
        return await ctx.call('slow', 'work');
      } catch (error) {
        const { code, retryable, message } = error as ServiceCallError;
        return { caught: error instanceof ServiceCallError, code, retryable, message };
      }
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'careful' });
    await settled();
    await h.slow.notifyTaskFailure({ task_id: 'job-1', tenant_id: 'acme', error: 'no such thing' });
    expect((await h.ended(task)).result).toEqual({
      caught: true,
      code: 'service_error',
      retryable: false,
      message: 'no such thing',
    });
  });

  it('that are retryable get new tries with new call ids, three in all, and no other attempt', async () => {
    h.orchestrator.workflow('stubborn', async (ctx) => {
      const first = await ctx.call('slow', 'good');
      return { first, second: await ctx.call('slow', 'bad') };
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'stubborn', max_attempts: 2 });
    await settled();
    await complete(1, 'kept');
    for (const n of [2, 3, 4]) {
      expect(h.calls).toHaveLength(n);
      await h.slow.notifyTaskFailure({
        task_id: `job-${n}`,
        tenant_id: 'acme',
        error: 'busy',
        retryable: true,
      });
      await h.clock.advance(2_000);
    }
    expect(h.calls.slice(1, 4).map((call) => call.attempt)).toEqual([1, 2, 3]);
    expect(new Set(h.calls.map((call) => call.call_id)).size).toBe(4);
    await h.clock.advance(5 * 60_000);
    expect(await h.ended(task)).toMatchObject({
      status: 'failed',
      attempt: 1,
      error: { code: 'service_error', message: 'busy', retryable: false },
    });
    expect(h.calls.map((call) => call.operation)).toEqual(['good', 'bad', 'bad', 'bad']);
  });

  it('that ask for more time than a resend waits are followed by an attempt no earlier', async () => {
    const askedAt: number[] = [];
    h.orchestrator.service('busy', {
      run: () => {
        askedAt.push(h.clock.now());
        if (askedAt.length > 1) return 'served';
        throw new OrchestratorError('rate_limited', 'come back later', { retryAfterMs: 120_000 });
      },
    });
    h.orchestrator.workflow('waits', (ctx) => ctx.call('busy', 'work'));
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'waits' });
    await h.clock.advance(119_000);
    expect(askedAt).toHaveLength(1);
    await h.clock.advance(5_000);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', attempt: 2, result: 'served' });
    expect((askedAt[1] ?? 0) - (askedAt[0] ?? 0)).toBeGreaterThanOrEqual(120_000);
  });

  it('exhaust the attempts', async () => {
    const orchestrator = h.orchestrator;
    orchestrator.service('down', {
      run: () => {
        throw new OrchestratorError('service_error', 'down for good', { retryable: true });
      },
    });
    orchestrator.workflow('hopeless', (ctx) => ctx.call('down', 'work'));
    await orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'hopeless', max_attempts: 3 });
    await h.clock.advance(5 * 60_000);
    const ended = await h.ended(task);
    expect(ended).toMatchObject({ status: 'failed', attempt: 3, error: { code: 'attempts_exhausted' } });
    expect(ended.error?.message).toContain('down for good');
  });

  it('of the function itself fail the task at once', async () => {
    h.orchestrator.workflow('broken', () => {
      throw new TypeError('undefined is not a function');
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'broken' });
    expect(await h.ended(task)).toMatchObject({
      status: 'failed',
      attempt: 1,
      error: { code: 'workflow_error', message: expect.stringContaining('workflow "broken"') },
    });
  });

  it('of an unknown service list the known ones', async () => {
    h.orchestrator.workflow('lost', (ctx) => ctx.call('nowhere', 'work'));
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'lost' });
    const { error } = await h.ended(task);
    expect(error).toMatchObject({ code: 'unknown_service', retryable: false });
    expect(error?.message).toContain('slow');
  });

  it('of a signal that does not arrive in time', async () => {
    h.orchestrator.workflow('impatient', async (ctx) => {
      try {
        return await ctx.waitForSignal('word', { timeoutMs: 1_000 });
      } catch (error) {
        return { code: (error as StepError).code, isStep: error instanceof StepError };
      }
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'impatient' });
    await h.clock.advance(1_000);
    expect((await h.ended(task)).result).toEqual({ code: 'timeout', isStep: true });
  });

  it('of a service that is silent after its 202 lead to a new try', async () => {
    h.orchestrator.workflow('silence', (ctx) => ctx.call('slow', 'work', {}, { timeoutMs: 10_000 }));
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'silence' });
    await h.clock.advance(9_000);
    await h.slow.notifyTaskStatus({ task_id: 'job-1', tenant_id: 'acme', status: 'still here' });
    await h.clock.advance(9_000);
    expect(h.calls).toHaveLength(1);
    await h.clock.advance(4_000);
    expect(h.calls).toHaveLength(2);
    const stale = await h.slow.notifyTaskCompletion({ task_id: 'job-1', tenant_id: 'acme', result: 'old' });
    expect(stale.outcome).toBe('stale');
    await complete(2, 'new');
    expect((await h.ended(task)).result).toBe('new');
  });

  it('of more than 1,000 steps', async () => {
    h.orchestrator.service('quick', { run: () => answered(1) });
    h.orchestrator.workflow('endless', async (ctx) => {
      for (let n = 0; ; n += 1) await ctx.call('quick', 'step', { n });
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'endless' });
    await settled(20_000);
    const ended = await h.ended(task);
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'workflow_error' } });
    expect(ended.error?.message).toContain('1000 steps');
  });

  it('of a result that is too large', async () => {
    h.orchestrator.workflow('large', () => 'x'.repeat(2 * 1024 * 1024));
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'large' });
    expect((await h.ended(task)).error?.code).toBe('result_too_large');
  });
});

describe('signals', () => {
  it('received early are delivered in order', async () => {
    h.orchestrator.workflow('letters', async (ctx) => {
      await ctx.sleep(1_000);
      return [
        await ctx.waitForSignal('letter'),
        await ctx.waitForSignal('letter'),
        await ctx.waitForSignal('other'),
      ];
    });
    await h.orchestrator.start();
    const { task_id } = await h.acme.tasks.submit({ type: 'letters' });
    await settled();
    await h.acme.tasks.signal(task_id, 'other', 'x');
    await h.acme.tasks.signal(task_id, 'letter', 1);
    await h.acme.tasks.signal(task_id, 'letter', 2);
    await h.clock.advance(1_000);
    expect((await h.ended({ task_id })).result).toEqual([1, 2, 'x']);
    await expect(h.acme.tasks.signal(task_id, 'letter', 3)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('are kept up to 100', async () => {
    h.orchestrator.workflow('deaf', (ctx) => ctx.sleep(60_000));
    await h.orchestrator.start();
    const { task_id } = await h.acme.tasks.submit({ type: 'deaf' });
    for (let n = 0; n < 100; n += 1) await h.acme.tasks.signal(task_id, 'ping', n);
    await expect(h.acme.tasks.signal(task_id, 'ping', 100)).rejects.toMatchObject({ code: 'rate_limited' });
  });
});

describe('versions', () => {
  it('a task keeps the version it started with', async () => {
    const result = (version: number) => async (ctx: { call(s: string, o: string): Promise<unknown> }) => {
      await ctx.call('slow', 'work');
      return version;
    };
    h.orchestrator.workflow('v', { version: 1 }, result(1));
    await h.orchestrator.start();
    const old = await h.acme.tasks.submit({ type: 'v' });
    await settled();
    h.orchestrator.workflow('v', { version: 2 }, result(2));
    const fresh = await h.acme.tasks.submit({ type: 'v' });
    await settled();
    await complete(1, null);
    await complete(2, null);
    expect(await h.ended(old)).toMatchObject({ result: 1, version: 1 });
    expect(await h.ended(fresh)).toMatchObject({ result: 2, version: 2 });
  });
});
