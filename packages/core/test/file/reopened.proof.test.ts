import { afterAll, describe, expect, it } from 'vitest';
import { runCase, storageConformance, titleOf } from '../../src/conformance/index.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { ManualClock } from '../harness.js';
import { MemoryDisk } from './memory-disk.js';
import { ReopenedStorage } from './reopened-storage.js';

/** Allowances are counted by the process, without a write for each lease: one that opens the folder begins anew. */
const cases = storageConformance
  .filter(({ part }) => part !== 'rates')
  .map((one) => [titleOf(one), one] as const);

/** How the storage before ends, and how large its logs grow. */
const ENDS = [
  ['closed, which leaves a snapshot', { isKilled: false, cases }],
  ['killed, which leaves logs', { isKilled: true, cases: cases.filter((_, at) => at % 3 === 0) }],
  [
    'killed, with snapshots of small logs',
    { isKilled: true, minLogBytes: 4_000, cases: cases.filter((_, at) => at % 3 === 1) },
  ],
] as const;

describe.each(ENDS)(
  'FileStorage, opened again after its calls: %s',
  (_, { isKilled, cases: some, ...options }) => {
    let reopened = 0;
    afterAll(() => expect(reopened).toBeGreaterThan(5 * some.length));

    it.each(some)('%s', async (_title, one) => {
      const clock = new ManualClock();
      let disk = new MemoryDisk();
      const open = () => {
        const all = { clock, limits: one.limits ?? {}, disk, keepsWorkers: true, ...options };
        return FileStorage.open('memory', all);
      };
      const subject = await ReopenedStorage.start(open, async (current) => {
        if (isKilled) disk = disk.afterKill();
        else await current.close();
      });
      const { storage } = subject;
      await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
      await storage.close();
      reopened += subject.reopened;
    });
  },
);

it('a folder that is opened again grants allowances anew', async () => {
  const options = { clock: new ManualClock(), disk: new MemoryDisk() };
  const lease = { tenantId: 'acme', name: 'some', perMinute: 600, burst: 20, wanted: 100 };
  const granted = async (leaseId: string) => {
    const storage = await FileStorage.open('memory', options);
    const { granted: first } = await storage.rates.lease({ ...lease, leaseId });
    const { granted: second } = await storage.rates.lease({ ...lease, leaseId: `${leaseId}-2` });
    await storage.close();
    return [first, second];
  };
  expect(await granted('a')).toEqual([20, 0]);
  expect(await granted('b')).toEqual([20, 0]);
});
