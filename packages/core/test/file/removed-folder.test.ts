import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EntryFolder } from '../../src/file/entry-folder.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { folder } from './folder.js';
import { ManualClock } from '../harness.js';
import { MemoryDisk } from './memory-disk.js';

const TENANT = 'acme';
const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const GONE = { code: 'storage_unavailable', message: expect.stringContaining('the folder was removed') };

function submit(storage: FileStorage, taskId: string) {
  const task = { task_id: taskId, type: 'work', priority: 4, payload: 'p', metadata: {}, timeoutMs: 60_000 };
  const submission = { task: { ...task, maxAttempts: 3 }, onBusy: 'enqueue' } as const;
  return storage.tasks.submit({ tenantId: TENANT, submission, maxWaiting: 100_000 });
}

/** Calls until one is refused; for longer than a lock is believed to be there. */
async function refusalOf(call: (n: number) => Promise<unknown>): Promise<unknown> {
  const end = performance.now() + 10_000;
  for (let n = 1; performance.now() < end; n += 1) {
    const refusal = await call(n).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refusal) return refusal;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

it('a storage whose folder is removed refuses changes soon, for good', async () => {
  await using place = await folder();
  const path = join(place.path, 'data');
  const storage = await FileStorage.open(path);
  await submit(storage, idOf(1));
  await rm(path, { recursive: true });
  expect(await refusalOf((n) => submit(storage, idOf(1 + n)))).toMatchObject(GONE);
  await expect(async () => submit(storage, idOf(100_000))).rejects.toMatchObject(GONE);
  await storage.close();
});

it('a store of entries whose folder is removed refuses changes soon, for good', async () => {
  await using place = await folder();
  const path = join(place.path, 'data');
  const store = await EntryFolder.open(path);
  const put = (n: number) => store.put({ tenantId: TENANT, changes: [{ key: String(n), value: n }] });
  await put(0);
  await rm(path, { recursive: true });
  expect(await refusalOf(put)).toMatchObject(GONE);
  await expect(put(100_000)).rejects.toMatchObject(GONE);
  await store.close();
});

it('a storage that ends leaves alone what another one has begun at the place of its removed folder', async () => {
  await using place = await folder();
  const path = join(place.path, 'data');
  const first = await FileStorage.open(path);
  await submit(first, idOf(1));
  await rm(path, { recursive: true });
  const second = await FileStorage.open(path);
  await submit(second, idOf(2));
  await expect(first.close()).rejects.toMatchObject(GONE);
  // Its lock is still there.
  await expect(FileStorage.open(path)).rejects.toMatchObject({ code: 'conflict' });
  await submit(second, idOf(3));
  await second.close();
  const again = await FileStorage.open(path);
  for (const n of [2, 3]) expect(await again.tasks.get({ tenantId: TENANT, taskId: idOf(n) })).toBeDefined();
  await again.close();
});

it('a lock that cannot be read is believed to be there', async () => {
  const disk = new MemoryDisk();
  const storage = await FileStorage.open('memory', { clock: new ManualClock(), disk } as object);
  disk.readText = async () => {
    throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
  };
  await submit(storage, idOf(1));
  await storage.close();
});
