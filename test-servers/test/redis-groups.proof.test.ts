import { describe, expect, it } from 'vitest';
import { RedisCluster, RedisSentinel, sharedCluster, slotOf } from '@agent-orchestrator/test-servers';
import { eventually } from './eventually.js';

describe('RedisCluster', () => {
  it('serves all slots from three masters, each key by one of them', async () => {
    const cluster = await sharedCluster();
    expect(await sharedCluster()).toBe(cluster);
    expect(cluster.nodes).toEqual(cluster.servers.map(({ port }) => `127.0.0.1:${port}`));
    const owners = new Set<number>();
    for (const key of ['{a}x', '{b}x', '{c}x', '{d}x', 'plain', '', '{}x', 'a{b', 'x{grüße}y{z}']) {
      const owner = await cluster.slotOwner(key);
      owners.add(owner.port);
      expect(await owner.ask(['SET', key, '1'])).toBe('OK');
      expect(await owner.ask(['CLUSTER', 'KEYSLOT', key])).toBe(slotOf(key));
      for (const other of cluster.servers.filter((server) => server !== owner)) {
        await expect(other.ask(['GET', key])).rejects.toThrow(`MOVED ${slotOf(key)} ${owner.address}`);
      }
    }
    expect(owners.size).toBe(3);
  });

  it('has a replica take over when a master is killed', async () => {
    await using cluster = await RedisCluster.start({ replicasPerMaster: 1 });
    expect(cluster.servers).toHaveLength(6);
    const before = await cluster.slotOwner('{acme}x');
    await before.ask(['SET', '{acme}x', 'kept']);
    await before.ask(['WAIT', 1, 1_000]);
    await before.kill();
    await eventually(async () => (await cluster.slotOwner('{acme}x').catch(() => before)) !== before);
    await cluster.isFormed();
    expect(await (await cluster.slotOwner('{acme}x')).ask(['GET', '{acme}x'])).toBe('kept');
  });
});

describe('RedisSentinel', () => {
  it('makes the replica master when the master is killed', async () => {
    await using group = await RedisSentinel.start();
    expect(group.addresses).toHaveLength(3);
    const [first, replica] = group.servers;
    expect(await group.master()).toBe(first);
    await first?.ask(['SET', 'kept', 'yes']);
    await first?.ask(['WAIT', 1, 1_000]);
    await first?.kill();
    await eventually(async () => (await group.master().catch(() => first)) === replica);
    await eventually(async () => (await replica?.info('role')) === 'master');
    expect(await replica?.ask(['GET', 'kept'])).toBe('yes');
  });
});
