import { afterAll, describe, expect, it } from 'vitest';
import { runCase, storageConformance, titleOf } from '../../src/conformance/index.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { ManualClock } from '../harness.js';
import { MemoryDisk } from './memory-disk.js';
import { ReopenedStorage } from './reopened-storage.js';

const cases = storageConformance.map((one) => [titleOf(one), one] as const);

describe('FileStorage, opened again after its calls', () => {
  let reopened = 0;
  afterAll(() => expect(reopened).toBeGreaterThan(5 * cases.length));

  it.each(cases)('%s', async (_, one) => {
    const clock = new ManualClock();
    const disk = new MemoryDisk();
    const options = { clock, limits: one.limits ?? {}, disk };
    const subject = await ReopenedStorage.start(() => FileStorage.open('memory', options));
    const { storage } = subject;
    await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
    await storage.close();
    reopened += subject.reopened;
  });
});
