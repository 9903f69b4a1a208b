import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runCase, storageConformance, titleOf } from '../../src/conformance/index.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { ManualClock } from '../harness.js';

let parent: string;
let count = 0;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'file-storage-'));
});
afterAll(() => rm(parent, { recursive: true }));

describe('FileStorage', () => {
  it.each(storageConformance.map((one) => [titleOf(one), one] as const))('%s', async (_, one) => {
    const clock = new ManualClock();
    const folder = join(parent, String((count += 1)));
    const storage = await FileStorage.open(folder, { clock, limits: one.limits ?? {}, durability: 'process' });
    await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
    await storage.close();
    // Every answer of the log is compared.
    await (await FileStorage.open(folder, { clock, limits: one.limits ?? {} })).close();
    await rm(folder, { recursive: true });
  });
});
