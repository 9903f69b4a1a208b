import { describe, expect, it } from 'vitest';
import { FileStorage } from '../../src/file/file-storage.js';
import { FRAME_HEADER_BYTES, frameHeader } from '../../src/file/frame.js';
import { SeededRandom } from '../chaos/seeded-random.js';
import { ManualClock } from '../harness.js';
import { broken, MemoryDisk, noRoom } from './memory-disk.js';

const RUNS = [{ type: 'work', versions: [1] }];
const TENANT = 'acme';

interface Subject {
  readonly disk: MemoryDisk;
  readonly storage: FileStorage;
  readonly clock: ManualClock;
}

/** Logs so small that a run takes many snapshots. */
const SMALL_LOGS = 3_000;

async function open(disk = new MemoryDisk(), minLogBytes?: number): Promise<Subject> {
  const clock = new ManualClock();
  const options = { clock, disk, onWarning: () => {}, ...(minLogBytes !== undefined && { minLogBytes }) };
  return { disk, clock, storage: await FileStorage.open('memory', options) };
}

function submit(storage: FileStorage, taskId: string, payload: string = 'p') {
  const task = { task_id: taskId, type: 'work', priority: 4, payload, metadata: {}, timeoutMs: 60_000 };
  const submission = { task: { ...task, maxAttempts: 3 }, onBusy: 'enqueue' } as const;
  return storage.tasks.submit({ tenantId: TENANT, submission, maxWaiting: 100_000 });
}

async function claimAndSettle(storage: FileStorage, claimId: string): Promise<string | undefined> {
  const [claim] = await storage.queue.claim({ workerId: 'w', claimId, max: 1, runs: RUNS, leaseMs: 30_000 });
  if (!claim) return undefined;
  const { task, token } = claim;
  const params = { tenantId: TENANT, taskId: task.task_id, token };
  const settlement = { kind: 'completed', result: 'r'.repeat(400) } as const;
  await storage.queue.settle({ ...params, settlement });
  return task.task_id;
}

const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

interface Acknowledged {
  readonly submitted: string[];
  readonly completed: string[];
}

/** Submits in groups, and settles. Ends at the first error. */
async function work(storage: FileStorage, done: Acknowledged): Promise<void> {
  for (let round = 0; round < 6; round += 1) {
    const ids = Array.from({ length: 5 }, (_, n) => idOf(round * 5 + n));
    const answers = await Promise.allSettled(ids.map((id, n) => submit(storage, id, 'x'.repeat(n * 700))));
    done.submitted.push(...ids.filter((_, n) => answers[n]?.status === 'fulfilled'));
    if (answers.some(({ status }) => status === 'rejected')) return;
    const completed = await claimAndSettle(storage, `c-${round}`).catch(() => null);
    if (completed === null) return;
    if (completed !== undefined) done.completed.push(completed);
  }
}

async function statusOf(storage: FileStorage, taskId: string): Promise<string | undefined> {
  return (await storage.tasks.get({ tenantId: TENANT, taskId }))?.task.status;
}

async function expectKept({ submitted, completed }: Acknowledged, storage: FileStorage): Promise<void> {
  for (const id of submitted) expect(await statusOf(storage, id), id).toBeDefined();
  for (const id of completed) expect(await statusOf(storage, id), id).toBe('completed');
}

/** Number of changes of the disk in a whole run. */
async function changesOfARun(minLogBytes: number | undefined): Promise<number> {
  const { storage, disk } = await open(new MemoryDisk(), minLogBytes);
  const done = { submitted: [], completed: [] };
  await work(storage, done);
  await storage.close();
  return disk.operations;
}

class Died extends Error {}

describe('what was acknowledged', () => {
  it.each([
    ['a loss of power that tears sectors', 'tears', undefined],
    ['a loss of power that keeps no sector', 'loses', undefined],
    ['the end of the process', 'keeps', undefined],
    ['a loss of power that tears sectors, with many snapshots,', 'tears', SMALL_LOGS],
    ['a loss of power that keeps no sector, with many snapshots,', 'loses', SMALL_LOGS],
    ['the end of the process, with many snapshots,', 'keeps', SMALL_LOGS],
  ] as const)('is there after %s at each change of the disk', async (_, kind, minLogBytes) => {
    const random = new SeededRandom(kind);
    const changes = await changesOfARun(minLogBytes);
    expect(changes).toBeGreaterThan(30);
    for (let at = 0; at < changes; at += 1) {
      const disk = new MemoryDisk();
      disk.fault = () => {
        if (disk.operations > at) throw new Died('the process is gone');
      };
      const done: Acknowledged = { submitted: [], completed: [] };
      const subject = await open(disk, minLogBytes).catch(() => undefined);
      if (subject) await work(subject.storage, done);
      const keeps = { tears: () => random.fraction() < 0.5, loses: () => false, keeps: () => true }[kind];
      const again = await open(disk.afterPowerLoss(keeps), minLogBytes);
      await expectKept(done, again.storage);
      // It goes on, and what is added is kept, too.
      await submit(again.storage, idOf(1_000));
      await again.storage.close();
      const last = await open(again.disk);
      await expectKept({ ...done, submitted: [...done.submitted, idOf(1_000)] }, last.storage);
      await last.storage.close();
    }
  });

  it('is there on a disk that writes in part', async () => {
    const random = new SeededRandom('short');
    const { storage, disk } = await open();
    disk.fault = (operation, _, bytes) =>
      operation === 'write' ? Math.max(1, Math.floor(bytes * random.fraction())) : undefined;
    const done: Acknowledged = { submitted: [], completed: [] };
    await work(storage, done);
    expect([done.submitted.length, done.completed.length]).toEqual([30, 6]);
    const again = await open(disk.afterPowerLoss(() => false));
    await expectKept(done, again.storage);
  });
});

describe('a disk without room', () => {
  it('refuses writes and answers reads, until it has room again', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    disk.fault = (operation, _, bytes) => {
      // Within the reserved part there is room.
      if (operation === 'write' && bytes >= 2 ** 16) throw noRoom();
    };
    const refused: string[] = [];
    const accepted: string[] = [idOf(1)];
    for (let n = 2; n < 40; n += 1) {
      const taken = await submit(storage, idOf(n), 'x'.repeat(5_000)).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'storage_unavailable', retryable: true });
          return false;
        },
      );
      (taken ? accepted : refused).push(idOf(n));
    }
    expect(refused.length).toBeGreaterThan(10);
    expect(accepted.length).toBeGreaterThan(1);
    for (const id of refused) expect(await statusOf(storage, id)).toBeUndefined();
    for (const id of accepted) expect(await statusOf(storage, id)).toBe('pending');
    disk.fault = () => undefined;
    const [first = ''] = refused;
    await submit(storage, first);
    const again = await open(disk.afterKill());
    await expectKept({ submitted: [...accepted, first], completed: [] }, again.storage);
  });
});

describe('a disk that fails', () => {
  it.each(['write', 'sync'] as const)('at a %s closes the storage for good', async (failing) => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    let failed = 0;
    disk.fault = (operation) => {
      if (operation !== failing) return;
      failed += 1;
      if (failed === 1) throw broken();
    };
    const both = await Promise.allSettled([submit(storage, idOf(2)), statusOf(storage, idOf(2))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    // The disk works again, but what it holds is not known.
    await expect(submit(storage, idOf(3))).rejects.toMatchObject({
      code: 'storage_unavailable',
      message: expect.stringContaining('EIO'),
    });
    await expect(statusOf(storage, idOf(1))).rejects.toMatchObject({ code: 'storage_unavailable' });
    await storage.close();
    const again = await open(disk.afterPowerLoss(() => false));
    expect(await statusOf(again.storage, idOf(1))).toBe('pending');
    expect(await statusOf(again.storage, idOf(3))).toBeUndefined();
  });
});

describe('before it is durable', () => {
  it('nothing is visible: no answer, no wakeup, no event, no read', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    const seen: string[] = [];
    const heard = new AbortController();
    const head = await storage.events.head({ tenantId: TENANT });
    const follower = (async () => {
      for await (const event of storage.events.follow({
        tenantId: TENANT,
        after: head,
        signal: heard.signal,
      }))
        seen.push(event.event);
    })();
    let release = () => {};
    const blocked = new Promise<void>((resolve) => {
      release = resolve;
    });
    await new Promise((resolve) => setImmediate(resolve));
    await storage.ping();
    storage.wakeups.subscribe(() => seen.push('wakeup'));
    disk.syncs = () => blocked;
    const submitted = submit(storage, idOf(2)).then(() => seen.push('answer'));
    const read = statusOf(storage, idOf(2)).then((status) => seen.push(`read ${status}`));
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([]);
    release();
    await Promise.all([submitted, read]);
    expect(seen).toEqual(expect.arrayContaining(['wakeup', 'answer', 'read pending']));
    heard.abort();
    await follower;
    await storage.close();
  });
});

describe('a damaged log', () => {
  it('is refused with the position, unless it is the unwritten end', async () => {
    const { storage, disk } = await open();
    for (let n = 1; n <= 5; n += 1) await submit(storage, idOf(n));
    const damaged = disk.afterKill();
    damaged.damage('log-1', 700);
    await expect(open(damaged)).rejects.toMatchObject({
      code: 'internal_error',
      message: expect.stringMatching(
        /log-1: expected an intact frame at byte \d+, got damage up to byte \d+/,
      ),
    });
    // The folder is free again, and the log as it was.
    damaged.damage('log-1', 700);
    const mended = await open(damaged);
    expect(await statusOf(mended.storage, idOf(5))).toBe('pending');
    await mended.storage.close();
  });

  it('with a torn end is cut, and readers get a gap', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    const known = await storage.events.head({ tenantId: TENANT });
    const before = disk.bytesOf('log-1').lastIndexOf('AOF1');
    await submit(storage, idOf(2));
    const torn = disk.afterKill();
    const last = torn.bytesOf('log-1').lastIndexOf('AOF1');
    expect(last).toBeGreaterThan(before);
    torn.damage('log-1', last + 20);
    const again = await open(torn);
    expect(await statusOf(again.storage, idOf(1))).toBe('pending');
    expect(await statusOf(again.storage, idOf(2))).toBeUndefined();
    const page = await again.storage.events.read({ tenantId: TENANT, after: known, limit: 10 });
    expect(page.gap).toMatchObject({ event: 'gap', from: known });
  });
});

describe('snapshots', () => {
  it('are taken while the storage is used, and replace the logs before them', async () => {
    const { storage, disk } = await open(new MemoryDisk(), SMALL_LOGS);
    const done: Acknowledged = { submitted: [], completed: [] };
    for (let n = 0; n < 200; n += 1) {
      await submit(storage, idOf(n), 'x'.repeat(100));
      done.submitted.push(idOf(n));
    }
    const killed = disk.afterKill();
    const names = (await killed.list()).filter((name) => !name.startsWith('lock'));
    expect(names.filter((name) => name.startsWith('snapshot-')).length).toBeGreaterThan(0);
    expect(names.length).toBeLessThan(7);
    await expectKept(done, (await open(killed)).storage);
    await storage.close();
    const closed = (await disk.list()).toSorted();
    expect(closed.map((name) => name.replace(/\d+/, 'n'))).toEqual(['log-n', 'snapshot-n']);
    await expectKept(done, (await open(disk)).storage);
  });

  it('that fail lose nothing, and are made up for by the next', async () => {
    const warnings: string[] = [];
    const disk = new MemoryDisk();
    const options = { disk, clock: new ManualClock(), minLogBytes: SMALL_LOGS };
    const storage = await FileStorage.open('memory', {
      ...options,
      onWarning: (text) => warnings.push(text),
    });
    disk.fault = (operation, name) => {
      if (operation === 'write' && name.startsWith('snapshot-')) throw noRoom();
    };
    const submitted = Array.from({ length: 60 }, (_, n) => idOf(n));
    for (const id of submitted.slice(0, 30)) await submit(storage, id, 'x'.repeat(300));
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings[0]).toMatch(/^.*memory: no snapshot was taken, and the log grows on: ENOSPC/);
    await expectKept(
      { submitted: submitted.slice(0, 30), completed: [] },
      (await open(disk.afterKill())).storage,
    );
    disk.fault = () => undefined;
    for (const id of submitted.slice(30)) await submit(storage, id, 'x'.repeat(300));
    await storage.close();
    expect((await disk.list()).length).toBe(2);
    await expectKept({ submitted, completed: [] }, (await open(disk)).storage);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])(
    'that cannot begin a new log, at step %s, leave the old one in use',
    async (step) => {
      const warnings: string[] = [];
      const disk = new MemoryDisk();
      const options = { disk, clock: new ManualClock(), minLogBytes: SMALL_LOGS };
      const storage = await FileStorage.open('memory', {
        ...options,
        onWarning: (text) => warnings.push(text),
      });
      let steps = 0;
      disk.fault = (operation, name) => {
        // The steps of the first new log: create, truncate, reserve (two), its head (two), the name in the folder.
        if (name !== 'log-2' && !(name === '' && steps > 0)) return;
        if (steps >= step && warnings.length === 0) throw noRoom();
        steps += 1;
      };
      const submitted = Array.from({ length: 30 }, (_, n) => idOf(n));
      for (const id of submitted) await submit(storage, id, 'x'.repeat(300));
      expect(warnings.length).toBe(1);
      disk.fault = () => undefined;
      await expectKept({ submitted, completed: [] }, (await open(disk.afterKill())).storage);
      await expectKept({ submitted, completed: [] }, (await open(disk.afterPowerLoss(() => false))).storage);
      await submit(storage, idOf(100));
      await storage.close();
      await expectKept({ submitted: [...submitted, idOf(100)], completed: [] }, (await open(disk)).storage);
    },
  );

  it('that are damaged or missing are refused', async () => {
    const { storage, disk } = await open();
    for (let n = 1; n <= 5; n += 1) await submit(storage, idOf(n));
    await storage.close();
    const damaged = disk.afterKill();
    damaged.damage('snapshot-2', 400);
    await expect(open(damaged)).rejects.toMatchObject({
      code: 'internal_error',
      message: expect.stringMatching(/snapshot-2: /),
    });
    const withoutLog = disk.afterKill();
    await withoutLog.remove('log-2');
    await expect(open(withoutLog)).rejects.toMatchObject({
      code: 'internal_error',
      message: expect.stringContaining('expected a file log-2, got none'),
    });
    const withoutSnapshot = disk.afterKill();
    await withoutSnapshot.remove('snapshot-2');
    await expect(open(withoutSnapshot)).rejects.toMatchObject({
      code: 'internal_error',
      message: expect.stringContaining('expected a file log-1, got none'),
    });
  });
});

describe('a storage that is opened again', () => {
  it('has the limits of the process that opens it, and no followers', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1), 'x'.repeat(5_000));
    const stop = new AbortController();
    const follower = storage.events.follow({
      tenantId: 'idle',
      after: await storage.events.head({ tenantId: 'idle' }),
      signal: stop.signal,
    });
    const first = follower[Symbol.asyncIterator]().next();
    await submit(storage, idOf(2));
    const clock = new ManualClock();
    const options = { clock, disk: disk.afterKill(), limits: { maxStoredBytes: 1_000 } };
    const again = await FileStorage.open('memory', options);
    const refused = await submit(again, idOf(3));
    expect(refused).toMatchObject({ answer: 'queue_full' });
    stop.abort();
    await first;
    await again.close();
    await storage.close();
  });

  it('ends the leases of the process before, so that its tasks run again at once', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    const claim = { workerId: 'w', max: 1, runs: RUNS, leaseMs: 30_000 };
    const [before] = await storage.queue.claim({ ...claim, claimId: 'first' });
    expect(before?.task.task_id).toBe(idOf(1));
    const again = await open(disk.afterKill());
    await again.storage.queue.sweep({ max: 100 });
    const [after] = await again.storage.queue.claim({ ...claim, workerId: 'v', claimId: 'second' });
    expect(after?.task.task_id).toBe(idOf(1));
    const settlement = { kind: 'completed', result: 1 } as const;
    const late = { tenantId: TENANT, taskId: idOf(1), token: before?.token ?? '', settlement };
    expect(await again.storage.queue.settle(late)).toBe('lease_lost');
  });
});

/** The file as another version of the engine has written its head. */
function asOfVersion(disk: MemoryDisk, engine: number): void {
  for (const name of disk.names().filter((each) => /^(?:log|snapshot)-\d+$/.test(each))) {
    const content = disk.bytesOf(name);
    const length = content.readUInt32LE(4);
    const end = FRAME_HEADER_BYTES + length;
    const head = JSON.parse(content.subarray(FRAME_HEADER_BYTES, end).toString()) as object;
    const body = Buffer.from(JSON.stringify({ ...head, engine }));
    disk.put(name, Buffer.concat([frameHeader([body]), body, content.subarray(end)]));
  }
}

describe('a folder of another version of the engine', () => {
  it('is opened if it was closed, which leaves a snapshot even without a command', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    const killed = disk.afterKill();
    // The advice in the message: open it once, and close it.
    await (await open(killed)).storage.close();
    asOfVersion(killed, 0);
    const again = await open(killed);
    expect(await statusOf(again.storage, idOf(1))).toBe('pending');
    await again.storage.close();
    expect(
      killed
        .names()
        .toSorted()
        .map((name) => name.replace(/\d+/, 'n')),
    ).toEqual(['log-n', 'snapshot-n']);
  });

  it('is refused with its commands, and left as it is where no new log can be begun', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    const killed = disk.afterKill();
    asOfVersion(killed, 0);
    await expect(open(killed)).rejects.toMatchObject({
      message: expect.stringContaining('open the folder once'),
    });
    await storage.close();
    asOfVersion(disk, 0);
    disk.fault = (_, name) => {
      if (name === 'log-3') throw noRoom();
    };
    await expect(open(disk)).rejects.toMatchObject({ code: 'storage_unavailable' });
    disk.fault = () => undefined;
    expect(await statusOf((await open(disk)).storage, idOf(1))).toBe('pending');
  });

  it('that is later is refused', async () => {
    const { storage, disk } = await open();
    await submit(storage, idOf(1));
    const killed = disk.afterKill();
    await storage.close();
    for (const later of [killed, disk]) {
      asOfVersion(later, 2);
      await expect(open(later)).rejects.toMatchObject({
        code: 'internal_error',
        message: expect.stringContaining('expected version 1 of the engine at most, got version 2'),
      });
    }
  });
});

describe('a handler of warnings that throws', () => {
  it('neither closes the storage nor keeps the folder', async () => {
    const disk = new MemoryDisk();
    const throws = {
      onWarning: () => {
        throw new Error('of the handler');
      },
    };
    const options = { disk, clock: new ManualClock(), minLogBytes: SMALL_LOGS, ...throws };
    const storage = await FileStorage.open('memory', options);
    disk.fault = (operation, name) => {
      if (operation === 'write' && /^(?:snapshot|log-[2-9])/.test(name)) throw noRoom();
    };
    for (let n = 0; n < 30; n += 1) await submit(storage, idOf(n), 'x'.repeat(300));
    await storage.close();
    disk.fault = () => undefined;
    expect(await statusOf((await open(disk)).storage, idOf(29))).toBe('pending');
  });
});
