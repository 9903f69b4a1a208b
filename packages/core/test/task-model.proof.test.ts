import { describe, expect, it } from 'vitest';
import { MemoryStorage } from '../src/index.js';
import { ManualClock } from './harness.js';
import { type HistorySubject, runHistories, runSideBySide } from './task-histories.js';

const FOR_EVER = { retentionMs: 1e12, deadLetterRetentionMs: 1e12, sessionIdleMs: 1e12 };

async function openMemory(change: (storage: MemoryStorage) => void = () => {}): Promise<HistorySubject> {
  const clock = new ManualClock();
  const storage = new MemoryStorage({ clock, limits: FOR_EVER });
  change(storage);
  return {
    storage,
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close: () => storage.close(),
  };
}

describe('a task under random histories', () => {
  it('ends once, its events have no holes, and its tenant never exceeds its limit', async () => {
    const reached = await runHistories({ open: () => openMemory(), numRuns: 400, seed: 20_260_131 });
    console.table(reached.table);
    expect(reached.missing).toEqual([]);
  }, 120_000);

  it.each(['is paused', 'has as many running as it may'])(
    'is not claimed while its tenant %s, or the model says so',
    async (which) => {
      const careless = () =>
        openMemory(({ queue, tenants }) => {
          const claim = queue.claim.bind(queue);
          queue.claim = async (params) => {
            const { settings } = await tenants.get({ tenantId: 'acme' });
            const { paused, maxRunning = null } = settings;
            const forgotten = which === 'is paused' ? { paused: false } : { maxRunning: null };
            await tenants.configure({ tenantId: 'acme', ...forgotten });
            const claims = await claim(params);
            await tenants.configure({ tenantId: 'acme', paused, maxRunning });
            return claims;
          };
        });
      // The first such history is enough: shrinking it takes minutes.
      const lived = runHistories({ open: careless, numRuns: 200, seed: 20_260_131, shrink: false });
      await expect(lived).rejects.toHaveProperty(
        'cause.message',
        expect.stringMatching(/less than or equal/),
      );
    },
    300_000,
  );
});

describe('two storages under the same history', () => {
  it('give the same answers', async () => {
    const open = () => openMemory();
    await runSideBySide({ open: [open, open], numRuns: 20, seed: 20_260_131 });
  }, 300_000);

  it('are distinguished by a single different answer', async () => {
    const forgetful = () =>
      openMemory((storage) => {
        const claim = storage.queue.claim.bind(storage.queue);
        storage.queue.claim = async (params) =>
          (await claim(params)).map((each) => ({ ...each, startedAt: each.startedAt + 1 }));
      });
    const options = { open: [() => openMemory(), forgetful], numRuns: 20, seed: 20_260_131 } as const;
    await expect(runSideBySide(options)).rejects.toHaveProperty(
      'cause.message',
      expect.stringContaining('answers in'),
    );
  }, 300_000);
});
