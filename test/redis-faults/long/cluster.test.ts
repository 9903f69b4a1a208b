import { RedisCluster, type RedisServer } from '@agent-orchestrator/test-servers';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { longestSilence, ofTenants } from '../history-of-tenants.js';
import { judgeFaults } from '../fault-history.js';
import { FaultRun } from './fault-run.js';
import { verdictTable } from './verdict-table.js';

/** The seed decides the faults: `FAULT_SEED=2 FAULT_SECONDS=600 npm run faults -- cluster`. */
const SEED = process.env['FAULT_SEED'] ?? '1';
const SECONDS = Number(process.env['FAULT_SECONDS'] ?? 60);
const SPARED_FOR_MS = 20_000;
const REPLICA_BEHIND_MS = 700;

/** The first tenant is on a master of its own; the shared keys are elsewhere. */
async function tenantsOn(cluster: RedisCluster): Promise<readonly [string, string, string]> {
  const owner = async (tenant: string) => (await cluster.slotOwner(`{${tenant}}`)).port;
  const system = await owner('queue');
  const names = Array.from({ length: 50 }, (_, n) => `tenant-${n}`);
  const byOwner = new Map<number, string>();
  for (const name of names) byOwner.set(await owner(name), name);
  const beside = byOwner.get(system);
  const [struck, other] = [...byOwner].filter(([port]) => port !== system).map(([, name]) => name);
  if (!struck || !other || !beside) throw new Error('expected tenants on three masters');
  return [struck, other, beside];
}

async function replicaOf(master: RedisServer, cluster: RedisCluster): Promise<RedisServer> {
  for (const server of cluster.servers) {
    if (server !== master && (await server.info('master_port')) === String(master.port)) return server;
  }
  throw new Error('expected the master to have a replica');
}

interface Strike {
  readonly seconds: number;
  /** Kills a master of the Cluster. */
  readonly kill: (master: RedisServer, cluster: RedisCluster) => Promise<void>;
}

/**
 * A run with one master killed in the middle, with verdicts on all tenants, the one on that master, and the
 * others.
 */
async function runWithKilledMaster({ seconds, kill }: Strike) {
  await using cluster = await RedisCluster.start({ masters: 3, replicasPerMaster: 1, nodeTimeoutMs: 1_000 });
  const tenants = await tenantsOn(cluster);
  const [struck, ...spared] = tenants;
  const run = new FaultRun({
    ...{ target: { nodes: cluster.nodes }, seed: SEED, seconds, leaseMs: 3_000, perSecond: 45 },
    tenants,
    async strikeStorage() {
      const master = await cluster.slotOwner(`{${struck}}`);
      await kill(master, cluster);
      const until = Date.now() + SPARED_FOR_MS;
      while (Date.now() < until) {
        const owner = await cluster.slotOwner(`{${struck}}`).catch(() => master);
        if (owner !== master) break;
        await pause(50);
      }
    },
  });
  const history = await run.run();
  const [hit, others] = [ofTenants(history, [struck]), ofTenants(history, spared)];
  const verdict = { all: judgeFaults(history), hit: judgeFaults(hit), others: judgeFaults(others) };
  console.table({
    ...verdictTable(verdict.all),
    'acknowledged and lost, of the master that was killed': verdict.hit.lost.length,
    'acknowledged and lost, of the others': verdict.others.lost.length,
    'recorded work done again, of the master that was killed': verdict.hit.recordedAgain.length,
    'longest time without a submit, its tenant, ms': longestSilence(hit, ['acknowledged']),
    'longest time without a submit, other tenants, ms': longestSilence(others, ['acknowledged']),
    'longest silence at the follower of its tenant, ms': longestSilence(history, ['event', 'gap']),
  });
  return verdict;
}

/** Whatever is lost: the remaining data is consistent, and no error text of the Cluster reaches a user. */
function expectWhole({ all, others }: Awaited<ReturnType<typeof runWithKilledMaster>>): void {
  expect(all.injected).toBeGreaterThanOrEqual(all.planned);
  expect(all).toMatchObject({
    ...{ notFinalOnce: [], revGaps: [], withoutRequest: 0, redisTexts: [], followedTwice: 0 },
    ...{ followedMissing: 0, followedOther: 0, gapsWithoutReason: 0 },
  });
  expect(others).toMatchObject({ lost: [], twoOfOneKey: [], recordedAgain: [] });
}

describe('four workers on a Cluster, and one master killed in the middle', () => {
  it(`lose at most what was not replicated yet (FAULT_SEED=${SEED} FAULT_SECONDS=${SECONDS})`, async () => {
    expectWhole(await runWithKilledMaster({ seconds: SECONDS, kill: (master) => master.kill() }));
  });

  it('lose what was acknowledged while the replica was behind, and nothing else', async () => {
    const verdict = await runWithKilledMaster({
      seconds: 20,
      async kill(master, cluster) {
        const replica = await replicaOf(master, cluster);
        // It receives nothing from now on: data in transit has arrived, and it cannot ask for a new link.
        replica.freeze();
        await master.ask(['CLIENT', 'KILL', 'TYPE', 'replica']);
        await pause(REPLICA_BEHIND_MS);
        await master.kill();
        replica.thaw();
      },
    });
    expectWhole(verdict);
    // Otherwise the replica was not behind, and this test has shown nothing.
    expect(verdict.hit.lost.length).toBeGreaterThan(0);
  });
});
