import { expect, it } from 'vitest';
import { Engine } from '../src/engine/engine.js';
import { EngineState } from '../src/engine/engine-state.js';
import { SNAPSHOT_CLASSES, StateReader, writeState } from '../src/engine/snapshot/engine-snapshot.js';
import { DEFAULTS } from '../src/protocol/settings.js';

it('a snapshot of an older version, whose limits lack those of today, goes on with their defaults', () => {
  const old = new Engine(new EngineState({ epoch: 'e', limits: { ...DEFAULTS, maxSteps: 7 } }));
  const limits = old.state.limits as Partial<Record<keyof typeof DEFAULTS, number>>;
  for (const name of ['usageDetailRetentionMs', 'maxUsageDetails', 'maxRateWaitMs'] as const)
    delete limits[name];
  const reader = new StateReader(SNAPSHOT_CLASSES);
  for (const row of writeState(old)) reader.add(JSON.parse(row) as Parameters<StateReader['add']>[0]);
  const engine = reader.end();
  expect(engine.state.limits).toEqual({ ...DEFAULTS, maxSteps: 7 });
  const used = {
    tenantId: 'acme',
    id: 'a',
    model: 'm',
    operation: 'o',
    tokens: 1,
    savedTokens: 0,
    userId: 'u',
  };
  engine.execute({ name: 'usage.add', at: 1_000, params: used });
  expect(() => engine.execute({ name: 'sweep.expire', at: 86_400_000 * 60, params: {} })).not.toThrow();
});
