import { afterAll, describe, expect, it } from 'vitest';
import { runCase, storageConformance, titleOf } from '../src/conformance/index.js';
import { type BrokenStorage, brokenStorages, unbroken } from './broken-storages.js';
import { ManualClock, settled } from './harness.js';

/** The title of a case that a broken storage fails; those of its own method are tried first. */
async function caughtBy(broken: BrokenStorage): Promise<string[]> {
  const own = storageConformance.filter(({ part, method }) => `${part}.${method}` === broken.where);
  for (const one of [...own, ...storageConformance.filter((other) => !own.includes(other))]) {
    const clock = new ManualClock();
    const storage = broken.make(clock, one.limits);
    const run = runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
    const failed = await Promise.race([
      run.then(
        () => false,
        () => true,
      ),
      // A case that waits for what a broken storage never gives has caught it too. Storage and clock are in memory: what
      // goes on at all is done after far fewer turns.
      settled(1_000).then(() => true),
    ]);
    if (failed) return [titleOf(one)];
  }
  return [];
}

/** How many storages with a mistake in a method were caught. */
const caught = new Map<string, number>();

afterAll(() => {
  const rows: Record<string, { readonly cases: number; readonly broken: number; readonly caught: number }> =
    {};
  for (const { part, method } of storageConformance) {
    const where = `${part}.${method}`;
    rows[where] = {
      cases: (rows[where]?.cases ?? 0) + 1,
      broken: brokenStorages.filter((broken) => broken.where === where).length,
      caught: caught.get(where) ?? 0,
    };
  }
  console.table(rows);
  console.log(`${storageConformance.length} cases, ${brokenStorages.length} broken storages`);
});

describe('a storage with one mistake', () => {
  it.each(brokenStorages.map((broken) => [broken.where, broken.mistake, broken] as const))(
    '%s that %s is caught',
    async (_, __, broken) => {
      expect(await caughtBy(broken)).not.toEqual([]);
      caught.set(broken.where, (caught.get(broken.where) ?? 0) + 1);
    },
  );

  it.each([...new Set(brokenStorages.map(({ where }) => where))])(
    '%s without a mistake passes every case',
    async (where) => {
      for (const one of storageConformance) {
        const clock = new ManualClock();
        const storage = unbroken(where).make(clock, one.limits);
        await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
      }
    },
  );

  it('the suite has at least three mistakes for each method with cases', () => {
    const counts = new Map<string, number>();
    for (const { where } of brokenStorages) counts.set(where, (counts.get(where) ?? 0) + 1);
    const methods = new Set(storageConformance.map(({ part, method }) => `${part}.${method}`));
    methods.delete('storage.close');
    expect([...methods].filter((method) => (counts.get(method) ?? 0) < 3)).toEqual([]);
  });
});
