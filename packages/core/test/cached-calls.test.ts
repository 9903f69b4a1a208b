import { z } from 'zod';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accepted, answered, type Orchestrator, OrchestratorError, type ServiceCall } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

const RANGE = { from: '2026-01-01', to: '2026-12-31' };
const ONE_TRY = { retry: { maxAttempts: 1 } } as const;

/** An orchestrator with a service `query`, and `ask`, which calls it once. */
async function started(
  run: (call: ServiceCall) => unknown,
  cache: object = { operations: { query: { ttlMs: 60_000 } } },
): Promise<{ orchestrator: Orchestrator; ask: (input: object, tenant?: string) => Promise<unknown> }> {
  const orchestrator = h.another({ services: { query: { run, cache } as never } });
  orchestrator.workflow('ask', async (ctx, input) => ctx.call('query', 'query', input as object, ONE_TRY));
  await orchestrator.start();
  const ask = async (input: object, tenant = 'acme') => {
    const { task_id } = await orchestrator
      .tenant(tenant)
      .tasks.submit({ type: 'ask', payload: input, max_attempts: 1 });
    for (let turn = 0; turn < 50; turn += 1) {
      await settled();
      const task = await orchestrator.tenant(tenant).tasks.get(task_id);
      if (task.status === 'completed') return task.result;
      if (task.status === 'failed') return task.error;
    }
    return 'pending';
  };
  return { orchestrator, ask };
}

describe('a service with cached operations', () => {
  it('is called once for the same input of a tenant; cached answers are marked, free, and counted as saved', async () => {
    const calls: ServiceCall[] = [];
    const { orchestrator, ask } = await started((call) => {
      calls.push(call);
      return answered({ answer: `no ${calls.length}` }, { tokens: 812, model: 'gpt' });
    });
    const ended: unknown[] = [];
    orchestrator.on('callEnded', ({ outcome, cached }) => ended.push([outcome, cached]));
    expect(await ask({ question: 'why?', top_k: 3 })).toEqual({ answer: 'no 1' });
    expect(await ask({ top_k: 3, question: 'why?' })).toEqual({ answer: 'no 1' });
    expect(await ask({ question: 'why?', top_k: 4 })).toEqual({ answer: 'no 2' });
    expect(await ask({ question: 'why?', top_k: 3 }, 'other')).toEqual({ answer: 'no 3' });
    expect(ended).toEqual([
      ['completed', undefined],
      ['completed', true],
      ['completed', undefined],
      ['completed', undefined],
    ]);
    const [row] = await orchestrator.tenant('acme').usage.sum(RANGE);
    expect(row).toMatchObject({
      operation: 'query.query',
      model: 'gpt',
      tokens: 1_624,
      requests: 3,
      saved_tokens: 812,
    });
    await h.clock.advance(60_000);
    expect(await ask({ question: 'why?', top_k: 3 })).toEqual({ answer: 'no 4' });
    expect(orchestrator.stats().cache).toEqual({ 'query.query': { hits: 1, misses: 4, savedTokens: 812 } });
  });

  it('keeps no result that breaks its contract', async () => {
    let calls = 0;
    const run = () => {
      calls += 1;
      return answered(calls === 1 ? { answer: 7 } : { answer: `no ${calls}` });
    };
    const orchestrator = h.another({
      services: { query: { run, cache: { operations: { query: { ttlMs: 60_000 } } } } as never },
      contracts: { query: { query: { result: z.object({ answer: z.string() }) } } },
    });
    orchestrator.workflow('ask', async (ctx, input) => ctx.call('query', 'query', input as object, ONE_TRY));
    await orchestrator.start();
    const { tasks } = orchestrator.tenant('acme');
    const ends: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      const { task_id } = await tasks.submit({ type: 'ask', payload: { question: 'why?' }, max_attempts: 1 });
      await settled();
      const { result, error } = await tasks.get(task_id);
      ends.push(error?.code ?? result);
    }
    expect(ends).toEqual(['invalid_response', { answer: 'no 2' }, { answer: 'no 2' }]);
  });

  it('forgets the answers of a collection that is invalidated', async () => {
    let calls = 0;
    const { orchestrator, ask } = await started(() => (calls += 1));
    const input = { question: 'why?', collection: 'docs' };
    expect([await ask(input), await ask(input)]).toEqual([1, 1]);
    expect(await orchestrator.cache.invalidate({ tenant: 'acme', collection: 'docs' })).toBe(1);
    expect(await ask(input)).toBe(2);
  });

  it('is called once for calls at the same time, and for each of them when the first has failed', async () => {
    const waiting: ((error?: Error) => void)[] = [];
    const { ask } = await started(
      () =>
        new Promise((resolve, reject) => {
          waiting.push((error) => (error ? reject(error) : resolve('so')));
        }),
    );
    const first = [ask({ n: 1 }), ask({ n: 1 }), ask({ n: 1 })];
    await settled(20);
    expect(waiting).toHaveLength(1);
    waiting[0]?.(new OrchestratorError('forbidden', 'not now'));
    await settled(20);
    expect(waiting).toHaveLength(3);
    waiting.slice(1).forEach((end) => end());
    const answers = await Promise.all(first);
    expect(answers.filter((answer) => answer === 'so')).toHaveLength(2);
    expect(answers).toContainEqual(expect.objectContaining({ code: 'forbidden' }));
  });

  it('is called each time for operations that are not named', async () => {
    let calls = 0;
    const { ask } = await started(() => (calls += 1), { operations: { search: {} } });
    expect([await ask({ n: 1 }), await ask({ n: 1 })]).toEqual([1, 2]);
  });

  it('is called each time when it accepts calls as jobs', async () => {
    let calls = 0;
    const { ask } = await started(() => accepted(`job-${(calls += 1)}`));
    expect([await ask({ n: 1 }), await ask({ n: 1 })]).toEqual(['pending', 'pending']);
    expect(calls).toBe(2);
  });

  it('answers calls of other services from the cache', async () => {
    let calls = 0;
    const { orchestrator } = await started(() => (calls += 1));
    const request = () =>
      orchestrator.gateway.request(
        {
          from: { service: 'agent' },
          tenant_id: 'acme',
          service: 'query',
          operation: 'query',
          input: { question: 'why?' },
        },
        { signal: new AbortController().signal },
      );
    for (let n = 0; n < 2; n += 1) expect(await request()).toEqual({ answer: 'result', result: 1 });
  });

  it.each<[string, unknown]>([
    ['operations', {}],
    ['ttlMs', { operations: { query: { ttlMs: 0 } } }],
    ['per', { operations: { query: { per: 'word' } } }],
    ['Query', { operations: { Query: {} } }],
    ['ttl', { operations: { query: { ttl: 5 } } }],
  ])('is refused with an invalid setting %s', (name, cache) => {
    expect(() => h.another({ services: { query: { run: () => 1, cache } as never } })).toThrow(name);
  });
});

describe('texts to embed', () => {
  /** A service that embeds a text as its length, with what it was asked for. */
  async function embedding(more: { model?: () => string; run?: (call: ServiceCall) => unknown } = {}) {
    const asked: { readonly call_id: string; readonly texts: readonly string[] }[] = [];
    const run = (call: ServiceCall) => {
      const { texts } = call.input as { texts: string[] };
      asked.push({ call_id: call.call_id, texts });
      const replaced = more.run?.(call);
      if (replaced !== undefined) return replaced;
      const model = more.model?.() ?? 'small';
      const vectors = texts.map((text) => [text.length, 0.1]);
      return answered({ vectors, model, dimensions: 2, more: true }, { tokens: 10 * texts.length, model });
    };
    const orchestrator = h.another({
      services: { embedding: { run, cache: { operations: { embed: {} } } } },
    });
    orchestrator.workflow('embed', (ctx, input) => ctx.call('embedding', 'embed', input as object, ONE_TRY));
    await orchestrator.start();
    const embed = async (texts: readonly string[], others: object = {}) => {
      const payload = { texts, ...others } as never;
      const { task_id } = await h.acme.tasks.submit({ type: 'embed', payload, max_attempts: 1 });
      await settled(60);
      const { result, error } = await h.acme.tasks.get(task_id);
      return (error ?? result) as { vectors: number[][]; model: string; code?: string };
    };
    return { orchestrator, asked, embed };
  }

  it('are asked for once each, and the vectors keep their order', async () => {
    const { orchestrator, asked, embed } = await embedding();
    const whole = await embed(['a', 'bb']);
    expect(whole).toEqual({
      vectors: [
        [1, 0.1],
        [2, 0.1],
      ],
      model: 'small',
      dimensions: 2,
      more: true,
    });
    expect(await embed(['ccc', 'bb', 'a', 'dddd', 'ccc'])).toEqual({
      vectors: [
        [3, 0.1],
        [2, 0.1],
        [1, 0.1],
        [4, 0.1],
        [3, 0.1],
      ],
      model: 'small',
      dimensions: 2,
    });
    expect((await embed(['dddd', 'a'])).vectors).toEqual([
      [4, 0.1],
      [1, 0.1],
    ]);
    expect(asked.map(({ texts }) => texts)).toEqual([
      ['a', 'bb'],
      ['ccc', 'dddd'],
    ]);
    expect(new Set(asked.map(({ call_id }) => call_id)).size).toBe(2);
    const [row] = await orchestrator.tenant('acme').usage.sum(RANGE);
    expect(row).toMatchObject({ tokens: 40, requests: 3, saved_tokens: 40 });
  });

  it('have another entry for another model or collection', async () => {
    const { asked, embed } = await embedding();
    for (const others of [{}, { model: 'large' }, { collection: 'docs' }, { dimensions: 3 }])
      await embed(['a'], others);
    await embed(['a'], { model: 'large' });
    expect(asked).toHaveLength(4);
  });

  it('are never answered with vectors of two models', async () => {
    let model = 'old';
    const { asked, embed } = await embedding({ model: () => model });
    await embed(['a', 'bb']);
    model = 'new';
    expect(await embed(['bb', 'ccc'])).toMatchObject({
      model: 'new',
      vectors: [
        [2, 0.1],
        [3, 0.1],
      ],
    });
    expect(asked.map(({ texts }) => texts)).toEqual([['a', 'bb'], ['ccc'], ['bb', 'ccc']]);
    await embed(['bb']);
    expect(asked.at(-1)?.texts).toEqual(['bb']);
    expect(await embed(['bb', 'ccc'])).toMatchObject({ model: 'new' });
    expect(asked).toHaveLength(4);
  });

  it('are asked for as a whole where the service answers otherwise', async () => {
    const { asked, embed } = await embedding({
      run: (call) =>
        (call.input as { texts: string[] }).texts.includes('odd') ? { other: 'form' } : undefined,
    });
    await embed(['a']);
    expect(await embed(['a', 'odd'])).toEqual({ other: 'form' });
    expect(asked.map(({ texts }) => texts)).toEqual([['a'], ['odd'], ['a', 'odd']]);
    expect(await embed(['odd'])).toEqual({ other: 'form' });
  });

  it('fail with the call for those that are missing', async () => {
    let isBroken = false;
    const { embed } = await embedding({
      run: () => {
        if (isBroken) throw new OrchestratorError('forbidden', 'no more');
        return undefined;
      },
    });
    await embed(['a']);
    isBroken = true;
    expect(await embed(['a', 'bb'])).toMatchObject({ code: 'forbidden' });
    expect((await embed(['a'])).vectors).toEqual([[1, 0.1]]);
    isBroken = false;
    expect((await embed(['a', 'bb'])).vectors).toEqual([
      [1, 0.1],
      [2, 0.1],
    ]);
  });

  it('of concurrent calls that have texts in common are asked for once each', async () => {
    const { asked, embed } = await embedding();
    const answers = await Promise.all([embed(['a', 'bb']), embed(['bb', 'ccc']), embed(['ccc', 'a'])]);
    expect(answers.map(({ vectors }) => vectors.map(([length]) => length))).toEqual([
      [1, 2],
      [2, 3],
      [3, 1],
    ]);
    expect(asked.flatMap(({ texts }) => texts).toSorted()).toEqual(['a', 'bb', 'ccc']);
  });
});
