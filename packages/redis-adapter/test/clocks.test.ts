import { randomUUID } from 'node:crypto';
import { Orchestrator } from '@agent-orchestrator/core';
import { systemClock } from '@agent-orchestrator/core/storage';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisStorage } from '../src/index.js';

const HOUR_MS = 3_600_000;

/** An orchestrator on the shared storage whose clock is `aheadMs` ahead. */
async function process(prefix: string, aheadMs: number): Promise<Orchestrator> {
  const { url } = await sharedRedis();
  const storage = RedisStorage.connect(url, { prefix });
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const orchestrator = new Orchestrator({ storage, clock, sweepMs: 100 });
  orchestrator.workflow('idle', async (ctx) => {
    await ctx.waitForSignal('go');
  });
  await orchestrator.start();
  onTestFinished(async () => {
    await orchestrator.stop({ graceMs: 0 });
    await storage.close();
  });
  return orchestrator;
}

describe('a process whose clock is an hour off', () => {
  it.each([
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ])(
    'sweeps as often as one with a correct clock: %s',
    async (_, aheadMs) => {
      const prefix = `clocks-${randomUUID().slice(0, 8)}`;
      const [right, wrong] = [await process(prefix, 0), await process(prefix, aheadMs)];
      const acme = right.tenant('acme').tasks;
      // Timers within the hour, soon, and now and then one more.
      await acme.submit({ type: 'idle', run_at: new Date(Date.now() + HOUR_MS / 2).toISOString() });
      await acme.submit({ type: 'idle', metadata: { timeout_ms: 1_000 } });
      const before = [right, wrong].map((one) => one.stats().sweeper.sweeps);
      const since = () => [right, wrong].map((one, at) => one.stats().sweeper.sweeps - (before[at] ?? 0));
      await expect
        .poll(
          async () => {
            await acme.submit({ type: 'idle', metadata: { timeout_ms: 5_000 } });
            return Math.max(...since());
          },
          { timeout: 60_000, interval: 100 },
        )
        .toBeGreaterThan(40);
      const [ofRight = 0, ofWrong = 0] = since();
      // Roughly equal, since due timers wake both; without clock correction the ratio would be about a
      // hundred.
      expect(ofWrong).toBeLessThan(3 * ofRight);
      expect(ofRight).toBeLessThan(3 * ofWrong);
    },
    90_000,
  );
});
