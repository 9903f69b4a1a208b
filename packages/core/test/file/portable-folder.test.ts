import { describe, expect, it } from 'vitest';
import { FileStorage } from '../../src/file/file-storage.js';
import { PortableFolder } from '../../src/file/portable-folder.js';
import type { PortableRecord } from '../../src/storage/index.js';
import { SeededRandom } from '../chaos/seeded-random.js';
import { ManualClock } from '../harness.js';
import { canonical, linesOf, recordsOf } from '../portable-records.js';
import { folder } from './folder.js';
import { broken, MemoryDisk, noRoom } from './memory-disk.js';

const { signal } = new AbortController();
const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

async function submit(storage: FileStorage, n: number): Promise<void> {
  const task = { task_id: idOf(n), type: 'work', priority: 4, payload: 'p', metadata: {}, timeoutMs: 60_000 };
  const submission = { task: { ...task, maxAttempts: 3 }, onBusy: 'enqueue' } as const;
  await storage.tasks.submit({ tenantId: 'acme', submission, maxWaiting: 100_000 });
}

function opened(disk: MemoryDisk, clock: ManualClock): Promise<FileStorage> {
  const options = { clock, disk, onWarning: () => {} };
  return FileStorage.open('memory', options);
}

function portable(disk: MemoryDisk, clock: ManualClock): PortableFolder {
  const options = { clock, disk };
  return new PortableFolder('memory', options);
}

/** The lines of a folder with some tasks, one of them leased. */
async function someLines(clock: ManualClock): Promise<string[]> {
  const disk = new MemoryDisk();
  const storage = await opened(disk, clock);
  for (let n = 0; n < 30; n += 1) await submit(storage, n);
  const runs = [{ type: 'work', versions: [1] }];
  await storage.queue.claim({ workerId: 'w', claimId: 'c', max: 1, runs, leaseMs: 30_000 });
  await storage.sessions.create({ tenantId: 'acme', sessionId: 's', context: { a: 1 } });
  await storage.close();
  return linesOf(portable(disk, clock).exportRecords({ signal }));
}

async function* each(records: readonly PortableRecord[]): AsyncGenerator<PortableRecord> {
  yield* records;
}

function fill(disk: MemoryDisk, clock: ManualClock, records: readonly PortableRecord[]): Promise<void> {
  const source = { id: 'some', records: () => each(records) };
  return portable(disk, clock).importRecords({ source, signal });
}

async function tasksOf(disk: MemoryDisk, clock: ManualClock): Promise<number> {
  const storage = await opened(disk, clock);
  const { counts } = await storage.tasks.counts({ tenantId: 'acme' });
  await storage.close();
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

describe('an import into a folder', () => {
  it('fills it in one step, and gives the event logs a new epoch', async () => {
    const clock = new ManualClock();
    const lines = await someLines(clock);
    const disk = new MemoryDisk();
    await fill(disk, clock, await recordsOf(lines));
    expect(canonical(await linesOf(portable(disk, clock).exportRecords({ signal })))).toEqual(
      canonical(lines),
    );
    const storage = await opened(disk, clock);
    // The worker of the leased task is gone.
    await storage.queue.sweep({ max: 100 });
    expect(await storage.tenants.get({ tenantId: 'acme' })).toMatchObject({ ready: 30, running: 0 });
    const head = await storage.events.head({ tenantId: 'acme' });
    expect(Number(head.split(':')[1])).toBeGreaterThanOrEqual(30);
    await storage.close();
  });

  it('goes into a folder that was opened before and holds nothing', async () => {
    const clock = new ManualClock();
    const records = await recordsOf(await someLines(clock));
    const disk = new MemoryDisk();
    await (await opened(disk, clock)).close();
    await fill(disk, clock, records);
    expect(await tasksOf(disk, clock)).toBe(30);
  });

  it('leaves nothing or everything wherever it is killed, and can be repeated', async () => {
    const clock = new ManualClock();
    const records = await recordsOf(await someLines(clock));
    const seen = new Set<number>();
    const random = new SeededRandom('7');
    for (let at = 1; ; at += 1) {
      const disk = new MemoryDisk();
      let left = at;
      disk.fault = () => {
        left -= 1;
        if (left <= 0) throw broken();
      };
      const isDone = await fill(disk, clock, records).then(
        () => true,
        () => false,
      );
      const isKilled = left <= 0;
      for (const after of [disk.afterKill(), disk.afterPowerLoss(() => random.fraction() < 0.5)]) {
        const tasks = await tasksOf(after, clock);
        seen.add(tasks);
        expect([0, 30], `killed at operation ${at}`).toContain(tasks);
        if (isDone) expect(tasks).toBe(30);
        if (tasks > 0) continue;
        await fill(after, clock, records);
        expect(await tasksOf(after, clock)).toBe(30);
      }
      if (!isKilled) break;
    }
    expect(seen).toEqual(new Set([0, 30]));
  });

  it('says that the disk is full', async () => {
    const clock = new ManualClock();
    const records = await recordsOf(await someLines(clock));
    const disk = new MemoryDisk();
    disk.fault = (operation, name) => {
      if (operation === 'write' && name.endsWith('.tmp')) throw noRoom();
    };
    await expect(fill(disk, clock, records)).rejects.toMatchObject({
      code: 'storage_unavailable',
      message: expect.stringContaining('the disk has no room') as string,
    });
  });

  it('is refused by a folder that holds something', async () => {
    const clock = new ManualClock();
    const records = await recordsOf(await someLines(clock));
    const disk = new MemoryDisk();
    await fill(disk, clock, records);
    await expect(fill(disk, clock, records)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(
        /expected an empty storage, got one with tenants: 1, sessions: 1, tasks: 30$/,
      ) as string,
    });
  });
});

describe('a folder that a process uses', () => {
  it('is neither exported nor filled', async () => {
    await using place = await folder();
    const storage = await FileStorage.open(place.path);
    await submit(storage, 1);
    const busy = { code: 'conflict', message: expect.stringContaining(`process ${process.pid}`) as string };
    const state = new PortableFolder(place.path);
    await expect(linesOf(state.exportRecords({ signal }))).rejects.toMatchObject(busy);
    const source = { id: 'none', records: () => each([]) };
    await expect(state.importRecords({ source, signal })).rejects.toMatchObject(busy);
    await storage.close();
    expect(await linesOf(state.exportRecords({ signal }))).toHaveLength(4);
  });

  it('has to be a folder of a storage', async () => {
    await using place = await folder();
    await expect(linesOf(new PortableFolder(place.path).exportRecords({ signal }))).rejects.toMatchObject({
      code: 'invalid_request',
      message: `${place.path}: expected a folder of a storage, got none`,
    });
  });
});
