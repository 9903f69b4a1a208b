import { MemoryStorage } from '@agent-orchestrator/core';
import { sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../core/test/harness.js';
import { type OpenSubject, runSideBySide } from '../../core/test/task-histories.js';
import { openStorage } from './storage-under-test.js';

const LIMITS = { retentionMs: 1e12, deadLetterRetentionMs: 1e12, sessionIdleMs: 1e12 };

const memory: OpenSubject = async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage({ clock, limits: LIMITS });
  return {
    storage,
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close: () => storage.close(),
  };
};

describe('RedisStorage beside the reference in memory', () => {
  it('answers the same, whatever happens to tasks', async () => {
    const { url } = await sharedRedis();
    const redis: OpenSubject = async () => openStorage(url, { limits: LIMITS });
    const reached = await runSideBySide({
      open: [memory, redis],
      numRuns: 400,
      seed: 20_260_131,
      shrink: false,
    });
    expect(reached.missing).toEqual([]);
  }, 300_000);

  it('answers the same on a Cluster', async () => {
    const { nodes } = await sharedCluster();
    const cluster: OpenSubject = async () => openStorage({ nodes }, { limits: LIMITS });
    await runSideBySide({ open: [memory, cluster], numRuns: 15, seed: 7, shrink: false });
  }, 300_000);
});
