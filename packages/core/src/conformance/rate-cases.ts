import assert from 'node:assert/strict';
import { KEPT_LEASES, type RateLease, REQUEST_RATE } from '../storage/rate-store.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** 10 a second, in parts of 30. */
const RATE = { perMinute: 600, burst: 100 };

interface More {
  readonly tenantId?: string;
  readonly name?: string;
  readonly leaseId?: string;
  readonly perMinute?: number;
  readonly burst?: number;
  readonly wanted?: number;
}

const lease = (t: CaseTools, more: More = {}): Promise<RateLease> =>
  t.storage.rates.lease({
    tenantId: t.tenantId,
    name: 'some',
    leaseId: t.id(),
    wanted: 1_000,
    ...RATE,
    ...more,
  });

/** What is granted until there is none left. */
async function drain(t: CaseTools, more: More = {}): Promise<number> {
  let sum = 0;
  for (;;) {
    const { granted } = await lease(t, more);
    if (granted === 0) return sum;
    sum += granted;
  }
}

const configure = (
  t: CaseTools,
  rates: { requestsPerMinute?: number | null; burst?: number | null } | null,
) => t.storage.tenants.configure({ tenantId: t.tenantId, rates });

const amounts: readonly ConformanceCase[] = [
  {
    part: 'rates',
    method: 'lease',
    name: 'grants the burst in parts of a twentieth of a minute, and what is left when it is less',
    async run(t) {
      assert.deepEqual(await lease(t), { ...RATE, granted: 30, remaining: 70, retryAfterMs: 0 });
      assert.deepEqual(await lease(t, { wanted: 20 }), {
        ...RATE,
        granted: 20,
        remaining: 50,
        retryAfterMs: 0,
      });
      assert.equal((await lease(t)).granted, 30);
      assert.deepEqual(await lease(t), { ...RATE, granted: 20, remaining: 0, retryAfterMs: 100 });
      assert.deepEqual(await lease(t), { ...RATE, granted: 0, remaining: 0, retryAfterMs: 100 });
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: 'refills at the rate, up to the burst, and dates the next one to the millisecond',
    async run(t) {
      assert.equal(await drain(t), 100);
      await t.advance(99);
      assert.deepEqual(await lease(t), { ...RATE, granted: 0, remaining: 0, retryAfterMs: 1 });
      await t.advance(1);
      assert.equal(await drain(t), 1);
      await t.advance(1_250);
      assert.equal(await drain(t), 12);
      assert.equal((await lease(t)).retryAfterMs, 50, 'half of the next one is there already');
      await t.advance(60_000);
      assert.equal(await drain(t), 100);
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: 'refills from the time of a clock that was set back',
    async run(t) {
      assert.equal(await drain(t), 100);
      await t.advance(-3_600_000);
      assert.equal((await lease(t)).granted, 0);
      await t.advance(1_000);
      assert.equal(await drain(t), 10);
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: 'grants exactly rate and burst where they do not divide evenly',
    async run(t) {
      const odd = { perMinute: 7_001, burst: 13, wanted: 1 };
      assert.equal(await drain(t, odd), 13);
      let sum = 0;
      for (let n = 0; n < 60; n += 1) {
        await t.advance(100);
        sum += await drain(t, odd);
      }
      assert.equal(sum, Math.floor(7_001 / 10));
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: 'grants at least one at a time, also at one a minute',
    async run(t) {
      const slow = { perMinute: 1, burst: 2 };
      assert.deepEqual(await lease(t, slow), { ...slow, granted: 1, remaining: 1, retryAfterMs: 0 });
      assert.equal(await drain(t, slow), 1);
      await t.advance(59_999);
      assert.deepEqual(await lease(t, slow), { ...slow, granted: 0, remaining: 0, retryAfterMs: 1 });
      await t.advance(1);
      assert.equal(await drain(t, slow), 1);
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: 'grants the burst once to many at the same time',
    async run(t) {
      const all = await Promise.all(Array.from({ length: 30 }, () => lease(t, { wanted: 7 })));
      assert.equal(
        all.reduce((sum, { granted }) => sum + granted, 0),
        RATE.burst,
      );
    },
  },
];

const kept: readonly ConformanceCase[] = [
  {
    part: 'rates',
    method: 'lease',
    name: 'counts each tenant and each name by itself',
    async run(t) {
      assert.equal(await drain(t), 100);
      assert.equal(await drain(t, { tenantId: t.otherTenantId }), 100);
      assert.equal(await drain(t, { name: 'other' }), 100);
      assert.equal(await drain(t), 0);
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: `takes nothing more for a repeat, among the last ${KEPT_LEASES} leases`,
    async run(t) {
      const leaseId = t.id();
      const first = { leaseId, wanted: 3 };
      assert.equal((await lease(t, first)).granted, 3);
      assert.deepEqual(await lease(t, first), { ...RATE, granted: 3, remaining: 97, retryAfterMs: 0 });
      for (let n = 1; n < KEPT_LEASES; n += 1) assert.equal((await lease(t, { wanted: 1 })).granted, 1);
      assert.deepEqual(await lease(t, first), { ...RATE, granted: 3, remaining: 82, retryAfterMs: 0 });
      await lease(t, { wanted: 1 });
      assert.equal((await lease(t, first)).remaining, 78, 'one that is not remembered is a new one');
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: 'follows a rate that changes, and never waits for more than a burst that was lowered',
    async run(t) {
      assert.equal(await drain(t, { perMinute: 6_000, burst: 1_000 }), 1_000);
      const lower = { perMinute: 60, burst: 5 };
      assert.deepEqual(await lease(t, lower), { ...lower, granted: 0, remaining: 0, retryAfterMs: 1_000 });
      await t.advance(2_000);
      assert.equal(await drain(t, lower), 2);
      assert.equal(await drain(t, { perMinute: 60, burst: 8 }), 3, 'a higher burst applies at once');
    },
  },
  {
    part: 'rates',
    method: 'lease',
    name: 'takes the settings of the tenant for its requests, and for nothing else',
    async run(t) {
      const requests = { name: REQUEST_RATE };
      await configure(t, { requestsPerMinute: 60 });
      assert.deepEqual(await lease(t, requests), {
        perMinute: 60,
        burst: 10,
        granted: 3,
        remaining: 7,
        retryAfterMs: 0,
      });
      await configure(t, { burst: 5 });
      assert.deepEqual(await lease(t, requests), {
        perMinute: 60,
        burst: 5,
        granted: 2,
        remaining: 0,
        retryAfterMs: 1_000,
      });
      await configure(t, { requestsPerMinute: null });
      const { perMinute, burst } = await lease(t, requests);
      assert.deepEqual([perMinute, burst], [RATE.perMinute, 5]);
      assert.equal((await lease(t)).burst, RATE.burst);
      assert.equal((await lease(t, { ...requests, tenantId: t.otherTenantId })).burst, RATE.burst);
      await configure(t, null);
      assert.equal((await lease(t, requests)).burst, RATE.burst);
      const both = { requestsPerMinute: 120, burst: 9 };
      assert.deepEqual((await configure(t, both)).settings.rates, both);
      assert.equal((await lease(t, requests)).perMinute, 120);
    },
  },
];

export const rateCases: readonly ConformanceCase[] = [...amounts, ...kept];
