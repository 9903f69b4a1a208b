import { describe, expect, it, vi } from 'vitest';
import { MemoryStorage } from '../src/index.js';
import { DEFAULTS } from '../src/protocol/index.js';
import { ConcurrencyGroup } from '../src/engine/queue/concurrency-group.js';

const tenantId = 'acme';
const FEW = 3 * DEFAULTS.cancelledAtOnce;

async function batchOfOneSession(storage: MemoryStorage, count: number): Promise<void> {
  const items = Array.from({ length: count }, () => ({
    task: {
      task_id: crypto.randomUUID(),
      type: 'work',
      priority: 4,
      payload: {},
      metadata: {},
      session_id: 's',
      timeoutMs: 60_000,
      maxAttempts: 5,
    },
    onBusy: 'enqueue' as const,
  }));
  const batch = { batchId: crypto.randomUUID(), maxInFlight: 10, failFast: false, items };
  await storage.tasks.submitBatch({ tenantId, batch, maxWaiting: 100_000 });
}

/** How often a line is asked whether it lets a task in. */
async function asked(act: () => Promise<unknown>): Promise<number> {
  const lets = vi.spyOn(ConcurrencyGroup.prototype, 'admits');
  await act();
  const { length } = lets.mock.calls;
  lets.mockRestore();
  return length;
}

describe('many tasks of a batch in one session in memory', () => {
  it('cost the same at the end of one, however many wait', async () => {
    const counts: number[] = [];
    for (const count of [FEW, 4 * FEW]) {
      const storage = new MemoryStorage();
      await batchOfOneSession(storage, count);
      const runs = [{ type: 'work', versions: [1] }];
      const [claim] = await storage.queue.claim({
        workerId: 'w',
        claimId: 'c',
        max: 1,
        runs,
        leaseMs: 30_000,
      });
      const { token, task } = claim ?? expect.unreachable();
      const settlement = { kind: 'completed', result: 1 } as const;
      const settle = { tenantId, taskId: task.task_id, token, settlement };
      counts.push(await asked(() => storage.queue.settle(settle)));
    }
    expect(counts[0]).toBeGreaterThan(0);
    expect(counts[1]).toBe(counts[0]);
  });

  it('cost the same each at the close of the session, however many wait', async () => {
    const counts: number[] = [];
    for (const count of [FEW, 4 * FEW]) {
      const storage = new MemoryStorage();
      await batchOfOneSession(storage, count);
      const close = { tenantId, sessionId: 's', graceMs: 0 };
      counts.push((await asked(() => storage.sessions.close(close))) / count);
      expect((await storage.tasks.counts({ tenantId })).counts.cancelled).toBe(count);
    }
    expect(counts[1]).toBeLessThanOrEqual(1.1 * (counts[0] ?? 0) + 1);
  });
});
