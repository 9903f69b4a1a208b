import { GlobalTaskRegistry, type TaskEvent } from '@agent-orchestrator/core';
import { type LogGap } from '@agent-orchestrator/core/storage';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

const tenantId = () => `t-${crypto.randomUUID()}`;

function open(url = server.url): RedisStorage {
  const storage = RedisStorage.connect(url, { commandTimeoutMs: 1_000 });
  onTestFinished(() => storage.close());
  return storage;
}

/** Collects the events of a tenant. Reconnects after errors of the storage. */
function follow(storage: RedisStorage, tenant: string, after: string) {
  const received: (TaskEvent | LogGap)[] = [];
  const over = new AbortController();
  onTestFinished(() => over.abort());
  let cursor = after;
  const following = async () => {
    while (!over.signal.aborted) {
      try {
        const log = storage.events.follow({ tenantId: tenant, after: cursor, signal: over.signal });
        for await (const event of log) {
          received.push(event);
          cursor = event.event === 'gap' ? event.to : event.cursor;
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  void following();
  const seqs = () =>
    received.map((event) => (event.event === 'gap' ? 'gap' : Number(event.cursor.split(':')[1])));
  return { received, seqs };
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

/** Appends `count` events, one after another. */
async function append(storage: RedisStorage, tenant: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await storage.sessions.create({ tenantId: tenant, sessionId: crypto.randomUUID(), context: {} });
  }
}

/** Number of log reads. */
async function reads(): Promise<number> {
  const stats = String(await server.ask(['INFO', 'commandstats']));
  return Number(/cmdstat_xrange:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

const cutSubscriptions = () => server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']);

describe('following a log', () => {
  it('reads the log once, then takes entries from wakeups', async () => {
    const tenant = tenantId();
    const storage = open();
    await append(storage, tenant, 2);
    const { seqs } = follow(storage, tenant, 'new:0');
    await vi.waitFor(() => expect(seqs()).toEqual([1, 2]));
    await storage.wakeupsSettled();
    const before = await reads();
    await append(storage, tenant, 50);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(52)));
    expect((await reads()) - before).toBe(0);
  });

  it('delivers each event once, in order, while the subscription is cut repeatedly', async () => {
    const tenant = tenantId();
    const [storage, writer] = [open(), open()];
    const { received, seqs } = follow(storage, tenant, 'new:0');
    for (let round = 1; round <= 8; round += 1) {
      const appending = append(writer, tenant, 20);
      await cutSubscriptions();
      await appending;
    }
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(160)), 60_000);
    expect(received.some(({ event }) => event === 'gap')).toBe(false);
  });

  it('delivers each event once when the connection for commands is cut', async () => {
    const tenant = tenantId();
    const [storage, writer] = [open(), open()];
    const { seqs } = follow(storage, tenant, 'new:0');
    await append(writer, tenant, 5);
    await server.ask(['CLIENT', 'KILL', 'TYPE', 'normal']).catch(() => undefined);
    await vi.waitFor(() => append(writer, tenant, 1), 60_000);
    await append(writer, tenant, 4);
    const last = Number((await storage.events.head({ tenantId: tenant })).split(':')[1]);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(last)), 60_000);
  });

  it('delivers the same events to two followers, one of which starts in the middle', async () => {
    const tenant = tenantId();
    const storage = open();
    await append(storage, tenant, 10);
    const { events } = await storage.events.read({ tenantId: tenant, after: 'new:0', limit: 4 });
    const first = follow(storage, tenant, 'new:0');
    const second = follow(storage, tenant, events.at(-1)?.cursor ?? '');
    const elsewhere = follow(open(), tenant, 'new:0');
    await append(storage, tenant, 30);
    await vi.waitFor(() => {
      expect(first.seqs()).toEqual(upTo(40));
      expect(second.seqs()).toEqual(upTo(40, 5));
      expect(elsewhere.seqs()).toEqual(upTo(40));
    });
    expect(first.received).toEqual(elsewhere.received);
    expect(first.received.slice(4)).toEqual(second.received);
    const { events: read } = await storage.events.read({ tenantId: tenant, after: 'new:0', limit: 100 });
    expect(first.received).toEqual(read);
  });

  it('reads the log after a repeated or premature wakeup', async () => {
    const tenant = tenantId();
    const storage = open();
    const { seqs } = follow(storage, tenant, 'new:0');
    await append(storage, tenant, 3);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(3)));
    const channel = `orchestrator:events:{${tenant}}`;
    const forged = '[1,["x",null,null,"s",{}]]';
    for (const seq of [2, 3, 9, 3]) await server.ask(['PUBLISH', channel, `${seq} ${forged}`]);
    await append(storage, tenant, 3);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(6)));
  });

  it.each(['2 [1769853600000,["C",{"type":"work","priority":4},"one"]]', '2 x y', 'x'])(
    'continues after an unreadable wakeup: %s',
    async (wakeup) => {
      const tenant = tenantId();
      const storage = open();
      const { seqs } = follow(storage, tenant, 'new:0');
      await append(storage, tenant, 1);
      await vi.waitFor(() => expect(seqs()).toEqual([1]));
      const channels = (await server.ask(['PUBSUB', 'CHANNELS', `*{${tenant}}*`])) as string[];
      expect(channels).toHaveLength(1);
      await server.ask(['PUBLISH', channels[0] ?? '', wakeup]);
      await append(storage, tenant, 2);
      await vi.waitFor(() => expect(seqs()).toEqual([1, 2, 3]));
    },
  );

  it('delivers large results, which are stored with their task', async () => {
    const tenant = tenantId();
    const storage = open();
    const registry = new GlobalTaskRegistry({ storage });
    const { received } = follow(storage, tenant, 'new:0');
    const { task } = await registry.register({ tenantId: tenant, type: 'elsewhere' });
    await vi.waitFor(() => expect(received).toHaveLength(2));
    const result = { text: 'x'.repeat(10_000) };
    await registry.finish({ tenantId: tenant, taskId: task.task_id, result });
    await vi.waitFor(() => expect(received.at(-1)).toMatchObject({ event: 'task_completed', data: result }));
  });

  it('reports a gap, and no event of the old log, when the server restarts without data', async () => {
    await using own = await RedisServer.start({ appendonly: false });
    const tenant = tenantId();
    const storage = open(own.url);
    const { received, seqs } = follow(storage, tenant, 'new:0');
    await append(storage, tenant, 5);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(5)));
    await own.kill();
    await own.restart();
    await vi.waitFor(() => append(storage, tenant, 1), 60_000);
    await append(storage, tenant, 6);
    const head = await storage.events.head({ tenantId: tenant });
    const [epoch = '', last] = head.split(':');
    await vi.waitFor(() => expect(seqs().at(-1)).toBe(Number(last)), 60_000);
    const after = seqs().lastIndexOf('gap');
    expect(seqs().slice(0, 6)).toEqual([...upTo(5), 'gap']);
    expect(seqs().slice(after + 1)).toEqual(upTo(Number(last)));
    expect(
      received
        .slice(after + 1)
        .every((event) => event.event !== 'gap' && event.cursor.startsWith(`${epoch}:`)),
    ).toBe(true);
    await expect(storage.sessions.get({ tenantId: tenant, sessionId: 'none' })).resolves.toBeUndefined();
  });

  it('reports a gap when all data is deleted on an unbroken connection', async () => {
    await using own = await RedisServer.start();
    const tenant = tenantId();
    const storage = open(own.url);
    const { seqs } = follow(storage, tenant, 'new:0');
    await append(storage, tenant, 5);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(5)));
    await own.ask(['FLUSHALL']);
    // A new follower: from then on appended events are published again.
    const other = follow(open(own.url), tenant, 'new:0');
    await append(storage, tenant, 1);
    await vi.waitFor(() => expect(other.seqs()).toEqual([1]));
    await append(storage, tenant, 1);
    await vi.waitFor(() => expect(seqs()).toEqual([...upTo(5), 'gap', 1, 2]), 60_000);
  });

  it('reports a gap when a wakeup of the new log would fit the position in the old one', async () => {
    await using own = await RedisServer.start();
    const tenant = tenantId();
    const storage = open(own.url);
    const { seqs, received } = follow(storage, tenant, 'new:0');
    await append(storage, tenant, 5);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(5)));
    await own.ask(['FLUSHALL']);
    // As many events without a follower, and then one with all of them.
    await append(storage, tenant, 5);
    const other = follow(open(own.url), tenant, 'new:0');
    await vi.waitFor(() => expect(other.seqs()).toEqual(upTo(5)));
    await append(storage, tenant, 1);
    await vi.waitFor(() => expect(seqs()).toEqual([...upTo(5), 'gap', ...upTo(6)]));
    const last = received.at(-1);
    expect(last).toEqual(other.received.at(-1));
  });
});
