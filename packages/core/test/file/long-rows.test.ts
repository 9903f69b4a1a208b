import { expect, it } from 'vitest';
import { StateReader, SNAPSHOT_CLASSES, writeState } from '../../src/engine/snapshot/engine-snapshot.js';
import type { NodeRow } from '../../src/engine/snapshot/graph.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { dump } from '../engine-dump.js';
import { ManualClock } from '../harness.js';
import { MemoryDisk } from './memory-disk.js';

const TASKS = 7_000;
const LARGE = { text: 'x'.repeat(500), list: Array.from({ length: 3_000 }, (_, at) => at) };
const payloads = [{ small: 'a' }, 'text', null, LARGE, Array.from({ length: 5_000 }, () => ({}))];

it('a snapshot has lists and maps of any length, in rows of a limited one', async () => {
  const storage = await FileStorage.open('memory', {
    clock: new ManualClock(),
    disk: new MemoryDisk(),
  } as object);
  for (let n = 0; n < TASKS; n += 1) {
    const task = {
      task_id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
      type: 'work',
      priority: 4,
      payload: n < 50 ? (payloads[n % payloads.length] ?? null) : { n },
      metadata: {},
      timeoutMs: 60_000,
      maxAttempts: 3,
    };
    void storage.tasks.submit({
      tenantId: 'acme',
      submission: { task, onBusy: 'enqueue' },
      maxWaiting: 100_000,
    });
  }
  await storage.ping();
  const { engine } = storage as unknown as { readonly engine: Parameters<typeof writeState>[0] };
  const reader = new StateReader(SNAPSHOT_CLASSES);
  let longest = 0;
  for (const row of writeState(engine)) {
    if (row === '') continue;
    longest = Math.max(longest, row.length);
    reader.add(JSON.parse(row) as NodeRow);
  }
  // Without them, one row has all timers.
  expect(longest).toBeLessThan(200_000);
  expect(dump(reader.end().state)).toBe(dump(engine.state));
  await storage.close();
});
