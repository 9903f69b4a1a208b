import { describe, expect, it } from 'vitest';
import { runCase, storageConformance, titleOf } from '../src/conformance/index.js';
import type { EngineSettings } from '../src/engine/engine-state.js';
import { MemoryStorage } from '../src/index.js';
import type { Engine } from '../src/engine/engine.js';
import type { EngineGate } from '../src/engine/engine-gate.js';
import { ManualClock } from './harness.js';
import { canonical, exportOf, filled, linesOf, recordsOf } from './portable-records.js';
import { runHistories } from './task-histories.js';

const FOR_EVER = { retentionMs: 1e12, deadLetterRetentionMs: 1e12, sessionIdleMs: 1e12 };

function engineOf(storage: MemoryStorage): Engine {
  return (storage as unknown as { readonly gate: EngineGate }).gate.engine;
}

/** What is exported, imported and exported again is the same. Returns the kinds of records. */
async function expectRoundTrip(engine: Engine, now: number): Promise<Map<string, number>> {
  const { limits } = engine.state as unknown as EngineSettings;
  const lines = await linesOf(exportOf(engine, now));
  const records = await recordsOf(lines);
  const imported = filled(records, now, { epoch: 'another', limits });
  expect(canonical(await linesOf(exportOf(imported, now)))).toEqual(canonical(lines));
  const kinds = new Map<string, number>();
  for (const { kind } of records) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  return kinds;
}

describe('an engine that is exported and imported', () => {
  it.each(storageConformance.map((one) => [titleOf(one), one] as const))(
    'has the same records after the conformance case %s',
    async (_, one) => {
      const clock = new ManualClock();
      const storage = new MemoryStorage({ clock, limits: one.limits ?? {} });
      await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
      await expectRoundTrip(engineOf(storage), clock.now());
    },
  );

  it('has the same records at any point of random histories', async () => {
    const seen = new Map<string, number>();
    const open = async () => {
      const clock = new ManualClock();
      const storage = new MemoryStorage({ clock, limits: FOR_EVER });
      let calls = 0;
      return {
        storage,
        now: () => clock.now(),
        advance: async (ms: number) => {
          calls += 1;
          if (calls % 5 === 0)
            for (const [kind, times] of await expectRoundTrip(engineOf(storage), clock.now()))
              seen.set(kind, (seen.get(kind) ?? 0) + times);
          await clock.advance(ms);
        },
        close: async () => {},
      };
    };
    await runHistories({ open, numRuns: 60, seed: 20_261_128, batches: true });
    for (const kind of ['tenant', 'session', 'batch', 'task', 'journal', 'batch_items', 'key'])
      expect(seen.get(kind), kind).toBeGreaterThan(0);
  }, 120_000);
});
