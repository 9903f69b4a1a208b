import { randomUUID } from 'node:crypto';
import { DEFAULTS, type Storage, type Submission } from '@agent-orchestrator/core';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openStorage } from './storage-under-test.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

const tenantId = 'acme';

function open(): Storage {
  const subject = openStorage(server.url);
  onTestFinished(() => subject.close());
  return subject.storage;
}

function submission(more: Partial<Submission['task']> = {}): Submission {
  const task = { task_id: randomUUID(), type: 'work', priority: 4, payload: {}, metadata: {} };
  return { task: { ...task, timeoutMs: 60_000, maxAttempts: 5, ...more }, onBusy: 'enqueue' };
}

/** A batch of tasks of one session. */
async function batchOfOneSession(storage: Storage, count: number): Promise<string> {
  const items = Array.from({ length: count }, () => submission({ session_id: 's' }));
  const batch = { batchId: randomUUID(), maxInFlight: 10, failFast: false, items };
  await storage.tasks.submitBatch({ tenantId, batch, maxWaiting: 100_000 });
  return batch.batchId;
}

function claim(storage: Storage, max = 1) {
  const runs = [{ type: 'work', versions: [1] }];
  return storage.queue.claim({ workerId: 'w', claimId: randomUUID(), max, runs, leaseMs: 30_000 });
}

/** How many commands Redis carries out meanwhile, those of scripts included. */
async function commandsOf(act: () => Promise<unknown>): Promise<number> {
  await server.ask(['CONFIG', 'RESETSTAT']);
  await act();
  const stats = String(await server.ask(['INFO', 'commandstats']));
  return [...stats.matchAll(/calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

const FEW = 3 * DEFAULTS.cancelledAtOnce;
const MANY = 4 * FEW;

describe('where many tasks of a batch wait for one session', () => {
  it('the end of one costs the same, however many wait', async () => {
    const costs: number[] = [];
    for (const count of [FEW, MANY]) {
      const storage = open();
      await batchOfOneSession(storage, count);
      const [held] = await claim(storage);
      if (!held) throw new Error('expected a task to be claimed');
      const { task, token } = held;
      const settlement = { kind: 'completed', result: 1 } as const;
      const settle = { tenantId, taskId: task.task_id, token, settlement };
      costs.push(await commandsOf(() => storage.queue.settle(settle)));
      expect(await claim(storage)).toHaveLength(1);
    }
    // Some commands are sent now and then, such as those that look at the connection.
    const [few = 0, many = Number.POSITIVE_INFINITY] = costs;
    expect(many).toBeLessThan(few + 20);
  });

  it.each([
    [
      'closing the session',
      (storage: Storage) => storage.sessions.close({ tenantId, sessionId: 's', graceMs: 0 }),
    ],
    [
      'cancelling the batch',
      (storage: Storage, batchId: string) =>
        storage.tasks.cancelBatch({ tenantId, batchId, reason: 'enough', graceMs: 0 }),
    ],
  ])('%s costs the same for each, however many wait', async (_, act) => {
    const costs: number[] = [];
    for (const count of [FEW, MANY]) {
      const storage = open();
      const batchId = await batchOfOneSession(storage, count);
      costs.push((await commandsOf(() => act(storage, batchId))) / count);
      expect((await storage.tasks.counts({ tenantId })).counts.cancelled).toBe(count);
    }
    const [few = 0, many = Number.POSITIVE_INFINITY] = costs;
    expect(many).toBeLessThan(1.1 * few);
  });
});
