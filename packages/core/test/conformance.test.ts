import { describe, it } from 'vitest';
import { MemoryStorage } from '../src/index.js';
import { runCase, storageConformance, titleOf } from '../src/conformance/index.js';
import { ManualClock } from './harness.js';

describe('MemoryStorage', () => {
  it.each(storageConformance.map((one) => [titleOf(one), one] as const))('%s', async (_, one) => {
    const clock = new ManualClock();
    const storage = new MemoryStorage({ clock, limits: one.limits ?? {} });
    await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
  });
});
