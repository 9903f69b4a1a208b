import { randomUUID } from 'node:crypto';
import type { Submission } from '@agent-orchestrator/core/storage';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { openStorage } from './storage-under-test.js';

const HOUR_MS = 60 * 60_000;

function submission(fields: { readonly timeoutMs: number; readonly runAt?: number }): Submission {
  const task = { task_id: randomUUID(), type: 'work', priority: 4, payload: 1, metadata: {}, maxAttempts: 3 };
  return { task: { ...task, ...fields }, onBusy: 'enqueue' };
}

describe('deadlines of more than an hour', () => {
  // A step of a sweep skips a hundred of them; the next one was taken as due.
  it.each([
    ['alone', []],
    ['before a shorter one', [60_000]],
  ])('end no task early, %s, however many there are', async (_, others) => {
    const { url } = await sharedRedis();
    const subject = openStorage(url);
    try {
      const { tasks, queue } = subject.storage;
      const submit = (one: Submission) =>
        tasks.submit({ tenantId: 'acme', submission: one, maxWaiting: 1_000 });
      for (let n = 0; n < 100 + 100 * (1 - others.length); n += 1)
        await submit(submission({ timeoutMs: 2 * HOUR_MS + n }));
      for (const timeoutMs of others) await submit(submission({ timeoutMs }));
      await submit(submission({ timeoutMs: HOUR_MS, runAt: subject.now() + 1_000 }));
      await subject.advance(2_000);
      for (let n = 0; n < 10; n += 1) await queue.sweep({ max: 10_000 });
      expect((await tasks.counts({ tenantId: 'acme' })).counts.failed).toBe(0);
      await subject.advance(60_000);
      for (let n = 0; n < 10; n += 1) await queue.sweep({ max: 10_000 });
      expect((await tasks.counts({ tenantId: 'acme' })).counts.failed).toBe(others.length);
    } finally {
      await subject.close();
    }
  });
});
