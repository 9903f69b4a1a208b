import { RedisServer } from '@agent-orchestrator/test-servers';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { judgeFaults } from '../fault-history.js';
import { FaultRun } from './fault-run.js';
import { verdictTable } from './verdict-table.js';

/** The seed decides the faults: `FAULT_SEED=2 FAULT_SECONDS=600 npm run faults -- workers`. */
const SEED = process.env['FAULT_SEED'] ?? '1';
const SECONDS = Number(process.env['FAULT_SECONDS'] ?? 60);
const REDIS_AWAY_MS = 1_000;

describe('four workers, one killed or frozen each second, and their Redis killed once', () => {
  it(`lose nothing and repeat nothing (FAULT_SEED=${SEED} FAULT_SECONDS=${SECONDS})`, async () => {
    await using redis = await RedisServer.start({ appendonly: true });
    const run = new FaultRun({
      ...{ target: redis.url, seed: SEED, seconds: SECONDS, leaseMs: 3_000, perSecond: 60 },
      tenants: ['acme', 'globex', 'initech'],
      async strikeStorage() {
        await redis.kill();
        await pause(REDIS_AWAY_MS);
        await redis.restart();
      },
    });
    const verdict = judgeFaults(await run.run());
    console.table(verdictTable(verdict));
    expect(verdict.injected).toBeGreaterThanOrEqual(verdict.planned);
    expect(verdict).toMatchObject({
      ...{ lost: [], notFinalOnce: [], revGaps: [], withoutRequest: 0, twoOfOneKey: [] },
      ...{ followedTwice: 0, followedMissing: 0, followedOther: 0, gapsWithoutReason: 0 },
      ...{ recordedAgain: [], redisTexts: [] },
    });
  });
});
