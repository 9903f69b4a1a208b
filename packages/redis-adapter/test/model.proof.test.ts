import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { type OpenSubject, runSideBySide } from '../../core/test/task-histories.js';
import { KEPT_FOR_EVER, openReference } from '../../core/test/reference.js';
import { openStorage } from './storage-under-test.js';

describe('RedisStorage compared with the reference in memory', () => {
  it('gives the same answers in random histories of tasks', async () => {
    const { url } = await sharedRedis();
    const redis: OpenSubject = async () => openStorage(url, { limits: KEPT_FOR_EVER });
    const reached = await runSideBySide({
      open: [openReference, redis],
      numRuns: 400,
      seed: 20_260_131,
      shrink: false,
    });
    expect(reached.missing).toEqual([]);
  }, 300_000);

  it('gives the same answers in random histories of batches', async () => {
    const { url } = await sharedRedis();
    const redis: OpenSubject = async () => openStorage(url, { limits: KEPT_FOR_EVER });
    const open = [openReference, redis] as const;
    const reached = await runSideBySide({ open, numRuns: 150, seed: 3, shrink: false, batches: true });
    expect(Object.keys(reached.table).filter((pair) => pair.includes('Batch'))).toEqual([
      'cancelBatch cancelled',
      'cancelBatch not_found',
      'getBatch found',
      'getBatch not_found',
      'submitBatch idempotency_conflict',
      'submitBatch queue_full',
      'submitBatch replayed',
      'submitBatch submitted',
    ]);
  }, 300_000);

  it('gives the same answers in random histories on a Cluster', async () => {
    const { nodes } = await sharedCluster();
    const cluster: OpenSubject = async () => openStorage({ nodes }, { limits: KEPT_FOR_EVER });
    await runSideBySide({
      open: [openReference, cluster],
      numRuns: 15,
      seed: 7,
      shrink: false,
      batches: true,
    });
  }, 300_000);
});
