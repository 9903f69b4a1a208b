import { Orchestrator, OrchestratorError } from '@agent-orchestrator/core';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { RedisStorage, type RedisTarget } from '../src/index.js';

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start({ args: ['--databases', '3'] });
});
afterAll(() => redis.stop());

function opened(target: RedisTarget): RedisStorage {
  const storage = RedisStorage.connect(target, { commandTimeoutMs: 10_000 });
  onTestFinished(() => storage.close());
  return storage;
}

async function keysOf(database: number): Promise<string[]> {
  const client = new Redis(redis.port, '127.0.0.1', { db: database });
  const keys = await client.keys('*');
  client.disconnect();
  return keys;
}

const submission = {
  tenantId: 'acme',
  submission: {
    task: {
      task_id: '0b5c9d3e-1111-4222-8333-944455556666',
      type: 't',
      priority: 4,
      timeoutMs: 60_000,
      maxAttempts: 1,
      metadata: {},
      payload: {},
    },
    onBusy: 'enqueue' as const,
  },
  idempotency: undefined,
  maxWaiting: 10,
};

describe('a database that the server does not have', () => {
  const calls: [string, (storage: RedisStorage) => Promise<unknown>][] = [
    ['a ping', (storage) => storage.ping()],
    ['the check of the server', (storage) => storage.checkServer()],
    ['a submit', (storage) => storage.tasks.submit(submission)],
    ['a session', (storage) => storage.sessions.create({ tenantId: 'acme', sessionId: 's', context: {} })],
    ['a read', (storage) => storage.tasks.counts({ tenantId: 'acme' })],
    ['the usage', (storage) => storage.usage.sum({ tenantId: 'acme', from: '2026-01-01', to: '2026-01-02' })],
    ['a worker', (storage) => storage.workers.announce({ workerId: 'w', runs: [] })],
    ['the settings of a tenant', (storage) => storage.tenants.configure({ tenantId: 'acme', weight: 2 })],
    ['a sweep', (storage) => storage.queue.sweep({ max: 10 })],
    [
      'systemEvents',
      async (storage) => {
        storage.systemEvents.publish({ kind: 'breaker_opened', text: 'text' });
        const { signal } = new AbortController();
        for await (const _ of storage.systemEvents.follow({ signal })) return;
      },
    ],
  ];

  it.each(calls)('is refused by %s, and nothing is written to another database', async (_, call) => {
    const error: unknown = await call(opened(`${redis.url}/3`)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(OrchestratorError);
    expect(error).toMatchObject({
      code: 'invalid_request',
      message: 'Redis: expected a database that the server has, got 3',
    });
    expect(await keysOf(0)).toEqual([]);
  });

  it('is refused by an orchestrator when it starts', async () => {
    const orchestrator = new Orchestrator({ storage: opened(`${redis.url}/3`) });
    onTestFinished(() => orchestrator.stop({ graceMs: 0 }));
    await expect(orchestrator.start()).rejects.toMatchObject({ code: 'invalid_request' });
    expect(await keysOf(0)).toEqual([]);
  });

  it('is refused for a borrowed client, before and after its first connection', async () => {
    const client = new Redis(redis.port, '127.0.0.1', { db: 3 });
    onTestFinished(() => client.disconnect());
    client.on('error', () => undefined);
    for (let round = 0; round < 2; round += 1) {
      const storage = RedisStorage.using(client);
      onTestFinished(() => storage.close());
      await expect(storage.workers.announce({ workerId: 'w', runs: [] })).rejects.toMatchObject({
        code: 'invalid_request',
      });
    }
    expect(await keysOf(0)).toEqual([]);
  });

  it('is refused when a later connection is to a server without it', async () => {
    const [large, port] = [await RedisServer.start({ args: ['--databases', '3'] }), redis.port];
    const proxied = new Redis(large.port, '127.0.0.1', { db: 2, retryStrategy: () => 10 });
    onTestFinished(() => proxied.disconnect());
    proxied.on('error', () => undefined);
    const storage = RedisStorage.using(proxied);
    onTestFinished(() => storage.close());
    await storage.sessions.create({ tenantId: 'acme', sessionId: 's', context: {} });
    await large.stop();
    const small = await RedisServer.start({ port: large.port, args: ['--databases', '2'] });
    onTestFinished(() => small.stop());
    expect(port).not.toBe(small.port);
    const again = () =>
      storage.sessions
        .create({ tenantId: 'acme', sessionId: 's2', context: {} })
        .catch((error: OrchestratorError) => error);
    let answer = await again();
    while (answer instanceof OrchestratorError && answer.code === 'storage_unavailable')
      answer = await again();
    expect(answer).toMatchObject({ code: 'invalid_request' });
    expect(await small.ask(['DBSIZE'])).toBe(0);
  });

  it.each([
    ['a node', { nodes: ['redis://127.0.0.1:7000/2'] }],
    ['a sentinel', { sentinels: ['127.0.0.1:26379/1'], name: 'm' }],
  ])('is refused in the address of %s', (_, target) => {
    expect(() => RedisStorage.connect(target)).toThrow(/no database in the address/);
  });
});

describe('two databases of one server', () => {
  it('receive no events of each other', async () => {
    const received: Record<number, unknown[]> = { 0: [], 1: [], 2: [] };
    const over = new AbortController();
    const sides = await Promise.all(
      [0, 1, 2].map(async (database) => {
        const orchestrator = new Orchestrator({ storage: opened(`${redis.url}/${database}`) });
        onTestFinished(() => orchestrator.stop({ graceMs: 0 }));
        orchestrator.workflow('say', async (ctx) => {
          await ctx.progress({ message: `database ${database}` });
          return database;
        });
        await orchestrator.start();
        const tenant = orchestrator.tenant('acme');
        const first = await tenant.tasks.submit({ type: 'say' });
        await tenant.tasks.wait(first.task_id);
        const following = (async () => {
          for await (const event of tenant.events.follow({ tenant: true, signal: over.signal }))
            received[database]?.push(event);
        })();
        return { database, tenant, following };
      }),
    );
    // All logs have the same length: a position of one looks like one of another.
    const submitted = new Map<number, string[]>();
    for (let n = 0; n < 20; n += 1) {
      for (const { database, tenant } of sides) {
        const { task_id } = await tenant.tasks.submit({ type: 'say', payload: { n } });
        await tenant.tasks.wait(task_id);
        submitted.set(database, [...(submitted.get(database) ?? []), task_id]);
      }
    }
    for (const { database } of sides) {
      const mine = new Set(submitted.get(database));
      const ends = () =>
        (received[database] as { event: string; task_id?: string }[]).filter(
          ({ event }) => event === 'task_completed',
        );
      while (ends().filter(({ task_id }) => mine.has(task_id ?? '')).length < 20)
        await new Promise((resolve) => setImmediate(resolve));
    }
    over.abort();
    await Promise.all(sides.map(({ following }) => following));
    for (const { database } of sides) {
      const mine = new Set(submitted.get(database));
      const foreign = [...submitted].filter(([other]) => other !== database).flatMap(([, ids]) => ids);
      const text = JSON.stringify(received[database]);
      expect(foreign.filter((id) => text.includes(id))).toEqual([]);
      expect(text).not.toContain('"event":"gap"');
      expect(
        text.match(/"message":"database \d"/g)?.every((message) => message.includes(String(database))),
      ).toBe(true);
      expect(mine.size).toBe(20);
    }
  });
});

describe('a borrowed client with unsupported settings', () => {
  it.each([
    [{ keyPrefix: 'mine:' }, 'keyPrefix'],
    [{ stringNumbers: true }, 'stringNumbers'],
    [{ readOnly: true }, 'readOnly'],
    [{ replyMapping: 'resp3' as const }, 'replyMapping'],
  ])('is refused: %j', (options, name) => {
    const client = new Redis(redis.port, '127.0.0.1', { ...options, lazyConnect: true });
    expect(() => RedisStorage.using(client as Redis)).toThrow(name);
    const redisOptions = options as Partial<RedisOptions>;
    const cluster = new Cluster([{ host: '127.0.0.1', port: redis.port }], {
      lazyConnect: true,
      ...('keyPrefix' in options ? options : { redisOptions: redisOptions as object }),
    });
    expect(() => RedisStorage.using(cluster)).toThrow(name);
    cluster.disconnect();
  });
});
