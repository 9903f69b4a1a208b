import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answered, type UsageSum } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

const PRICES = { gpt: { prompt: 2, completion: 10, cached: 0.5 }, '*': { prompt: 1 } };

let h: Harness;
beforeEach(async () => {
  h = harness({ prices: PRICES });
  await h.orchestrator.start();
});
afterEach(() => h.stop());

const sums = (...by: ('model' | 'operation' | 'user' | 'task' | 'session')[]): Promise<readonly UsageSum[]> =>
  h.orchestrator.usage.sum({ tenant: 'acme', by });

const run = async (type: string) => h.ended(await h.acme.tasks.submit({ type }));

/** A service that uses so many tokens a call. */
function model(tokens: number, more: object = {}) {
  let calls = 0;
  h.orchestrator.service('query', {
    run: async () => {
      calls += 1;
      return answered(calls, { tokens, model: 'gpt', ...more });
    },
  });
  return () => calls;
}

describe('the cost of usage', () => {
  it('follows from the prices of prompts, cached prompts and completions', async () => {
    model(1_000_000, { prompt_tokens: 800_000, completion_tokens: 200_000, cached_tokens: 300_000 });
    h.orchestrator.workflow('ask', (ctx) => ctx.call('query', 'query', {}));
    await run('ask');
    const [row] = await sums('model');
    expect(row).toMatchObject({ model: 'gpt', tokens: 1_000_000, cost: 0.5 * 2 + 0.3 * 0.5 + 0.2 * 10 });
  });

  it('of another model is that of "*", and without parts all tokens are a prompt', async () => {
    await h.orchestrator.usage.trackTokenUsage({
      tenant: 'acme',
      tokens: 500_000,
      model: 'm',
      operation: 'embed',
    });
    expect(await sums('model')).toEqual([
      { model: 'm', tokens: 500_000, requests: 1, saved_tokens: 0, cost: 0.5 },
    ]);
  });
});

describe('trackTokenUsage', () => {
  it('adds what a service has used by itself, for its task, once for each call', async () => {
    const { usage } = h.orchestrator;
    h.orchestrator.workflow('wait', (ctx) => ctx.waitForSignal('go'));
    const { task_id } = await h.acme.tasks.submit({
      type: 'wait',
      session_id: 's',
      metadata: { user_id: 'ana' },
    });
    const callId = '5f0c0d0e-1111-4222-8333-444455556666';
    const used = {
      tenant: 'acme',
      tokens: 100,
      model: 'e',
      tokenType: 'embedding' as const,
      operation: 'generate',
      metadata: { service: 'ingestion', task_id, other: true },
      callId,
    };
    await Promise.all([usage.trackTokenUsage(used), usage.trackTokenUsage(used)]);
    expect(await sums('operation', 'session', 'user')).toEqual([
      {
        operation: 'ingestion.generate',
        session: 's',
        user: 'ana',
        tokens: 100,
        requests: 1,
        saved_tokens: 0,
        prompt_tokens: 100,
        cost: 0.0001,
      },
    ]);
    expect((await h.acme.tasks.get(task_id)).usage).toEqual({ tokens: 100 });
    await h.acme.usage.trackTokenUsage({ tokens: 1, operation: 'generate' });
    expect(await sums('model')).toMatchObject([{ model: 'e' }, { model: 'unknown', tokens: 1 }]);
  });

  it.each([
    [{ tokens: -1 }, 'tokens'],
    [{ tokens: 1, operation: 'Not A Name' }, 'operation'],
    [{ tokens: 1, tokenType: 'words' }, 'tokenType'],
    [{ tokens: 1, callId: 'x' }, 'callId'],
    [{ tokens: Number.NaN }, 'tokens'],
  ])('refuses %j with the place of the mistake', async (wrong, path) => {
    const given = { tenant: 'acme', operation: 'o', ...wrong } as never;
    await expect(h.orchestrator.usage.trackTokenUsage(given)).rejects.toMatchObject({
      code: 'invalid_request',
      issues: [{ path }],
    });
    expect(await sums('model')).toEqual([]);
  });
});

describe('a budget', () => {
  it('of a task ends it with budget_exceeded at the call after the one that used it up', async () => {
    const calls = model(60);
    h.orchestrator.workflow('loop', async (ctx) => {
      for (let n = 0; n < 10; n += 1) await ctx.call('query', 'query', { n });
    });
    const handle = await h.acme.tasks.submit({ type: 'loop', budget: { tokens: 100 } });
    const task = await h.ended(handle);
    expect(task).toMatchObject({
      status: 'failed',
      error: { code: 'budget_exceeded', retryable: false },
      budget: { tokens: 100 },
      usage: { tokens: 120 },
      attempt: 1,
    });
    expect(calls()).toBe(2);
  });

  it('of a task can be caught by its workflow, the same in every replay', async () => {
    model(60);
    h.orchestrator.workflow('careful', async (ctx) => {
      const found: string[] = [];
      for (let n = 0; n < 3; n += 1)
        await ctx.call('query', 'query', {}).then(
          () => found.push('ok'),
          (error: { code: string }) => found.push(error.code),
        );
      await ctx.sleep(60_000);
      return found;
    });
    const { task_id } = await h.acme.tasks.submit({ type: 'careful', budget: { tokens: 50 } });
    await settled();
    await h.clock.advance(60_000);
    expect(await h.ended({ task_id })).toMatchObject({
      result: ['ok', 'budget_exceeded', 'budget_exceeded'],
    });
  });

  it('of the tenant refuses with the time of the next period', async () => {
    const { tenants, usage } = h.orchestrator;
    await tenants.configure('acme', { budgets: [{ period: 'day', cost: 1 }] });
    await usage.trackTokenUsage({ tenant: 'acme', tokens: 1_000_000, model: 'm', operation: 'o' });
    h.orchestrator.workflow('echo', () => 1);
    const refused = h.acme.tasks.submit({ type: 'echo' });
    await expect(refused).rejects.toMatchObject({ code: 'budget_exceeded', retryAfterMs: 14 * 3_600_000 });
    await tenants.configure('acme', { budgets: null });
    expect(await run('echo')).toMatchObject({ status: 'completed' });
  });

  it('bounds what services ask of each other for the task', async () => {
    model(60);
    const { gateway } = h.orchestrator;
    h.orchestrator.workflow('wait', (ctx) => ctx.waitForSignal('go'));
    const { task_id } = await h.acme.tasks.submit({ type: 'wait', budget: { tokens: 100 } });
    const request = {
      from: { service: 'agent' },
      tenant_id: 'acme',
      service: 'query',
      operation: 'query',
      input: 1,
      task_id,
    };
    const { signal } = new AbortController();
    expect(await gateway.request(request, { signal })).toMatchObject({ answer: 'result' });
    expect(await gateway.request(request, { signal })).toMatchObject({ answer: 'result' });
    await expect(gateway.request(request, { signal })).rejects.toMatchObject({
      code: 'budget_exceeded',
      retryable: false,
    });
    expect(await sums('task')).toMatchObject([{ task: task_id, tokens: 120, requests: 2 }]);
  });
});

describe('the rates of a tenant', () => {
  it('make the calls of a workflow wait for their turn, without a slot of the worker', async () => {
    const calls = model(1);
    await h.orchestrator.tenants.configure('acme', { rates: { callsPerMinute: { query: 6 } } });
    h.orchestrator.workflow('ask', (ctx) => ctx.call('query', 'query', {}));
    const handles = await Promise.all([1, 2, 3].map(() => h.acme.tasks.submit({ type: 'ask' })));
    await h.clock.advance(5_000);
    await settled();
    expect(calls()).toBe(1);
    expect(h.orchestrator.stats().worker).toMatchObject({ running: 0 });
    await h.clock.advance(20_000);
    for (const { task_id } of handles)
      expect(await h.ended({ task_id })).toMatchObject({ status: 'completed', attempt: 1 });
    expect(calls()).toBe(3);
  });
});
