import { describe, expect, it } from 'vitest';
import { ENGINE_VERSION } from '../../src/file/log-entries.js';
import { readGolden, readsOf, writeGolden } from './golden.js';

/** `WRITE_GOLDEN=1`: stores the folders of this version anew. Only while it is not released. */
if (process.env['WRITE_GOLDEN'] !== undefined) await writeGolden(ENGINE_VERSION);

const versions = Array.from({ length: ENGINE_VERSION }, (_, at) => at + 1);

describe.each(versions)('folders that version %s of the engine has left', async (version) => {
  const folders = await readGolden(version);

  it('have logs and snapshots', () => {
    const names = folders.flatMap(({ files }) => Object.keys(files));
    expect(names.filter((name) => name.startsWith('snapshot-')).length).toBeGreaterThan(10);
    expect(names.filter((name) => name.startsWith('log-')).length).toBeGreaterThan(50);
  });

  it.each(folders.map((folder) => [folder.title, folder] as const))('%s', async (_, folder) => {
    expect(await readsOf(folder)).toEqual(folder.reads);
  });
});
