import { runCase, storageConformance, titleOf } from '@agent-orchestrator/core/conformance';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, it } from 'vitest';
import { openStorage } from './storage-under-test.js';

describe('RedisStorage on one Redis', () => {
  it.each(storageConformance.map((one) => [titleOf(one), one] as const))('%s', async (_, one) => {
    const { url } = await sharedRedis();
    const subject = openStorage(url, { limits: one.limits ?? {} });
    try {
      await runCase(one, subject);
    } finally {
      await subject.close();
    }
  });
});
