import { describe, it } from 'vitest';
import { runCase, storageConformance, titleOf } from '../../src/conformance/index.js';
import { FileStorage, type FileStorageOptions } from '../../src/file/file-storage.js';
import { type Folder, folder } from './folder.js';
import { ManualClock } from '../harness.js';

const cases = storageConformance.map((one) => [titleOf(one), one] as const);

describe('FileStorage in a folder', () => {
  it.each(cases)('%s', async (_, one) => {
    const clock = new ManualClock();
    await using place: Folder = await folder();
    const options: FileStorageOptions = { clock, limits: one.limits ?? {}, durability: 'process' };
    const storage = await FileStorage.open(place.path, options);
    await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
    await storage.close();
    // Every answer of the log is compared.
    await (await FileStorage.open(place.path, options)).close();
  });
});
