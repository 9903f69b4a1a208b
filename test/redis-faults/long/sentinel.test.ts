import { RedisSentinel } from '@agent-orchestrator/test-servers';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { longestSilence } from '../history-of-tenants.js';
import { judgeFaults } from '../fault-history.js';
import { FaultRun } from './fault-run.js';
import { verdictTable } from './verdict-table.js';

/** The seed decides the faults: `FAULT_SEED=2 FAULT_SECONDS=60 npm run faults -- sentinel`. */
const SEED = process.env['FAULT_SEED'] ?? '1';
const SECONDS = Number(process.env['FAULT_SECONDS'] ?? 20);
const NEW_MASTER_MS = 20_000;

describe('four workers behind Sentinels, and the master killed in the middle', () => {
  it(`lose at most what was not replicated yet (FAULT_SEED=${SEED} FAULT_SECONDS=${SECONDS})`, async () => {
    await using group = await RedisSentinel.start({ replicas: 1, downAfterMs: 1_000 });
    const run = new FaultRun({
      target: { sentinels: group.addresses, name: group.name },
      ...{ seed: SEED, seconds: SECONDS, leaseMs: 3_000, perSecond: 45 },
      tenants: ['acme', 'globex'],
      async strikeStorage() {
        const master = await group.master();
        await master.kill();
        const until = Date.now() + NEW_MASTER_MS;
        while (Date.now() < until && (await group.master()) === master) await pause(50);
      },
    });
    const history = await run.run();
    const verdict = judgeFaults(history);
    console.table({
      ...verdictTable(verdict),
      'longest time without a submit, ms': longestSilence(history, ['acknowledged']),
      'longest silence at the follower, ms': longestSilence(history, ['event', 'gap']),
    });
    expect(verdict.injected).toBeGreaterThanOrEqual(verdict.planned);
    expect(verdict).toMatchObject({
      ...{ notFinalOnce: [], revGaps: [], withoutRequest: 0, redisTexts: [], followedTwice: 0 },
      ...{ followedMissing: 0, followedOther: 0, gapsWithoutReason: 0 },
    });
  });
});
