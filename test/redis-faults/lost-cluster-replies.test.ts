import { FaultyProxy, RedisCluster } from '@agent-orchestrator/test-servers';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeterministicStorage, wordOf } from './deterministic-storage.js';
import { scriptDigest, type ScriptName } from './script-digests.js';
import { STEP_SCENARIOS, type StepScenario } from './step-scenarios.js';
import { storedKeys } from './stored-keys.js';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await RedisCluster.start();
});
afterAll(() => cluster.stop());

/** A client with a proxy before each node. */
async function proxiedClient() {
  const proxies = await Promise.all(cluster.servers.map(({ port }) => FaultyProxy.start(port)));
  const natMap = Object.fromEntries(
    cluster.servers.map(({ address }, at) => [address, { host: '127.0.0.1', port: proxies[at]?.port ?? 0 }]),
  );
  const client = new Cluster(
    proxies.map(({ port }) => ({ host: '127.0.0.1', port })),
    // An address in a redirection is not mapped: the client then tries random nodes until it finds the right
    // one.
    { natMap, maxRedirections: 200, redisOptions: { protocol: 2, replyMapping: 'legacy' } },
  );
  const stop = async () => {
    client.disconnect();
    await Promise.all(proxies.map((proxy) => proxy.stop()));
  };
  return { client, proxies, [Symbol.asyncDispose]: stop };
}

const CLUSTER_SCRIPTS: Readonly<Partial<Record<ScriptName, ScriptName>>> = { claim: 'claimFromTenant' };
const scriptOf = ({ script }: StepScenario) => CLUSTER_SCRIPTS[script] ?? script;

/** Stored data of all nodes; and the members of rotations and indexes, without their scores. */
async function storedOnAll({ prefix }: DeterministicStorage) {
  const parts = await Promise.all(cluster.servers.map((server) => storedKeys(server, prefix)));
  const all: Record<string, unknown> = Object.assign({}, ...parts);
  const system = Object.entries(all).filter(([key]) => /:system:.*(?:rotation|due|tenants)/.test(key));
  for (const key of Object.keys(all)) if (/@leases$|:system:/.test(key)) delete all[key];
  // Generations count how often a tenant became ready, repeats included.
  for (const [key, fields] of Object.entries(all)) {
    if (key.endsWith('@meta')) all[key] = { ...(fields as object), generation: 'any' };
  }
  const stats = system.flatMap(([key, value]) =>
    (value as string[]).filter((_, at) => at % 2 === 0).map((tenant) => `${key} ${tenant}`),
  );
  return { all, stats };
}

async function withoutFaults({ prepare }: StepScenario) {
  await using subject = new DeterministicStorage({ nodes: cluster.nodes });
  const step = await prepare(subject.tools);
  const answer = await step();
  return { answer, kept: await storedOnAll(subject) };
}

describe.concurrent('a lost reply of a Cluster', () => {
  it.each(STEP_SCENARIOS.map((scenario) => [scenario.title, scenario] as const))(
    'has the same outcome, without the next reconcile: %s',
    async (_, scenario) => {
      const before = await withoutFaults(scenario);
      await using proxied = await proxiedClient();
      await using subject = new DeterministicStorage(proxied.client);
      const step = await scenario.prepare(subject.tools);
      const digest = await scriptDigest(scriptOf(scenario));
      for (const proxy of proxied.proxies) proxy.loseReply({ to: digest });
      const answer = await step();
      expect(proxied.proxies.reduce((sum, { counters }) => sum + counters.cutReplies, 0)).toBeGreaterThan(0);
      expect(wordOf(answer)).toEqual(scenario.again ?? wordOf(before.answer));
      const after = await storedOnAll(subject);
      expect(after.all).toEqual(before.kept.all);
      // The next claim removes a member that is there without need.
      const missing = before.kept.stats.filter((one) => !after.stats.includes(one));
      expect(missing).toEqual([]);
    },
  );
});
