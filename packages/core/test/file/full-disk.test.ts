import { expect, it } from 'vitest';
import { FileStorage } from '../../src/file/file-storage.js';
import { LogWriter } from '../../src/file/log-writer.js';
import { StateLog } from '../../src/file/state-log.js';
import { ManualClock } from '../harness.js';
import { MemoryDisk, noRoom } from './memory-disk.js';

const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

function submit(storage: FileStorage, taskId: string, payload: string) {
  const task = { task_id: taskId, type: 'work', priority: 4, payload, metadata: {}, timeoutMs: 60_000 };
  const submission = { task: { ...task, maxAttempts: 3 }, onBusy: 'enqueue' } as const;
  return storage.tasks.submit({ tenantId: 'acme', submission, maxWaiting: 100_000 });
}

it('a snapshot or a log that a full disk refuses leaves its room to the log that goes on', async () => {
  const disk = new MemoryDisk();
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  const options = { clock: new ManualClock(), disk, minLogBytes: 20_000, onWarning };
  const storage = await FileStorage.open('memory', options);
  let written = 0;
  disk.fault = (operation, name) => {
    const isRefused = operation === 'write' && (name.endsWith('.tmp') || name === 'log-3');
    // The start of it is written.
    if (!isRefused) return;
    written += 1;
    if (written % 2 === 0) throw noRoom();
  };
  for (let n = 0; warnings.length < 2 && n < 1_000; n += 1) await submit(storage, idOf(n), 'x'.repeat(1_000));
  expect(warnings.length).toBe(2);
  expect(disk.names().filter((name) => name.endsWith('.tmp'))).toEqual([]);
  if (disk.names().includes('log-3')) expect(disk.bytesOf('log-3').length).toBe(0);
  disk.fault = () => undefined;
  await storage.close();
});

it('a log that goes on has the room that was reserved in the one before', async () => {
  const disk = new MemoryDisk();
  const writer = new LogWriter({ file: await disk.open('log-1'), position: 0, durability: 'power' });
  const log = new StateLog({
    disk,
    lock: { confirm: async () => {}, confirmSometimes: async () => {} },
    durability: 'power',
    writer,
    number: 1,
    isLongEnough: () => false,
    onNext: () => {},
    onFailure: (error) => expect.unreachable(String(error)),
  });
  await log.reserve(300_000);
  const { room } = log;
  expect(await log.next()).toBe(true);
  expect(log.room).toBeGreaterThanOrEqual(room);
});
