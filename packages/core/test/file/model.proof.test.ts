import { describe, expect, it } from 'vitest';
import { FileStorage } from '../../src/file/file-storage.js';
import { ManualClock } from '../harness.js';
import { KEPT_FOR_EVER, openReference } from '../reference.js';
import { type OpenSubject, runSideBySide } from '../task-histories.js';
import { MemoryDisk } from './memory-disk.js';
import { ReopenedStorage } from './reopened-storage.js';

/** A folder whose process is killed after its calls, with logs so small that there are snapshots. */
const openKilledFolder: OpenSubject = async () => {
  const clock = new ManualClock();
  let disk = new MemoryDisk();
  const subject = await ReopenedStorage.start(
    () => {
      const options = { clock, limits: KEPT_FOR_EVER, disk, keepsWorkers: true, minLogBytes: 20_000 };
      return FileStorage.open('memory', options);
    },
    async () => {
      disk = disk.afterKill();
    },
  );
  return {
    storage: subject.storage,
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    async close() {
      await subject.storage.close();
      expect(subject.reopened).toBeGreaterThan(5);
    },
  };
};

const open = [openReference, openKilledFolder] as const;

describe('FileStorage, killed and opened again, compared with the reference in memory', () => {
  it('gives the same answers in random histories of tasks', { timeout: 300_000 }, async () => {
    const reached = await runSideBySide({ open, numRuns: 150, seed: 20_261_127, shrink: false });
    // Most of the pairs of an operation and an answer.
    expect(reached.missing.length).toBeLessThan(5);
  });

  it('gives the same answers in random histories of batches', { timeout: 300_000 }, async () => {
    const reached = await runSideBySide({ open, numRuns: 60, seed: 5, shrink: false, batches: true });
    expect(Object.keys(reached.table).filter((pair) => pair.includes('Batch')).length).toBeGreaterThanOrEqual(
      6,
    );
  });
});
