import { GlobalTaskRegistry, type LogGap, type TaskEvent } from '@agent-orchestrator/core';
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

/** Keeps what it hears of a tenant. When the storage is away it tries again. */
function listen(storage: RedisStorage, tenant: string, after: string) {
  const heard: (TaskEvent | LogGap)[] = [];
  const over = new AbortController();
  onTestFinished(() => over.abort());
  let cursor = after;
  const listening = async () => {
    while (!over.signal.aborted) {
      try {
        const log = storage.events.follow({ tenantId: tenant, after: cursor, signal: over.signal });
        for await (const event of log) {
          heard.push(event);
          cursor = event.event === 'gap' ? event.to : event.cursor;
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  void listening();
  const seqs = () =>
    heard.map((event) => (event.event === 'gap' ? 'gap' : Number(event.cursor.split(':')[1])));
  return { heard, seqs };
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

/** Appends so many events, one after another. */
async function append(storage: RedisStorage, tenant: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await storage.sessions.create({ tenantId: tenant, sessionId: crypto.randomUUID(), context: {} });
  }
}

/** How often logs were read. */
async function reads(): Promise<number> {
  const stats = String(await server.ask(['INFO', 'commandstats']));
  return Number(/cmdstat_xrange:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

const cutListeners = () => server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']);

describe('a log that is followed by its wakeups', () => {
  it('is read once', async () => {
    const tenant = tenantId();
    const storage = open();
    await append(storage, tenant, 2);
    const { seqs } = listen(storage, tenant, 'new:0');
    await vi.waitFor(() => expect(seqs()).toEqual([1, 2]));
    await storage.wakeupsSettled();
    const before = await reads();
    await append(storage, tenant, 50);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(52)));
    expect((await reads()) - before).toBe(0);
  });

  it('tells each event once, in order, though the listening connection is cut again and again', async () => {
    const tenant = tenantId();
    const [storage, writer] = [open(), open()];
    const { heard, seqs } = listen(storage, tenant, 'new:0');
    for (let round = 1; round <= 8; round += 1) {
      const appending = append(writer, tenant, 20);
      await cutListeners();
      await appending;
    }
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(160)), 60_000);
    expect(heard.some(({ event }) => event === 'gap')).toBe(false);
  });

  it('tells each event once when the connection for commands is cut', async () => {
    const tenant = tenantId();
    const [storage, writer] = [open(), open()];
    const { seqs } = listen(storage, tenant, 'new:0');
    await append(writer, tenant, 5);
    await server.ask(['CLIENT', 'KILL', 'TYPE', 'normal']).catch(() => undefined);
    await vi.waitFor(() => append(writer, tenant, 1), 60_000);
    await append(writer, tenant, 4);
    const last = Number((await storage.events.head({ tenantId: tenant })).split(':')[1]);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(last)), 60_000);
  });

  it('tells two followers the same, one of whom begins in the middle', async () => {
    const tenant = tenantId();
    const storage = open();
    await append(storage, tenant, 10);
    const { events } = await storage.events.read({ tenantId: tenant, after: 'new:0', limit: 4 });
    const first = listen(storage, tenant, 'new:0');
    const second = listen(storage, tenant, events.at(-1)?.cursor ?? '');
    const elsewhere = listen(open(), tenant, 'new:0');
    await append(storage, tenant, 30);
    await vi.waitFor(() => {
      expect(first.seqs()).toEqual(upTo(40));
      expect(second.seqs()).toEqual(upTo(40, 5));
      expect(elsewhere.seqs()).toEqual(upTo(40));
    });
    expect(first.heard).toEqual(elsewhere.heard);
    expect(first.heard.slice(4)).toEqual(second.heard);
    const { events: read } = await storage.events.read({ tenantId: tenant, after: 'new:0', limit: 100 });
    expect(first.heard).toEqual(read);
  });

  it('takes a wakeup that is said twice, or too early, for a reason to look', async () => {
    const tenant = tenantId();
    const storage = open();
    const { seqs } = listen(storage, tenant, 'new:0');
    await append(storage, tenant, 3);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(3)));
    const channel = `orchestrator:events:{${tenant}}`;
    const forged = '[1,["x",null,null,"s",{}]]';
    for (const seq of [2, 3, 9, 3]) await server.ask(['PUBLISH', channel, `${seq} ${forged}`]);
    await append(storage, tenant, 3);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(6)));
  });

  it.each(['2 [1769853600000,["C",{"type":"work","priority":4},"one"]]', '2 x y', 'x'])(
    'goes on after a wakeup that it can not read: %s',
    async (wakeup) => {
      const tenant = tenantId();
      const storage = open();
      const { seqs } = listen(storage, tenant, 'new:0');
      await append(storage, tenant, 1);
      await vi.waitFor(() => expect(seqs()).toEqual([1]));
      const channels = (await server.ask(['PUBSUB', 'CHANNELS', `*{${tenant}}*`])) as string[];
      expect(channels).toHaveLength(1);
      await server.ask(['PUBLISH', channels[0] ?? '', wakeup]);
      await append(storage, tenant, 2);
      await vi.waitFor(() => expect(seqs()).toEqual([1, 2, 3]));
    },
  );

  it('brings large results, which stand with their task', async () => {
    const tenant = tenantId();
    const storage = open();
    const registry = new GlobalTaskRegistry({ storage });
    const { heard } = listen(storage, tenant, 'new:0');
    const { task } = await registry.register({ tenantId: tenant, type: 'elsewhere' });
    await vi.waitFor(() => expect(heard).toHaveLength(2));
    const result = { text: 'x'.repeat(10_000) };
    await registry.finish({ tenantId: tenant, taskId: task.task_id, result });
    await vi.waitFor(() => expect(heard.at(-1)).toMatchObject({ event: 'task_completed', data: result }));
  });

  it('tells of a gap, and nothing of the old log, when the server comes back without it', async () => {
    await using own = await RedisServer.start({ appendonly: false });
    const tenant = tenantId();
    const storage = open(own.url);
    const { heard, seqs } = listen(storage, tenant, 'new:0');
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
      heard.slice(after + 1).every((event) => event.event !== 'gap' && event.cursor.startsWith(`${epoch}:`)),
    ).toBe(true);
    await expect(storage.sessions.get({ tenantId: tenant, sessionId: 'none' })).resolves.toBeUndefined();
  });

  it('tells of a gap when everything is deleted under an unbroken connection', async () => {
    await using own = await RedisServer.start();
    const tenant = tenantId();
    const storage = open(own.url);
    const { seqs } = listen(storage, tenant, 'new:0');
    await append(storage, tenant, 5);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(5)));
    await own.ask(['FLUSHALL']);
    // Somebody else begins to follow: from then on wakeups publish again.
    const other = listen(open(own.url), tenant, 'new:0');
    await append(storage, tenant, 1);
    await vi.waitFor(() => expect(other.seqs()).toEqual([1]));
    await append(storage, tenant, 1);
    await vi.waitFor(() => expect(seqs()).toEqual([...upTo(5), 'gap', 1, 2]), 60_000);
  });

  it('tells of a gap when what it hears of the new log would go on with the old one', async () => {
    await using own = await RedisServer.start();
    const tenant = tenantId();
    const storage = open(own.url);
    const { seqs, heard } = listen(storage, tenant, 'new:0');
    await append(storage, tenant, 5);
    await vi.waitFor(() => expect(seqs()).toEqual(upTo(5)));
    await own.ask(['FLUSHALL']);
    // As many events that no follower hears of, and then one that all of them do.
    await append(storage, tenant, 5);
    const other = listen(open(own.url), tenant, 'new:0');
    await vi.waitFor(() => expect(other.seqs()).toEqual(upTo(5)));
    await append(storage, tenant, 1);
    await vi.waitFor(() => expect(seqs()).toEqual([...upTo(5), 'gap', ...upTo(6)]));
    const last = heard.at(-1);
    expect(last).toEqual(other.heard.at(-1));
  });
});
