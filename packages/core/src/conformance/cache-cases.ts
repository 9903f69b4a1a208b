import assert from 'node:assert/strict';
import type { JsonValue } from '../protocol/json.js';
import type { ClaimCachedParams, PutCachedParams } from '../storage/cache-store.js';
import { cachedBytes } from '../storage/cache-store.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const LEASE_MS = 10_000;
const TTL_MS = 3_600_000;

const claim = (t: CaseTools, digest: string, more: Partial<ClaimCachedParams> = {}) =>
  t.storage.cache.claim({
    tenantId: t.tenantId,
    digest,
    token: t.id(),
    leaseMs: LEASE_MS,
    kind: 'answer',
    ...more,
  });
const put = (t: CaseTools, digest: string, token: string, more: Partial<PutCachedParams> = {}) =>
  t.storage.cache.put({
    tenantId: t.tenantId,
    digest,
    token,
    value: { of: digest },
    tokens: 7,
    ttlMs: TTL_MS,
    ...more,
  });
const invalidate = (t: CaseTools, more: object = {}) =>
  t.storage.cache.invalidate({ tenantId: t.tenantId, ...more });

/** A computed and stored value; returns the token of the computation. */
async function stored(
  t: CaseTools,
  digest: string,
  more: Partial<ClaimCachedParams> & { readonly value?: JsonValue; readonly ttlMs?: number } = {},
): Promise<string> {
  const { value, ttlMs, ...about } = more;
  const token = t.id();
  assert.deepEqual(await claim(t, digest, { ...about, token }), { answer: 'claimed' });
  const entry = { ...(value !== undefined && { value }), ...(ttlMs !== undefined && { ttlMs }) };
  const { tenantId = t.tenantId } = about;
  assert.equal(await put(t, digest, token, { tenantId, ...entry }), 'stored');
  return token;
}

/** Whether a value is stored. Claims it otherwise. */
async function isStored(t: CaseTools, digest: string, tenantId = t.tenantId): Promise<boolean> {
  return (await claim(t, digest, { tenantId })).answer === 'hit';
}

const claimCases: readonly ConformanceCase[] = [
  {
    part: 'cache',
    method: 'claim',
    name: 'gives one of many concurrent callers the lease, and the others its token and what is left of it',
    async run(t) {
      const tokens = Array.from({ length: 20 }, () => t.id());
      const answers = await Promise.all(tokens.map((token) => claim(t, 'one', { token })));
      const claimed = answers.findIndex(({ answer }) => answer === 'claimed');
      const holder = tokens[claimed];
      assert.notEqual(claimed, -1);
      answers.forEach((answer, at) => {
        if (at !== claimed)
          assert.deepEqual(answer, { answer: 'computing', token: holder, remainingMs: LEASE_MS });
      });
      await t.advance(4_000);
      assert.deepEqual(await claim(t, 'one'), { answer: 'computing', token: holder, remainingMs: 6_000 });
      assert.deepEqual(await claim(t, 'one', { token: holder as string }), { answer: 'claimed' });
      assert.equal((await claim(t, 'one', { tenantId: t.otherTenantId })).answer, 'claimed');
      assert.equal((await claim(t, 'two')).answer, 'claimed');
    },
  },
  {
    part: 'cache',
    method: 'claim',
    name: 'returns a stored value with its cost until it expires',
    async run(t) {
      const token = t.id();
      await claim(t, 'one', { token });
      const value = { text: '"für" {acme}\n', list: [1, null, 0.1], deep: { empty: {}, none: [] } };
      assert.equal(await put(t, 'one', token, { value, tokens: 812.5, model: 'gpt "x"' }), 'stored');
      const hit = { answer: 'hit', value, tokens: 812.5, model: 'gpt "x"', token };
      assert.deepEqual(await claim(t, 'one'), hit);
      assert.deepEqual(await claim(t, 'one', { token }), hit);
      await t.advance(TTL_MS - 1);
      assert.deepEqual(await claim(t, 'one'), hit);
      await t.advance(1);
      assert.deepEqual(await claim(t, 'one'), { answer: 'claimed' });
    },
  },
  {
    part: 'cache',
    method: 'claim',
    name: 'returns falsy and large values as they are, and no model where none was given',
    async run(t) {
      const values: JsonValue[] = [null, 0, false, '', [], {}, { text: 'x'.repeat(400_000) }];
      for (const [at, value] of values.entries()) {
        const token = await stored(t, `v${at}`, { value });
        assert.deepEqual(await claim(t, `v${at}`), { answer: 'hit', value, tokens: 7, token });
      }
    },
  },
  {
    part: 'cache',
    method: 'claim',
    name: 'gives the lease to another caller once it has ended, whose value is stored instead',
    async run(t) {
      const [first, second] = [t.id(), t.id()];
      await claim(t, 'one', { token: first });
      await t.advance(LEASE_MS);
      assert.deepEqual(await claim(t, 'one', { token: second }), { answer: 'claimed' });
      assert.equal(await put(t, 'one', first, { value: 'late' }), 'lost');
      assert.equal(await put(t, 'one', second, { value: 'new' }), 'stored');
      assert.equal(await put(t, 'one', first, { value: 'late' }), 'lost');
      assert.deepEqual(await claim(t, 'one'), { answer: 'hit', value: 'new', tokens: 7, token: second });
    },
  },
  {
    part: 'cache',
    method: 'claim',
    name: 'removes the oldest values beyond the bytes of the tenant, by the start of their computation',
    limits: { maxCacheBytes: 3 * cachedBytes(undefined, 100) },
    async run(t) {
      const value = 'x'.repeat(98);
      const first = t.id();
      await claim(t, 'first', { token: first });
      await stored(t, 'second', { value });
      assert.equal(await put(t, 'first', first, { value }), 'stored');
      await stored(t, 'elsewhere', { value, tenantId: t.otherTenantId });
      await stored(t, 'third', { value });
      assert.equal(await isStored(t, 'second'), true);
      assert.equal((await claim(t, 'fourth')).answer, 'claimed');
      assert.equal(await isStored(t, 'second'), true);
      assert.equal(await isStored(t, 'third'), true);
      assert.equal(await isStored(t, 'first'), false, 'the computation of the first began first');
      assert.equal(await isStored(t, 'elsewhere', t.otherTenantId), true);
    },
  },
];

const renewCases: readonly ConformanceCase[] = [
  {
    part: 'cache',
    method: 'renew',
    name: 'prolongs the lease of its holder alone',
    async run(t) {
      const where = { tenantId: t.tenantId, digest: 'one', leaseMs: LEASE_MS };
      const token = t.id();
      await claim(t, 'one', { token });
      await t.advance(LEASE_MS - 1);
      assert.equal(await t.storage.cache.renew({ ...where, token: t.id() }), false);
      assert.equal(await t.storage.cache.renew({ ...where, token }), true);
      await t.advance(LEASE_MS - 1);
      assert.deepEqual(await claim(t, 'one'), { answer: 'computing', token, remainingMs: 1 });
      await t.advance(1);
      assert.equal(await t.storage.cache.renew({ ...where, token }), false);
      assert.equal((await claim(t, 'one')).answer, 'claimed');
    },
  },
  {
    part: 'cache',
    method: 'renew',
    name: 'neither prolongs a stored value nor finds one of another tenant',
    async run(t) {
      const token = await stored(t, 'one', { ttlMs: 1_000 });
      const where = { tenantId: t.tenantId, digest: 'one', token, leaseMs: 1_000_000 };
      assert.equal(await t.storage.cache.renew(where), false);
      await t.advance(1_000);
      assert.equal(await isStored(t, 'one'), false);
      assert.equal(await t.storage.cache.renew({ ...where, tenantId: t.otherTenantId }), false);
    },
  },
];

const putCases: readonly ConformanceCase[] = [
  {
    part: 'cache',
    method: 'put',
    name: 'stores the value of the holder of the lease, once, and that of no other',
    async run(t) {
      const token = t.id();
      await claim(t, 'one', { token });
      assert.equal(await put(t, 'one', t.id()), 'lost');
      assert.equal(await put(t, 'unclaimed', token), 'lost');
      assert.equal(await put(t, 'one', token, { tenantId: t.otherTenantId }), 'lost');
      assert.equal(await put(t, 'one', token, { value: 1 }), 'stored');
      assert.equal(await put(t, 'one', token, { value: 2 }), 'stored', 'a repeat');
      assert.deepEqual(await claim(t, 'one'), { answer: 'hit', value: 1, tokens: 7, token });
    },
  },
  {
    part: 'cache',
    method: 'put',
    name: 'stores nothing at the end of the lease',
    async run(t) {
      const token = t.id();
      await claim(t, 'one', { token });
      await t.advance(LEASE_MS);
      assert.equal(await put(t, 'one', token), 'lost');
      assert.equal(await isStored(t, 'one'), false);
    },
  },
  {
    part: 'cache',
    method: 'put',
    name: 'removes as many of the oldest as a large value needs, and refuses one that never fits',
    limits: { maxCacheBytes: 40_000, cachedAtOnce: 3 },
    async run(t) {
      for (let n = 0; n < 50; n += 1) await stored(t, `small${n}`, { value: n });
      await stored(t, 'large', { value: 'x'.repeat(30_000) });
      assert.equal(await isStored(t, 'large'), true);
      assert.equal(await isStored(t, 'small49'), true);
      assert.equal(await isStored(t, 'small0'), false);
      const token = t.id();
      await claim(t, 'huge', { token });
      assert.equal(await put(t, 'huge', token, { value: 'x'.repeat(40_000) }), 'no_room');
      assert.equal(await isStored(t, 'large'), true);
      assert.equal((await claim(t, 'huge')).answer, 'claimed', 'its lease has ended');
    },
  },
  {
    part: 'cache',
    method: 'put',
    name: 'publishes a wakeup for those that wait for the value',
    async run(t) {
      const received: unknown[] = [];
      const unsubscribe = t.storage.wakeups.subscribe((wakeup) => {
        if (wakeup.kind === 'cached' && wakeup.tenantId === t.tenantId) received.push(wakeup.digest);
      });
      try {
        const [first, second] = [t.id(), t.id()];
        await claim(t, 'one', { token: first });
        await claim(t, 'two', { token: second });
        for (const digest of ['one', 'two']) assert.equal((await claim(t, digest)).answer, 'computing');
        await put(t, 'one', first);
        await t.storage.cache.remove({ tenantId: t.tenantId, digest: 'two', token: second });
        for (let tries = 0; received.length < 2 && tries < 500; tries += 1)
          await new Promise((resolve) => setTimeout(resolve, 2));
        assert.deepEqual(received, ['one', 'two']);
      } finally {
        unsubscribe();
      }
    },
  },
];

const removeCases: readonly ConformanceCase[] = [
  {
    part: 'cache',
    method: 'remove',
    name: 'gives up a lease, whose value is not stored any more',
    async run(t) {
      const token = t.id();
      const where = { tenantId: t.tenantId, digest: 'one' };
      await claim(t, 'one', { token });
      await t.storage.cache.remove({ ...where, token: t.id() });
      assert.equal((await claim(t, 'one')).answer, 'computing');
      await t.storage.cache.remove({ ...where, token });
      assert.equal(await put(t, 'one', token), 'lost');
      assert.equal((await claim(t, 'one')).answer, 'claimed');
      await t.storage.cache.remove({ ...where, token });
      assert.equal((await claim(t, 'one')).answer, 'computing', 'the lease is that of another');
    },
  },
  {
    part: 'cache',
    method: 'remove',
    name: 'drops a stored value by the token of its computation, in its tenant',
    async run(t) {
      const token = await stored(t, 'one');
      await t.storage.cache.remove({ tenantId: t.otherTenantId, digest: 'one', token });
      await t.storage.cache.remove({ tenantId: t.tenantId, digest: 'one', token: t.id() });
      assert.equal(await isStored(t, 'one'), true);
      await t.storage.cache.remove({ tenantId: t.tenantId, digest: 'one', token });
      assert.equal(await isStored(t, 'one'), false);
    },
  },
];

const invalidateCases: readonly ConformanceCase[] = [
  {
    part: 'cache',
    method: 'invalidate',
    name: 'removes the entries with all of the given fields, of one tenant, and counts them',
    async run(t) {
      await stored(t, 'a', { kind: 'k', collection: 'docs', sessionId: 's-1' });
      await stored(t, 'b', { kind: 'other', collection: 'docs' });
      await stored(t, 'c', { kind: 'k', collection: 'mail', sessionId: 's-1' });
      await stored(t, 'd', { kind: 'k' });
      await stored(t, 'a', { kind: 'k', collection: 'docs', tenantId: t.otherTenantId });
      assert.equal(await invalidate(t, { collection: 'none' }), 0);
      assert.equal(await invalidate(t, { collection: 'docs', kind: 'k' }), 1);
      assert.equal(await invalidate(t, { collection: 'docs' }), 1);
      assert.equal(await invalidate(t, { sessionId: 's-1' }), 1);
      assert.equal(await isStored(t, 'd'), true);
      for (const digest of ['a', 'b', 'c']) assert.equal(await isStored(t, digest), false);
      assert.equal(await isStored(t, 'a', t.otherTenantId), true);
    },
  },
  {
    part: 'cache',
    method: 'invalidate',
    name: 'ends the leases of computations that began before: their values are not stored',
    async run(t) {
      const [before, after] = [t.id(), t.id()];
      await claim(t, 'one', { token: before, collection: 'docs' });
      assert.equal(await invalidate(t, { collection: 'docs' }), 1);
      assert.equal(await put(t, 'one', before), 'lost');
      assert.deepEqual(await claim(t, 'one', { token: after }), { answer: 'claimed' });
      assert.equal(await put(t, 'one', before), 'lost');
      const where = { tenantId: t.tenantId, digest: 'one', leaseMs: LEASE_MS };
      assert.equal(await t.storage.cache.renew({ ...where, token: before }), false);
      assert.equal(await put(t, 'one', after), 'stored');
      assert.equal(await isStored(t, 'one'), true);
    },
  },
  {
    part: 'cache',
    method: 'invalidate',
    name: 'removes many entries in portions, and none whose computation begins meanwhile',
    limits: { cachedAtOnce: 10 },
    async run(t) {
      const digests = Array.from({ length: 55 }, (_, n) => `d${n}`);
      await Promise.all(digests.map((digest, n) => stored(t, digest, { kind: n % 2 ? 'odd' : 'even' })));
      await stored(t, 'expired', { ttlMs: 1 });
      await t.advance(1);
      assert.equal(await invalidate(t, { kind: 'odd' }), 27);
      assert.equal(await invalidate(t), 28);
      assert.equal(await invalidate(t), 0);
      await stored(t, 'd2');
      assert.equal(await isStored(t, 'd2'), true);
    },
  },
];

export const cacheCases: readonly ConformanceCase[] = [
  ...claimCases,
  ...renewCases,
  ...putCases,
  ...removeCases,
  ...invalidateCases,
];
