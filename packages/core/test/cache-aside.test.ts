import { describe, expect, it } from 'vitest';
import { type CacheAsideRequest, MemoryStorage, Orchestrator, OrchestratorError } from '../src/index.js';
import { FileStorage } from '../src/file/file-storage.js';
import { canonicalJson } from '../src/cache/cache-key.js';
import { ManualClock, settled } from './harness.js';
import { folder } from './file/folder.js';
import { forwardingStorage, callOf } from './forwarding-storage.js';

const REQUEST = { tenant: 'acme', kind: 'answer', key: { question: 'why?', top_k: 3 } } as const;
const RANGE = { from: '2026-01-01', to: '2026-12-31' };

function open(from?: MemoryStorage, clock = new ManualClock()) {
  const storage = from ?? new MemoryStorage({ clock });
  const warnings: string[] = [];
  const noop = () => {};
  const logger = { debug: noop, info: noop, error: noop, warn: (text: string) => warnings.push(text) };
  const orchestrator = new Orchestrator({ storage, clock, logger });
  return { orchestrator, cache: orchestrator.cache, storage, clock, warnings };
}

/** A computation that the test ends. */
function pending<V>() {
  const calls: { readonly signal: AbortSignal; resolve(value: V): void; reject(error: Error): void }[] = [];
  const run = ({ signal }: { readonly signal: AbortSignal }) =>
    new Promise<V>((resolve, reject) => calls.push({ signal, resolve, reject }));
  return { calls, run };
}

const many = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make));

describe('getWithCacheAside', () => {
  it('computes once, answers from the cache afterwards, and counts what was saved', async () => {
    const { cache, orchestrator, clock } = open();
    let generated = 0;
    const generate = () => {
      generated += 1;
      return { value: { text: 'so' }, tokens: 812, model: 'gpt' };
    };
    const first = await cache.getWithCacheAside(REQUEST, generate);
    expect(first).toEqual({
      value: { text: 'so' },
      metrics: { hit: 'generated', tokens: 812, model: 'gpt' },
    });
    const key = { top_k: 3, question: 'why?' };
    for (let n = 0; n < 2; n += 1)
      expect(await cache.getWithCacheAside({ ...REQUEST, key }, generate)).toEqual({
        value: { text: 'so' },
        metrics: { hit: 'cache', tokens: 812, model: 'gpt' },
      });
    await clock.advance(24 * 60 * 60_000);
    expect((await cache.getWithCacheAside(REQUEST, generate)).metrics.hit).toBe('generated');
    expect(generated).toBe(2);
    await settled();
    const rows = await orchestrator.tenant('acme').usage.sum(RANGE);
    expect(rows).toMatchObject([
      { model: 'gpt', operation: 'answer', tokens: 0, requests: 2, saved_tokens: 1_624 },
    ]);
    expect(orchestrator.stats().cache).toEqual({ answer: { hits: 2, misses: 2, savedTokens: 1_624 } });
  });

  it.each<[string, Partial<CacheAsideRequest>]>([
    ['tenant', { tenant: 'other' }],
    ['kind', { kind: 'other' }],
    ['collection', { collection: 'docs' }],
    ['key', { key: { question: 'why?', top_k: 4 } }],
    ['order of a list in the key', { key: { question: ['b', 'a'] } }],
  ])('has another entry for another %s', async (_, other) => {
    const { cache } = open();
    if ('key' in other)
      await cache.getWithCacheAside({ ...REQUEST, key: { question: ['a', 'b'] } }, () => ({ value: 0 }));
    await cache.getWithCacheAside(REQUEST, () => ({ value: 1 }));
    const answer = await cache.getWithCacheAside({ ...REQUEST, ...other }, () => ({ value: 2 }));
    expect(answer).toMatchObject({ value: 2, metrics: { hit: 'generated', tokens: 0 } });
  });

  it('asks the store of the application first, and keeps its value', async () => {
    const { cache } = open();
    const asked: string[] = [];
    const found = { value: 'stored', tokens: 5 };
    const load = (id: string, answer?: typeof found) => () => {
      asked.push(id);
      return answer;
    };
    const generate = () => ({ value: 'made' });
    const get = (key: string, answer?: typeof found) =>
      cache.getWithCacheAside({ ...REQUEST, key, load: load(key, answer) }, generate);
    expect(await get('a', found)).toMatchObject({ value: 'stored', metrics: { hit: 'load', tokens: 5 } });
    expect(await get('a', found)).toMatchObject({ value: 'stored', metrics: { hit: 'cache', tokens: 5 } });
    expect(await get('b')).toMatchObject({ value: 'made', metrics: { hit: 'generated' } });
    expect(asked).toEqual(['a', 'b']);
  });

  it('computes once for 1,000 concurrent callers in memory and in a folder', async () => {
    await using place = await folder();
    const file = await FileStorage.open(place.path, { durability: 'process' });
    for (const storage of [new MemoryStorage(), file]) {
      const orchestrator = new Orchestrator({ storage });
      let generated = 0;
      const answers = await many(1_000, () =>
        orchestrator.cache.getWithCacheAside(REQUEST, async () => {
          generated += 1;
          await new Promise((resolve) => setTimeout(resolve, 20));
          return { value: { n: generated }, tokens: 10 };
        }),
      );
      expect(generated).toBe(1);
      expect(answers.filter(({ metrics }) => metrics.hit === 'generated')).toHaveLength(1);
      expect(new Set(answers.map(({ value }) => JSON.stringify(value)))).toEqual(new Set(['{"n":1}']));
      expect(new Set(answers.map(({ value }) => value)).size).toBe(1_000);
      await orchestrator.stop();
    }
    await file.close();
  });

  it('rejects the caller whose computation fails, and lets the next one compute', async () => {
    const { cache } = open();
    const work = pending<{ value: string }>();
    const callers = Array.from({ length: 3 }, () => cache.getWithCacheAside(REQUEST, work.run));
    const outcomes = Promise.allSettled(callers);
    await settled();
    expect(work.calls).toHaveLength(1);
    work.calls[0]?.reject(new Error('first'));
    await settled();
    expect(work.calls).toHaveLength(2);
    work.calls[1]?.resolve({ value: 'second' });
    expect((await outcomes).map(({ status }) => status).toSorted()).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
    ]);
    expect(await cache.getWithCacheAside(REQUEST, work.run)).toMatchObject({ value: 'second' });
    expect(work.calls).toHaveLength(2);
  });

  it('calls a failing computation once for each caller', async () => {
    const { cache } = open();
    let generated = 0;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () =>
        cache.getWithCacheAside(REQUEST, async () => {
          generated += 1;
          throw new OrchestratorError('rate_limited', 'too much');
        }),
      ),
    );
    expect(generated).toBe(20);
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  });

  it('ends the wait of the caller whose signal fires, and the computation with the last one', async () => {
    const { cache } = open();
    const work = pending<{ value: number }>();
    const [first, second] = [new AbortController(), new AbortController()];
    const a = cache.getWithCacheAside({ ...REQUEST, signal: first.signal }, work.run);
    const b = cache.getWithCacheAside({ ...REQUEST, signal: second.signal }, work.run);
    await settled();
    first.abort(new Error('gone'));
    await expect(a).rejects.toThrow('gone');
    expect(work.calls[0]?.signal.aborted).toBe(false);
    second.abort(new Error('gone too'));
    await expect(b).rejects.toThrow('gone too');
    expect(work.calls[0]?.signal.aborted).toBe(true);
    await settled();
    const again = cache.getWithCacheAside(REQUEST, work.run);
    await settled();
    work.calls[1]?.resolve({ value: 2 });
    expect(await again).toMatchObject({ value: 2, metrics: { hit: 'generated' } });
  });

  it('hands the value of an owner that left to those that wait', async () => {
    const { cache } = open();
    const work = pending<{ value: number }>();
    const owner = new AbortController();
    const a = cache.getWithCacheAside({ ...REQUEST, signal: owner.signal }, work.run);
    await settled();
    const b = cache.getWithCacheAside(REQUEST, work.run);
    await settled();
    owner.abort(new Error('gone'));
    await expect(a).rejects.toThrow('gone');
    work.calls[0]?.resolve({ value: 1 });
    expect(await b).toMatchObject({ value: 1, metrics: { hit: 'cache' } });
    expect(work.calls).toHaveLength(1);
  });

  it('waits for another process, also when its wakeup is lost, and takes over when the lease has ended', async () => {
    const clock = new ManualClock();
    const storage = new MemoryStorage({ clock });
    const silent = forwardingStorage({
      call: async (part, method, params) => callOf(storage, part, method, params),
      follow: () => {
        throw new Error('not used');
      },
      publish: () => {},
      subscribe: () => () => {},
      ping: () => storage.ping(),
      close: async () => {},
    });
    const [one, two] = [open(storage, clock), open(silent as MemoryStorage, clock)];
    const work = pending<{ value: number }>();
    const a = one.cache.getWithCacheAside(REQUEST, work.run);
    await settled();
    const waiting = many(10, () => two.cache.getWithCacheAside(REQUEST, work.run));
    await settled();
    // The lease is renewed for as long as the computation takes.
    for (let n = 0; n < 30; n += 1) {
      await clock.advance(1_000);
      await settled();
    }
    expect(work.calls).toHaveLength(1);
    work.calls[0]?.resolve({ value: 1 });
    await a;
    for (let n = 0; n < 11; n += 1) {
      await clock.advance(1_000);
      await settled();
    }
    for (const { value, metrics } of await waiting) expect([value, metrics.hit]).toEqual([1, 'cache']);
    // A process that ends without a word.
    await storage.cache.invalidate({ tenantId: 'acme' });
    const third = open(storage, clock);
    const dead = third.cache.getWithCacheAside(REQUEST, work.run);
    await settled();
    const renew = storage.cache.renew.bind(storage.cache);
    Object.assign(storage.cache, { renew: async () => true });
    const later = many(5, () => two.cache.getWithCacheAside(REQUEST, work.run));
    for (let n = 0; n < 11; n += 1) {
      await clock.advance(1_000);
      await settled();
    }
    Object.assign(storage.cache, { renew });
    expect(work.calls).toHaveLength(3);
    work.calls[2]?.resolve({ value: 3 });
    for (const { value } of await later) expect(value).toBe(3);
    // The frozen one has its own value, and stores nothing.
    work.calls[1]?.resolve({ value: 2 });
    expect(await dead).toMatchObject({ value: 2, metrics: { hit: 'generated' } });
    expect((await one.cache.getWithCacheAside(REQUEST, work.run)).value).toBe(3);
  });

  it('keeps nothing of a computation that began before an invalidation', async () => {
    const { cache } = open();
    const work = pending<{ value: string }>();
    const request = { ...REQUEST, collection: 'docs' };
    const before = cache.getWithCacheAside(request, work.run);
    await settled();
    expect(await cache.invalidate({ tenant: 'acme', collection: 'docs' })).toBe(1);
    const after = cache.getWithCacheAside(request, work.run);
    await settled();
    expect(work.calls).toHaveLength(2);
    work.calls[1]?.resolve({ value: 'new' });
    expect((await after).value).toBe('new');
    work.calls[0]?.resolve({ value: 'old' });
    expect((await before).value).toBe('old');
    expect(await cache.getWithCacheAside(request, work.run)).toMatchObject({ value: 'new' });
    expect(await cache.invalidate({ tenant: 'acme', kind: 'other' })).toBe(0);
    expect(await cache.invalidate({ tenant: 'acme', kind: 'answer' })).toBe(1);
  });

  it('gives its lease up when the storage has no room for the value', async () => {
    const { cache, storage } = open();
    const put = storage.cache.put.bind(storage.cache);
    storage.cache.put = () => Promise.reject(new OrchestratorError('storage_unavailable', 'no room'));
    let generated = 0;
    const generate = () => ({ value: (generated += 1) });
    expect((await cache.getWithCacheAside(REQUEST, generate)).value).toBe(1);
    storage.cache.put = put;
    // Nothing waits: the clock stands still.
    expect((await cache.getWithCacheAside(REQUEST, generate)).value).toBe(2);
    expect((await cache.getWithCacheAside(REQUEST, generate)).value).toBe(2);
  });

  it('computes without a storage that is away, once for all that wait, and warns', async () => {
    const { cache, storage, warnings, clock } = open();
    await storage.close();
    const work = pending<{ value: number; tokens: number }>();
    const callers = many(10, () => cache.getWithCacheAside(REQUEST, work.run));
    await settled();
    expect(work.calls).toHaveLength(1);
    work.calls[0]?.resolve({ value: 1, tokens: 3 });
    for (const { value } of await callers) expect(value).toBe(1);
    expect(warnings).toContain('the cache is not available: values are computed without it');
    await clock.advance(1);
    const again = cache.getWithCacheAside(REQUEST, work.run);
    await settled();
    work.calls[1]?.resolve({ value: 2, tokens: 3 });
    expect(await again).toMatchObject({ value: 2, metrics: { hit: 'generated' } });
  });

  it('returns a value above 1 MiB to all that wait, and does not keep it', async () => {
    const { cache } = open();
    let generated = 0;
    const get = () =>
      cache.getWithCacheAside(REQUEST, async () => {
        generated += 1;
        await settled();
        return { value: 'x'.repeat(2 ** 20) };
      });
    const answers = await many(5, get);
    expect(answers.every(({ value }) => value.length === 2 ** 20)).toBe(true);
    expect(generated).toBe(1);
    await get();
    expect(generated).toBe(2);
  });

  it('ends a computation after fifteen minutes, although it does not follow its signal', async () => {
    const { cache, clock } = open();
    const work = pending<{ value: number }>();
    const call = cache.getWithCacheAside(REQUEST, work.run);
    const outcome = expect(call).rejects.toMatchObject({ code: 'timeout' });
    for (let minute = 0; minute < 15; minute += 1) {
      await settled();
      await clock.advance(60_000);
    }
    await outcome;
    expect(work.calls[0]?.signal.aborted).toBe(true);
  });

  it.each<[string, object, unknown]>([
    ['tenant', { tenant: 'a b' }, undefined],
    ['kind', { kind: '' }, undefined],
    ['ttlMs', { ttlMs: 0 }, undefined],
    ['ttlMs', { ttlMs: 31 * 24 * 60 * 60_000 }, undefined],
    ['collection', { collection: '\n' }, undefined],
    ['load', { load: 'file' }, undefined],
    ['key', { key: undefined }, undefined],
    ['key', { key: 1n }, undefined],
    ['value', {}, { value: undefined }],
    ['value', {}, { value: 1n }],
    ['tokens', {}, { value: 1, tokens: -1 }],
    ['generate', {}, 5],
  ])('refuses an invalid %s', async (name, more, generated) => {
    const { cache } = open();
    const request = { ...REQUEST, ...more } as CacheAsideRequest;
    const refused = cache.getWithCacheAside(request, (() => generated) as never);
    await expect(refused).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(name),
    });
  });
});

describe('the canonical form of a key', () => {
  it('has the keys of each object in one order, and nothing else changed', () => {
    expect(canonicalJson({ b: [{ z: 1, a: null }, 'ü"'], a: { d: true, c: -0.5 }, 2: 0, 10: 0 })).toBe(
      '{"10":0,"2":0,"a":{"c":-0.5,"d":true},"b":[{"a":null,"z":1},"ü\\""]}',
    );
  });
});
