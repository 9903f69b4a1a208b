import { runCase, storageConformance, titleOf } from '@agent-orchestrator/core/conformance';
import { sharedCluster } from '@agent-orchestrator/test-servers';
import { describe, it } from 'vitest';
import { openStorage } from './storage-under-test.js';

describe('RedisStorage on a Cluster of three', () => {
  it.each(storageConformance.map((one) => [titleOf(one), one] as const))('%s', async (_, one) => {
    const { nodes } = await sharedCluster();
    const subject = openStorage({ nodes }, { limits: one.limits ?? {} });
    try {
      await runCase(one, subject);
    } finally {
      await subject.close();
    }
  });
});
