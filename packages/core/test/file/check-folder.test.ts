import { open, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkFolder, repairFolder } from '../../src/file/check-folder.js';
import { EntryFolder } from '../../src/file/entry-folder.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { folder } from './folder.js';

const TENANT = 'acme';
const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** A process that ends without closing its storage leaves the lock of an ended process. */
async function killed(storage: FileStorage, path: string): Promise<void> {
  await storage.ping();
  for (const name of await readdir(path)) if (name.startsWith('lock')) await rm(join(path, name));
}

async function fill(path: string, count: number, minLogBytes?: number): Promise<FileStorage> {
  const options = { durability: 'process', ...(minLogBytes !== undefined && { minLogBytes }) } as const;
  const storage = await FileStorage.open(path, options);
  for (let n = 0; n < count; n += 1) {
    const task = { task_id: idOf(n), type: 'work', priority: 4, payload: n, metadata: {}, timeoutMs: 60_000 };
    const submission = { task: { ...task, maxAttempts: 3 }, onBusy: 'enqueue' } as const;
    await storage.tasks.submit({ tenantId: TENANT, submission, maxWaiting: 1_000 });
  }
  return storage;
}

async function damage(file: string, position: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, position);
    byte.writeUInt8(byte.readUInt8() ^ 0xff);
    await handle.write(byte, 0, 1, position);
  } finally {
    await handle.close();
  }
}

async function tasksOf(path: string): Promise<number> {
  const storage = await FileStorage.open(path);
  const { tasks } = await storage.tasks.list({ tenantId: TENANT, filter: {}, limit: 100 });
  await storage.close();
  return tasks.length;
}

describe('the check of a folder', () => {
  it('says what an intact one holds, and changes nothing', async () => {
    await using place = await folder();
    const storage = await fill(place.path, 5);
    await expect(checkFolder(place.path)).rejects.toMatchObject({ code: 'conflict' });
    await storage.close();
    const names = await readdir(place.path);
    const contents = { tenants: 1, sessions: 0, tasks: 5 };
    expect(await checkFolder(place.path)).toEqual({ folder: place.path, contents });
    expect(await repairFolder(place.path)).toEqual({ folder: place.path, contents, keptAside: [] });
    expect(await readdir(place.path)).toEqual(names);
  });

  it('says what it cannot read or write', async () => {
    await using place = await folder();
    await symlink(join(place.path, 'loop'), join(place.path, 'loop'));
    await expect(checkFolder(join(place.path, 'loop'))).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/expected a folder to read and write, got ELOOP/),
    });
    const file = join(place.path, 'file');
    await writeFile(file, '');
    await expect(checkFolder(file)).rejects.toMatchObject({
      message: `${file}: expected a folder of a storage, got a file`,
    });
    await expect(checkFolder(join(file, 'below'))).rejects.toMatchObject({
      message: expect.stringContaining('got ENOTDIR'),
    });
  });

  it('refuses what is no folder of a storage, and creates none', async () => {
    await using place = await folder();
    const message = expect.stringContaining('expected a folder of a storage');
    await writeFile(join(place.path, 'file'), 'text');
    for (const path of [place.path, join(place.path, 'missing'), join(place.path, 'file')])
      await expect(checkFolder(path)).rejects.toMatchObject({ code: 'invalid_request', message });
    expect(await readdir(place.path)).toEqual(['file']);
  });
});

describe('the repair of a folder', () => {
  it('keeps all before the damage of a log, says how much is lost, and renews the event logs', async () => {
    await using place = await folder();
    const storage = await fill(place.path, 20);
    const known = await storage.events.head({ tenantId: TENANT });
    await killed(storage, place.path);
    await damage(join(place.path, 'log-1'), 3_000);
    await expect(FileStorage.open(place.path)).rejects.toMatchObject({ code: 'internal_error' });
    const { damage: found } = await checkFolder(place.path);
    expect(found).toMatchObject({ file: 'log-1', isRepairable: true });
    const lost = found?.lostChanges ?? 0;
    expect(lost).toBeGreaterThan(3);
    const repaired = await repairFolder(place.path);
    // Of the damaged frame it is not known what it held: a command.
    expect(repaired.contents).toMatchObject({ tasks: 20 - lost - 1 });
    expect(repaired.keptAside).toHaveLength(1);
    expect(await stat(join(place.path, repaired.keptAside[0] ?? ''))).toBeDefined();
    expect(await tasksOf(place.path)).toBe(20 - lost - 1);
    const again = await FileStorage.open(place.path);
    const { gap } = await again.events.read({ tenantId: TENANT, after: known, limit: 10 });
    expect(gap).toMatchObject({ event: 'gap', from: known });
    await again.close();
  });

  it('cuts at the head of a log, and keeps the later ones aside', async () => {
    await using place = await folder();
    await (await fill(place.path, 5)).close();
    await killed(await fill(place.path, 15), place.path);
    await damage(join(place.path, 'log-2'), 20);
    const { damage: found } = await checkFolder(place.path);
    expect(found).toMatchObject({ file: 'log-2', position: 0, isRepairable: true });
    const repaired = await repairFolder(place.path);
    expect(repaired.contents).toMatchObject({ tasks: 5 });
    expect(await tasksOf(place.path)).toBe(5);
  });

  it('refuses damage before which there is nothing', async () => {
    await using place = await folder();
    await (await fill(place.path, 5)).close();
    await damage(join(place.path, 'snapshot-2'), 300);
    const { damage: found } = await checkFolder(place.path);
    expect(found).toMatchObject({ file: 'snapshot-2', isRepairable: false });
    await expect(repairFolder(place.path)).rejects.toMatchObject({ code: 'conflict' });
    await using first = await folder();
    await killed(await fill(first.path, 5), first.path);
    await damage(join(first.path, 'log-1'), 20);
    await expect(repairFolder(first.path)).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('the folder of a service', () => {
  async function put(path: string, count: number): Promise<EntryFolder> {
    const store = await EntryFolder.open(path);
    for (let n = 0; n < count; n += 1)
      await store.put({ tenantId: TENANT, changes: [{ key: `key-${n}`, value: 'x'.repeat(100) }] });
    return store;
  }

  async function keysOf(path: string): Promise<string[]> {
    const store = await EntryFolder.open(path);
    const keys: string[] = [];
    for await (const { key } of store.entries({ signal: new AbortController().signal })) keys.push(key);
    await store.close();
    return keys;
  }

  it('is checked as well', async () => {
    await using place = await folder();
    const store = await put(place.path, 5);
    await expect(checkFolder(place.path)).rejects.toMatchObject({ code: 'conflict' });
    await store.close();
    expect(await checkFolder(place.path)).toEqual({ folder: place.path, contents: { entries: 5 } });
    expect(await repairFolder(place.path)).toMatchObject({ contents: { entries: 5 }, keptAside: [] });
  });

  it('is repaired: all before the damage is kept', async () => {
    await using place = await folder();
    await (await put(place.path, 20)).close();
    await damage(join(place.path, 'entries-1'), 1_000);
    await expect(EntryFolder.open(place.path)).rejects.toMatchObject({ code: 'internal_error' });
    const { damage: found } = await checkFolder(place.path);
    expect(found).toMatchObject({ file: 'entries-1', isRepairable: true });
    const kept = 20 - (found?.lostChanges ?? 0) - 1;
    expect(kept).toBeGreaterThan(2);
    const repaired = await repairFolder(place.path);
    expect(repaired).toMatchObject({ contents: { entries: kept } });
    expect(repaired.keptAside).toHaveLength(1);
    expect(await keysOf(place.path)).toEqual(Array.from({ length: kept }, (_, n) => `key-${n}`));
  });

  it('with a damaged head cannot be repaired', async () => {
    await using place = await folder();
    await (await put(place.path, 5)).close();
    await damage(join(place.path, 'entries-1'), 20);
    expect((await checkFolder(place.path)).damage).toMatchObject({ isRepairable: false, lostChanges: 5 });
    await expect(repairFolder(place.path)).rejects.toMatchObject({ code: 'conflict' });
  });
});
