import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { MemoryStorage } from '../src/index.js';
import { RateBook } from '../src/engine/tenants/rates.js';
import { systemClock } from '../src/runtime/clock.js';
import type { EngineGate } from '../src/engine/engine-gate.js';
import { Heap } from '../src/engine/timers/heap.js';
import { TenantDirectory } from '../src/engine/tenants/tenant-directory.js';
import { TenantState } from '../src/engine/tenants/tenant-state.js';
import { cachedBytes } from '../src/storage/index.js';
import { ManualClock } from './harness.js';

describe('tenants in memory', () => {
  it('are listed in the order of their ids, after additions and removals', () => {
    const id = fc.stringMatching(/^[a-cA-C._-]{1,3}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), id)), id, (changes, after) => {
        const directory = new TenantDirectory();
        const expected = new Map<string, TenantState>();
        for (const [isAdded, tenantId] of changes) {
          const tenant = directory.get(tenantId) ?? new TenantState(tenantId, 'e');
          if (isAdded) {
            directory.add(tenant);
            expected.set(tenantId, tenant);
          } else {
            directory.drop(tenant);
            expected.delete(tenantId);
          }
        }
        const ids = [...expected.keys()].toSorted((a, b) => (a < b ? -1 : 1));
        const listed = (from?: string) => [...directory.after(from)].map(({ tenantId }) => tenantId);
        expect(listed()).toEqual(ids);
        expect(listed(after)).toEqual(ids.filter((tenantId) => tenantId > after));
        expect(directory.size).toBe(ids.length);
      }),
    );
  });

  it('are paged without visiting those of other pages', async () => {
    const storage = new MemoryStorage();
    for (let n = 0; n < 10_000; n += 1)
      await storage.tenants.configure({ tenantId: `t-${(n * 7_919) % 10_000}`, weight: 2 });
    const isRegistered = vi.spyOn(TenantState.prototype, 'isRegistered', 'get');
    onTestFinished(() => isRegistered.mockRestore());
    const { tenants, next } = await storage.tenants.list({ limit: 100, after: 't-5' });
    expect(tenants.map(({ tenantId }) => tenantId).slice(0, 3)).toEqual(['t-50', 't-500', 't-5000']);
    expect([tenants.length, next]).toEqual([100, tenants.at(-1)?.tenantId]);
    expect(isRegistered.mock.calls.length).toBe(101);
  });

  it('that were dropped long ago are forgotten: a possible one starts a new log', () => {
    const directory = new TenantDirectory();
    const pass = (tenantId: string, hasEvent = true) => {
      const tenant = new TenantState(tenantId, 'e');
      if (hasEvent) vi.spyOn(tenant.events, 'seq', 'get').mockReturnValue(1);
      directory.add(tenant);
      directory.drop(tenant);
    };
    pass('empty', false);
    expect(directory.logOf('empty')).toBe(0);
    pass('first');
    pass('first', false);
    expect([directory.logOf('first'), directory.logOf('never')]).toEqual([1, 0]);
    for (let n = 0; n < 10_000; n += 1) pass(`t-${n}`);
    expect([directory.logOf('first'), directory.logOf('never'), directory.logOf('t-0')]).toEqual([1, 1, 2]);
  });
});

describe('allowances in memory', () => {
  it('of tenants that are gone are forgotten with the leases of others', () => {
    let now = 0;
    const book = new RateBook({ ...systemClock, now: () => now });
    const lease = (tenantId: string) =>
      book.lease(
        { tenantId, name: 'some', leaseId: crypto.randomUUID(), perMinute: 60, burst: 5, wanted: 1 },
        undefined,
      );
    for (let n = 0; n < 1_000; n += 1) lease(`t-${n}`);
    expect(book.size).toBe(1_000);
    now += 10_000;
    for (let n = 0; n < 1_000; n += 1) lease('busy');
    expect(book.size).toBe(1);
  });
});

describe('tickets in memory', () => {
  it('are refused without visiting the open ones', async () => {
    let now = 0;
    const storage = new MemoryStorage({
      clock: { now: () => now, monotonic: () => now, after: () => () => {} },
    });
    let made = 0;
    const issue = () => {
      made += 1;
      return storage.tickets.issue({
        tenantId: 'acme',
        ticketId: `k${made}`,
        content: 'c',
        // The later a ticket is issued, the earlier it expires.
        lifeMs: 30_000 - made,
        maxOpen: 1_000,
      });
    };
    for (let n = 0; n < 1_000; n += 1) await issue();
    for (let n = 1_000; n > 500; n -= 1)
      await storage.tickets.spend({ tenantId: 'acme', ticketId: `k${n}`, spendId: 's' });
    for (let n = 0; n < 500; n += 1) await issue();
    const first = 30_000 - made;
    const pop = vi.spyOn(Heap.prototype, 'pop');
    const values = vi.spyOn(Map.prototype, 'values');
    onTestFinished(() => {
      pop.mockRestore();
      values.mockRestore();
    });
    for (let n = 0; n < 2_000; n += 1) expect(await issue()).toEqual({ answer: 'too_many', freeAt: first });
    expect([pop.mock.calls.length, values.mock.calls.length]).toEqual([0, 0]);
    now = 30_000;
    expect((await issue()).answer).toBe('issued');
    // Each of the 1,500 once among all, and once among those of the tenant.
    expect(pop.mock.calls.length).toBeLessThanOrEqual(3_000);
  });
});

describe('cached values in memory', () => {
  const put = async (storage: MemoryStorage, tenantId: string, digest: string, ttlMs: number) => {
    const computation = { tenantId, digest, token: `of-${digest}` };
    await storage.cache.claim({ ...computation, kind: 'k', leaseMs: 10_000 });
    return storage.cache.put({ ...computation, value: 'x'.repeat(2_000), tokens: 1, ttlMs });
  };
  const bookOf = (storage: MemoryStorage) =>
    (storage as unknown as { readonly gate: EngineGate }).gate.engine.state.cache;

  it('are removed by sweeps once they have expired, a portion each', async () => {
    const clock = new ManualClock(0);
    const storage = new MemoryStorage({ clock, limits: { cachedAtOnce: 100 } });
    for (let n = 0; n < 250; n += 1) await put(storage, `t-${n % 3}`, `d${n}`, 60_000 + n);
    await put(storage, 't-0', 'kept', 1_000_000);
    await storage.cache.claim({ tenantId: 't-0', digest: 'd', token: 'k', kind: 'k', leaseMs: 1_000 });
    const book = bookOf(storage);
    const sizes: number[] = [];
    await clock.advance(120_000);
    for (let n = 0; n < 4; n += 1) {
      await storage.queue.sweep({ max: 100 });
      sizes.push([...book.tenants.values()].reduce((sum, { entries }) => sum + entries.size, 0));
    }
    expect(sizes.at(-1)).toBe(1);
    expect([...sizes].toSorted((a, b) => b - a)).toEqual(sizes);
    expect(sizes[0]).toBeGreaterThanOrEqual(150);
    expect([...book.tenants.keys()]).toEqual(['t-0']);
    expect(book.bytes).toBe(cachedBytes(undefined, 2_002));
    expect(await storage.cache.invalidate({ tenantId: 't-0' })).toBe(1);
    expect([book.bytes, book.tenants.size]).toEqual([0, 0]);
  });

  it('of all tenants together make room for new ones, the oldest first', async () => {
    const limits = { maxCacheBytesInAll: 10 * cachedBytes(undefined, 2_002) };
    const storage = new MemoryStorage({ limits });
    for (let n = 0; n < 30; n += 1) expect(await put(storage, `t-${n}`, 'd', 60_000)).toBe('stored');
    expect([...bookOf(storage).tenants.keys()]).toEqual(Array.from({ length: 10 }, (_, n) => `t-${20 + n}`));
    expect(bookOf(storage).bytes).toBe(limits.maxCacheBytesInAll);
  });
});
