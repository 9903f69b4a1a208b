import { describe, expect, it } from 'vitest';
import { EntryFolder } from '../../src/file/entry-folder.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { SeededRandom } from '../chaos/seeded-random.js';
import { broken, MemoryDisk, noRoom } from './memory-disk.js';

const TENANT = 'acme';
/** Compacted so often that a run has many. */
const LITTLE_GARBAGE = 1_500;

function open(disk: MemoryDisk, minGarbageBytes?: number, warnings: string[] = []): Promise<EntryFolder> {
  const onWarning = (message: string) => warnings.push(message);
  const options = { disk, onWarning, ...(minGarbageBytes !== undefined && { minGarbageBytes }) };
  return EntryFolder.open('memory', options);
}

async function contentOf(store: EntryFolder): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const { key, value } of store.entries({ signal: new AbortController().signal }))
    found.set(key, (value as { at: number }).at);
  return found;
}

const KEYS = 6;
const PUTS = 40;

/** Latest put of each key: number of the last one that was acknowledged, and of the last one that was tried. */
interface History {
  readonly acknowledged: Map<string, number>;
  readonly tried: Map<string, number>;
}

const newHistory = (): History => ({ acknowledged: new Map(), tried: new Map() });

/** Writes pairs of keys, some of which are removed. Ends at the first error. */
async function work(store: EntryFolder, { acknowledged, tried }: History): Promise<void> {
  for (let at = 1; at <= PUTS; at += 2) {
    const puts = [at, at + 1].map(async (number) => {
      const names = [`${number % KEYS}-left`, `${number % KEYS}-right`];
      for (const key of names) tried.set(key, number);
      const value = { at: number, text: 'x'.repeat((number % 4) * 150) };
      const isRemoval = number % 5 === 0;
      const changes = names.map((key) => (isRemoval ? { key } : { key, value }));
      await store.put({ tenantId: TENANT, changes });
      for (const key of names) acknowledged.set(key, number);
    });
    const results = await Promise.allSettled(puts);
    if (results.some(({ status }) => status === 'rejected')) return;
  }
}

/** Each key is as it was acknowledged, or as a later put tried to make it; and keys of one put are equal. */
function expectHistory(content: ReadonlyMap<string, number>, { acknowledged, tried }: History): void {
  const removed = (at: number) => at % 5 === 0;
  for (const [key, last] of tried) {
    const known = acknowledged.get(key) ?? 0;
    const possible = [known, last].map((at) => (at === 0 || removed(at) ? undefined : at));
    expect(possible, key).toContain(content.get(key));
  }
  for (let key = 0; key < KEYS; key += 1)
    expect(content.get(`${key}-left`)).toBe(content.get(`${key}-right`));
}

class Died extends Error {}

describe('entries that were acknowledged', () => {
  it.each([
    ['a loss of power that tears sectors', 'tears', undefined],
    ['a loss of power that keeps no sector', 'loses', undefined],
    ['the end of the process', 'keeps', undefined],
    ['a loss of power that tears sectors, with many compactions,', 'tears', LITTLE_GARBAGE],
    ['a loss of power that keeps no sector, with many compactions,', 'loses', LITTLE_GARBAGE],
    ['the end of the process, with many compactions,', 'keeps', LITTLE_GARBAGE],
  ] as const)('are there after %s at each change of the disk', async (_, kind, minGarbage) => {
    const random = new SeededRandom(kind);
    const whole = new MemoryDisk();
    const undisturbed = await open(whole, minGarbage);
    await work(undisturbed, newHistory());
    await undisturbed.close();
    if (minGarbage !== undefined) expect(numberOfFile(whole)).toBeGreaterThan(3);
    for (let at = 0; at < whole.operations; at += 1) {
      const disk = new MemoryDisk();
      disk.fault = () => {
        if (disk.operations > at) throw new Died('the process is gone');
      };
      const history = newHistory();
      const store = await open(disk, minGarbage).catch(() => undefined);
      if (store) await work(store, history);
      const keeps = { tears: () => random.fraction() < 0.5, loses: () => false, keeps: () => true }[kind];
      const again = await open(disk.afterPowerLoss(keeps), minGarbage);
      const found = await contentOf(again);
      expectHistory(found, history);
      await again.put({ tenantId: TENANT, changes: [{ key: 'last', value: { at: 1_000 } }] });
      expect(await contentOf(again)).toEqual(new Map([...found, ['last', 1_000]]));
      await again.close();
    }
  });

  it('are there on a disk that writes in part', async () => {
    const random = new SeededRandom('short');
    const disk = new MemoryDisk();
    disk.fault = (operation, _, bytes) =>
      operation === 'write' ? Math.max(1, Math.floor(bytes * random.fraction())) : undefined;
    const store = await open(disk, LITTLE_GARBAGE);
    const history = newHistory();
    await work(store, history);
    expect(history.acknowledged).toEqual(history.tried);
    const again = await open(disk.afterPowerLoss(() => false));
    expectHistory(await contentOf(again), history);
  });
});

/** Number of the newest file of entries. */
function numberOfFile(disk: MemoryDisk): number {
  return Math.max(...filesOf(disk).map((name) => Number(/^entries-(\d+)$/.exec(name)?.[1] ?? 0)));
}

function filesOf(disk: MemoryDisk): string[] {
  return disk.names().filter((name) => name.startsWith('entries-'));
}

const putOne = (store: EntryFolder, key: string, length: number, at = 1) =>
  store.put({ tenantId: TENANT, changes: [{ key, value: { at, text: 'x'.repeat(length) } }] });

describe('a folder of entries', () => {
  it('refuses a put on a disk without room, changes nothing, and recovers', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk);
    await putOne(store, 'a', 10);
    disk.fault = (operation) => {
      if (operation === 'write') throw noRoom();
    };
    const code = 'storage_unavailable';
    await expect(putOne(store, 'a', 200_000, 2)).rejects.toMatchObject({ code, retryable: true });
    await expect(putOne(store, 'b', 200_000, 2)).rejects.toMatchObject({ code, retryable: true });
    expect(await contentOf(store)).toEqual(new Map([['a', 1]]));
    disk.fault = () => undefined;
    await putOne(store, 'b', 200_000, 3);
    const again = await open(disk.afterPowerLoss(() => false));
    expect(await contentOf(again)).toEqual(
      new Map([
        ['a', 1],
        ['b', 3],
      ]),
    );
  });

  it.each(['write', 'sync'] as const)('accepts nothing after a %s that failed', async (operation) => {
    const disk = new MemoryDisk();
    const store = await open(disk);
    await putOne(store, 'a', 10);
    disk.fault = (now) => {
      if (now === operation) throw broken();
    };
    const code = 'storage_unavailable';
    const two = [putOne(store, 'b', 10), putOne(store, 'c', 10)];
    for (const result of await Promise.allSettled(two)) expect(result).toMatchObject({ reason: { code } });
    disk.fault = () => undefined;
    await expect(putOne(store, 'd', 10)).rejects.toMatchObject({ code });
    await store.close();
    const again = await open(disk.afterPowerLoss(() => true));
    expect((await contentOf(again)).get('a')).toBe(1);
  });

  it('shares a write and a sync among the puts of a turn', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk);
    await putOne(store, 'a', 10);
    const before = disk.operations;
    await Promise.all(Array.from({ length: 100 }, (_, at) => putOne(store, `k-${at}`, 10)));
    expect(disk.operations - before).toBe(2);
  });

  it('keeps its size in bounds, and one file', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk, 10_000);
    for (let at = 1; at <= 600; at += 1) await putOne(store, `k-${at % 3}`, 1_000, at);
    await store.close();
    const [name = '', ...others] = filesOf(disk);
    expect([others, numberOfFile(disk) > 10]).toEqual([[], true]);
    // Live entries twice, garbage, what came during a compaction, and what is reserved.
    expect(disk.bytesOf(name).length).toBeLessThan(200_000);
    const again = await open(disk);
    expect((await contentOf(again)).get('k-0')).toBe(600);
  });

  it('goes on with the old file when it cannot be compacted, and says so', async () => {
    const disk = new MemoryDisk();
    const warnings: string[] = [];
    const store = await open(disk, 10_000, warnings);
    disk.fault = (operation, name) => {
      if (operation === 'write' && name.endsWith('.tmp')) throw noRoom();
    };
    for (let at = 1; at <= 100; at += 1) await putOne(store, 'a', 1_000, at);
    expect(numberOfFile(disk)).toBe(1);
    expect(warnings[0]).toContain('was not compacted');
    disk.fault = () => undefined;
    for (let at = 101; at <= 200; at += 1) await putOne(store, 'a', 1_000, at);
    await store.close();
    expect(numberOfFile(disk)).toBeGreaterThan(1);
    expect(await contentOf(await open(disk))).toEqual(new Map([['a', 200]]));
  });

  it('cuts an end that was written in part, and refuses damage before the end', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk);
    const sizes: number[] = [];
    for (let at = 1; at <= 3; at += 1) {
      await putOne(store, `k-${at}`, 100, at);
      sizes.push(disk.bytesOf('entries-1').indexOf(`"at":${at}`));
    }
    await store.close();
    const damagedAt = (position: number) => {
      const other = disk.afterKill();
      other.damage('entries-1', position);
      return open(other, undefined, warnings);
    };
    const warnings: string[] = [];
    expect([...(await contentOf(await damagedAt(sizes[2] ?? 0))).keys()]).toEqual(['k-1', 'k-2']);
    expect(warnings).toEqual([
      expect.stringMatching(/entries-1: the end behind byte \d+ was written in part/),
    ]);
    await expect(damagedAt(sizes[1] ?? 0)).rejects.toMatchObject({
      code: 'internal_error',
      message: expect.stringMatching(/entries-1: expected an intact frame at byte \d+, got damage/),
    });
  });

  it('refuses a file of another kind', async () => {
    const disk = new MemoryDisk();
    disk.put('entries-1', Buffer.from('hello'));
    await expect(open(disk)).rejects.toMatchObject({ message: expect.stringContaining('another program') });
  });

  it('has a folder without a storage', async () => {
    const disk = new MemoryDisk();
    await (await FileStorage.open('memory', { disk } as object)).close();
    await expect(open(disk)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(
        'expected the folder of the state of a service, got that of a storage',
      ),
    });
    const other = new MemoryDisk();
    await (await open(other)).close();
    await expect(FileStorage.open('memory', { disk: other } as object)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(
        'expected the folder of a storage, got one with the state of a service',
      ),
    });
    await (await open(other)).close();
  });

  it('belongs to one opener at a time', async () => {
    const disk = new MemoryDisk();
    const store = await open(disk);
    await expect(open(disk)).rejects.toMatchObject({ code: 'conflict' });
    await store.close();
    await (await open(disk)).close();
  });
});
