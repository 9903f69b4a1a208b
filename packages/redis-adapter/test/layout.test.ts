import { randomUUID } from 'node:crypto';
import { Orchestrator, OrchestratorError } from '@agent-orchestrator/core';
import { RedisServer, sharedCluster, sharedRedis } from '@agent-orchestrator/test-servers';
import { Cluster, Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisStorage, type RedisTarget } from '../src/index.js';

const DEPLOYMENTS = {
  'one Redis': async () => {
    const { url } = await sharedRedis();
    return { target: url as RedisTarget, client: new Redis(url) };
  },
  'a Cluster': async () => {
    const { nodes } = await sharedCluster();
    return { target: { nodes } as RedisTarget, client: new Cluster([...nodes]) };
  },
} as const;

/** A prefix of its own, its key, and storages on it. */
function onOwnKeys(target: RedisTarget) {
  const prefix = `layout-${randomUUID().slice(0, 8)}`;
  const open = () => {
    const storage = RedisStorage.connect(target, { prefix, commandTimeoutMs: 10_000 });
    onTestFinished(() => storage.close());
    return storage;
  };
  return { prefix, key: `${prefix}:system:layout`, open };
}

const REFUSED = (layout: string) => ({
  code: 'invalid_request',
  message: `Redis: expected keys in layout 1, which this version uses, got layout ${layout}: see "Upgrading" in docs/operating-redis.md`,
});

const session = { tenantId: 'acme', sessionId: 's', context: {} };

describe.each(Object.entries(DEPLOYMENTS))('the layout of the keys, on %s', (_, deploy) => {
  it('is stored by the first of several storages, and accepted by the others', async () => {
    const { target, client } = await deploy();
    onTestFinished(() => client.disconnect());
    const { key, open } = onOwnKeys(target);
    await Promise.all([open(), open(), open()].map((storage) => storage.ping()));
    expect(await client.get(key)).toBe('1');
    expect(await client.pttl(key)).toBe(-1);
    await open().sessions.create(session);
    expect(await client.get(key)).toBe('1');
  });

  const calls: [string, (storage: RedisStorage) => Promise<unknown>][] = [
    ['a ping', (storage) => storage.ping()],
    ['the check of the server', (storage) => storage.checkServer()],
    ['a write', (storage) => storage.sessions.create(session)],
    ['a read', (storage) => storage.tasks.counts({ tenantId: 'acme' })],
    ['a worker', (storage) => storage.workers.announce({ workerId: 'w', runs: [] })],
    ['a sweep', (storage) => storage.queue.sweep({ max: 10 })],
    [
      'the start of an orchestrator',
      async (storage) => {
        const orchestrator = new Orchestrator({ storage });
        onTestFinished(() => orchestrator.stop({ graceMs: 0 }));
        await orchestrator.start();
      },
    ],
  ];
  it.each(calls)(
    'of another version is refused by %s, with both numbers, and nothing is written',
    async (_, call) => {
      const { target, client } = await deploy();
      onTestFinished(() => client.disconnect());
      const { prefix, key, open } = onOwnKeys(target);
      await client.set(key, '2');
      const storage = open();
      await expect(call(storage)).rejects.toMatchObject(REFUSED('2'));
      await expect(call(storage)).rejects.toMatchObject(REFUSED('2'));
      const nodes = client instanceof Cluster ? client.nodes('master') : [client];
      const keys = await Promise.all(nodes.map((node) => node.keys(`${prefix}:*`)));
      expect(keys.flat()).toEqual([key]);
      expect(await client.get(key)).toBe('2');
    },
  );
});

describe('the layout of the keys', () => {
  it('is compared again on each connection', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    const storage = RedisStorage.connect(server.url);
    onTestFinished(() => storage.close());
    await storage.sessions.create(session);
    await server.ask(['SET', 'orchestrator:system:layout', 'new']);
    // The connection stays as it was accepted.
    await storage.sessions.get({ tenantId: 'acme', sessionId: 's' });
    await server.ask(['CLIENT', 'KILL', 'TYPE', 'normal']);
    const next = () =>
      storage.sessions.create({ ...session, sessionId: 't' }).then(
        ({ answer }) => answer as string,
        (error: OrchestratorError) => error,
      );
    // The client may still write to the connection that was cut.
    let answer = await next();
    while (!(answer instanceof OrchestratorError) || answer.code === 'storage_unavailable')
      answer = await next();
    expect(answer).toMatchObject(REFUSED('new'));
  });

  it('is accepted by a server that refuses writes, for reads', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    await server.ask(['SET', 'orchestrator:system:layout', '1']);
    await server.ask(['REPLICAOF', '127.0.0.1', '1']);
    const storage = RedisStorage.connect(server.url);
    onTestFinished(() => storage.close());
    expect(await storage.sessions.get({ tenantId: 'acme', sessionId: 's' })).toBeUndefined();
    await expect(storage.sessions.create(session)).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it('is stored once the server takes writes', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    await server.ask(['REPLICAOF', '127.0.0.1', '1']);
    const storage = RedisStorage.connect(server.url);
    onTestFinished(() => storage.close());
    await storage.ping();
    expect(await server.ask(['GET', 'orchestrator:system:layout'])).toBeNull();
    await server.ask(['REPLICAOF', 'NO', 'ONE']);
    await storage.ping();
    expect(await server.ask(['GET', 'orchestrator:system:layout'])).toBe('1');
  });
});
