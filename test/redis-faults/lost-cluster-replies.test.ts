import { FaultyProxy, RedisCluster } from '@agent-orchestrator/test-servers';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Life, wordOf } from './life.js';
import { scriptDigest, type ScriptName } from './script-digests.js';
import { STEP_STORIES, type StepStory } from './step-stories.js';
import { storedKeys } from './stored-keys.js';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await RedisCluster.start();
});
afterAll(() => cluster.stop());

/** A client whose ways to all nodes can be disturbed. */
async function disturbable() {
  const proxies = await Promise.all(cluster.servers.map(({ port }) => FaultyProxy.start(port)));
  const natMap = Object.fromEntries(
    cluster.servers.map(({ address }, at) => [address, { host: '127.0.0.1', port: proxies[at]?.port ?? 0 }]),
  );
  const client = new Cluster(
    proxies.map(({ port }) => ({ host: '127.0.0.1', port })),
    // An address in a redirection is not mapped: the client asks any node then, and comes to the right one by chance.
    { natMap, maxRedirections: 200, redisOptions: { protocol: 2, replyMapping: 'legacy' } },
  );
  const stop = async () => {
    client.disconnect();
    await Promise.all(proxies.map((proxy) => proxy.stop()));
  };
  return { client, proxies, [Symbol.asyncDispose]: stop };
}

const CLUSTER_SCRIPTS: Readonly<Partial<Record<ScriptName, ScriptName>>> = { claim: 'claimFromTenant' };
const scriptOf = ({ script }: StepStory) => CLUSTER_SCRIPTS[script] ?? script;

/** What is stored, on whichever node; and who stands in rotations and indexes, not when. */
async function everything({ prefix }: Life) {
  const parts = await Promise.all(cluster.servers.map((server) => storedKeys(server, prefix)));
  const all: Record<string, unknown> = Object.assign({}, ...parts);
  const system = Object.entries(all).filter(([key]) => /:system:.*(?:rotation|due|tenants)/.test(key));
  for (const key of Object.keys(all)) if (/@leases$|:system:/.test(key)) delete all[key];
  // Generations count how often somebody was said to be ready.
  for (const [key, fields] of Object.entries(all)) {
    if (key.endsWith('@meta')) all[key] = { ...(fields as object), generation: 'any' };
  }
  const stats = system.flatMap(([key, value]) =>
    (value as string[]).filter((_, at) => at % 2 === 0).map((tenant) => `${key} ${tenant}`),
  );
  return { all, stats };
}

async function undisturbed({ prepare }: StepStory) {
  await using life = new Life({ nodes: cluster.nodes });
  const step = await prepare(life.tools);
  const answer = await step();
  return { answer, kept: await everything(life) };
}

describe.concurrent('a reply of a Cluster that is lost', () => {
  it.each(STEP_STORIES.map((story) => [story.title, story] as const))(
    'changes nothing, and nobody waits for the next reconcile: %s',
    async (_, story) => {
      const before = await undisturbed(story);
      await using way = await disturbable();
      await using life = new Life(way.client);
      const step = await story.prepare(life.tools);
      const digest = await scriptDigest(scriptOf(story));
      for (const proxy of way.proxies) proxy.loseReply({ to: digest });
      const answer = await step();
      expect(way.proxies.reduce((sum, { counters }) => sum + counters.cutReplies, 0)).toBeGreaterThan(0);
      expect(wordOf(answer)).toEqual(story.again ?? wordOf(before.answer));
      const after = await everything(life);
      expect(after.all).toEqual(before.kept.all);
      // Who stands there for nothing is found out by the next visit.
      const missing = before.kept.stats.filter((one) => !after.stats.includes(one));
      expect(missing).toEqual([]);
    },
  );
});
