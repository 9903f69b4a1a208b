import { describe, expect, it } from 'vitest';
import { MAX_WAITING_BYTES } from '../../src/file/file-gate.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { ManualClock } from '../harness.js';
import { broken, MemoryDisk, noRoom } from './memory-disk.js';

const TENANT = 'acme';
const PAYLOAD = 'x'.repeat(1_000_000);
const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

function submit(storage: FileStorage, taskId: string, payload = PAYLOAD) {
  const task = { task_id: taskId, type: 'work', priority: 4, payload, metadata: {}, timeoutMs: 60_000 };
  const submission = { task: { ...task, maxAttempts: 3 }, onBusy: 'enqueue' } as const;
  return storage.tasks.submit({ tenantId: TENANT, submission, maxWaiting: 100_000 });
}

describe('a disk that is slower than the requests', () => {
  it.each([
    ['during a sync', false],
    ['while no room can be reserved', true],
  ])('has a limited number of bytes that wait for it, %s', async (_, hasNoRoom) => {
    const disk = new MemoryDisk();
    const storage = await FileStorage.open('memory', { clock: new ManualClock(), disk } as object);
    let release = () => {};
    const blocked = new Promise<void>((resolve) => {
      release = resolve;
    });
    disk.syncs = () => blocked;
    if (hasNoRoom)
      disk.fault = (operation) => {
        if (operation === 'write') throw noRoom();
      };
    const most = Math.floor(MAX_WAITING_BYTES / PAYLOAD.length);
    const outcomes = Array.from({ length: 2 * most }, (_, n) => submit(storage, idOf(n)));
    const [last] = await Promise.allSettled([outcomes.at(-1)]);
    expect(last).toMatchObject({
      status: 'rejected',
      reason: { code: 'storage_unavailable', retryable: true, retryAfterMs: 1_000 },
    });
    disk.fault = () => undefined;
    release();
    const settled = await Promise.allSettled(outcomes);
    const accepted = settled.filter(({ status }) => status === 'fulfilled').length;
    if (hasNoRoom) expect(accepted).toBeLessThanOrEqual(most);
    else expect([most - 2, most - 1, most]).toContain(accepted);
    for (const [n, { status }] of settled.entries()) {
      const found = await storage.tasks.get({ tenantId: TENANT, taskId: idOf(n) });
      expect(found !== undefined, idOf(n)).toBe(status === 'fulfilled');
    }
    await submit(storage, idOf(1_000));
    await storage.close();
  });

  it('ends a follower though nothing more may wait', async () => {
    const disk = new MemoryDisk();
    const storage = await FileStorage.open('memory', { clock: new ManualClock(), disk } as object);
    const over = new AbortController();
    const after = await storage.events.head({ tenantId: TENANT });
    const events = storage.events.follow({ tenantId: TENANT, after, signal: over.signal });
    const next = events[Symbol.asyncIterator]().next();
    await submit(storage, idOf(0));
    expect(await next).toMatchObject({ value: { event: 'task_created' } });
    const ended = events[Symbol.asyncIterator]().next();
    let release = () => {};
    const blocked = new Promise<void>((resolve) => {
      release = resolve;
    });
    disk.syncs = () => blocked;
    const most = Math.floor(MAX_WAITING_BYTES / PAYLOAD.length);
    const outcomes = Array.from({ length: 2 * most }, (_, n) => submit(storage, idOf(n + 1)));
    await expect(outcomes.at(-1)).rejects.toMatchObject({ code: 'storage_unavailable' });
    over.abort();
    expect(await ended).toEqual({ done: true, value: undefined });
    release();
    await Promise.allSettled(outcomes);
    await storage.close();
  });
});

describe('a snapshot whose predecessors cannot be removed', () => {
  it('counts, without a warning, and they are removed later', async () => {
    const warnings: string[] = [];
    const disk = new MemoryDisk();
    const options = {
      clock: new ManualClock(),
      disk,
      minLogBytes: 3_000,
      onWarning: (text: string) => warnings.push(text),
    };
    const storage = await FileStorage.open('memory', options);
    disk.fault = (operation, name) => {
      if (operation === 'other' && name === 'log-1') throw broken();
    };
    for (let n = 0; n < 30; n += 1) await submit(storage, idOf(n), 'x'.repeat(300));
    const names = await disk.list();
    expect(names).toContain('log-1');
    expect(names.some((name) => name.startsWith('snapshot-'))).toBe(true);
    disk.fault = () => undefined;
    await storage.close();
    expect(warnings).toEqual([]);
    expect((await disk.list()).length).toBe(2);
  });
});
