import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { RedisStorage, type RedisTarget } from '@agent-orchestrator/redis-adapter';
import { FaultyProxy, RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { FaultTable } from '../faults/fault-table.js';
import { runEveryCall, type CallKind, type Outcome } from './every-call.js';

const TIMEOUT_MS = 800;
/** For calls that have to be answered: no busy machine takes that long. */
const PATIENT_MS = 20_000;
/**
 * Far beyond the duration of a call, which sends a command up to three times: a call that reaches it hangs.
 */
const LIMIT_MS = 90_000;
const table = new FaultTable();
const toStop: { stop(): Promise<void> }[] = [];

afterAll(async () => {
  table.print();
  await Promise.all(toStop.map((each) => each.stop()));
});

async function startRedis(...args: string[]): Promise<RedisServer> {
  const server = await RedisServer.start({ args });
  toStop.push(server);
  return server;
}

/** A server that accepts connections and answers everything with `words`. */
async function startAnsweringServer(words: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => words !== '' && socket.write(words));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  toStop.push({ stop });
  return (server.address() as AddressInfo).port;
}

interface Away {
  readonly fault: string;
  readonly url: () => Promise<string>;
  /** Calls that are answered in spite of the fault. */
  readonly answered?: readonly CallKind[];
}

const AWAY: readonly Away[] = [
  { fault: 'no server listens', url: async () => 'redis://127.0.0.1:1' },
  {
    fault: 'a server that accepts and never answers',
    url: async () => `redis://127.0.0.1:${await startAnsweringServer('')}`,
  },
  {
    fault: 'a server that is not Redis',
    url: async () => `redis://127.0.0.1:${await startAnsweringServer('HTTP/1.1 400 Bad Request\r\n\r\n')}`,
  },
  {
    fault: 'connections are closed at once',
    async url() {
      const proxy = await FaultyProxy.start((await startRedis()).port);
      toStop.unshift(proxy);
      proxy.refuse();
      return proxy.url;
    },
  },
  {
    fault: 'no password',
    url: async () => (await startRedis('--requirepass', 'canary-secret')).url,
  },
  {
    fault: 'the unexpected password',
    url: async () =>
      (await startRedis('--requirepass', 'canary-secret')).url.replace('//', '//:canary-unexpected@'),
  },
  {
    fault: 'a read-only replica',
    answered: ['read'],
    async url() {
      const master = await startRedis();
      return (await startRedis('--replicaof', '127.0.0.1', String(master.port))).url;
    },
  },
  {
    fault: 'a user without permissions',
    async url() {
      const server = await startRedis();
      await server.ask(['ACL', 'SETUSER', 'weak', 'on', '>pw', '+info']);
      return server.url.replace('//', '//weak:pw@');
    },
  },
];

/** Text that no caller may read, since it may be shown publicly. */
const SECRET = /canary|127\.0\.0\.1|ECONN|evalsha|user_script|NOAUTH|WRONGPASS|READONLY|OOM|ERR /i;

function expectAnswers(outcomes: readonly Outcome[], answered: readonly CallKind[]): void {
  const unexpected = outcomes.filter(({ kind, outcome, name }) =>
    answered.includes(kind) || (name === 'ping' && answered.length > 0)
      ? outcome !== 'answered'
      : outcome !== 'storage_unavailable',
  );
  expect(unexpected).toEqual([]);
  expect(outcomes.filter(({ message }) => SECRET.test(message))).toEqual([]);
}

function addRow(row: number, fault: string, expected: string, outcomes: readonly Outcome[]): void {
  const count = (word: string) => outcomes.filter(({ outcome }) => outcome === word).length;
  const slowest = Math.max(...outcomes.map(({ ms }) => ms));
  const seen = `${count('answered')} answered, ${count('storage_unavailable')} storage_unavailable`;
  table.add({ row, fault, expected, seen, detail: `${outcomes.length} calls, slowest ${slowest} ms` });
}

describe('an invalid address of Redis', () => {
  it.each<[string, RedisTarget]>([
    ['an invalid port', 'redis://:canary-secret@127.0.0.1:99999'],
    ['no address', 'canary-secret'],
    ['an empty address', ''],
    ['an https address', 'https://user:canary-secret@127.0.0.1'],
    ['an invalid node', { nodes: ['127.0.0.1:canary-secret'] }],
    ['an invalid sentinel', { sentinels: ['http://canary-secret'], name: 'mymaster' }],
  ])('is refused at once, without its text in the error: %s', (_, target) => {
    const refused = captured(() => RedisStorage.connect(target));
    expect(refused).toMatchObject({ code: 'invalid_request' });
    expect(inspect(refused)).not.toContain('canary');
  });
});

function captured(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe.concurrent('an unavailable Redis: every call fails with storage_unavailable in time', () => {
  it.each(AWAY.map((away) => [away.fault, away] as const))('%s', async (_, away) => {
    const url = await away.url();
    const commandTimeoutMs = away.answered ? PATIENT_MS : TIMEOUT_MS;
    await using storage = RedisStorage.connect(url, { commandTimeoutMs });
    const outcomes = await runEveryCall(storage, LIMIT_MS);
    expectAnswers(outcomes, away.answered ?? []);
    addRow(11, away.fault, away.answered ? 'writes: storage_unavailable' : 'storage_unavailable', outcomes);
  });

  it('frozen: every call settles, and the storage recovers when it thaws', async () => {
    const server = await startRedis();
    await using storage = RedisStorage.connect(server.url, { commandTimeoutMs: TIMEOUT_MS });
    await storage.ping();
    server.freeze();
    const outcomes = await runEveryCall(storage, LIMIT_MS);
    expectAnswers(outcomes, []);
    addRow(10, 'frozen', 'every call settles in time', outcomes);
    server.thaw();
    await vi.waitFor(() => storage.ping(), 60_000);
  });

  it('frozen: a follower ends by its signal, and another continues when it thaws', async () => {
    const server = await startRedis();
    await using storage = RedisStorage.connect(server.url, { commandTimeoutMs: TIMEOUT_MS });
    const where = { tenantId: 'acme', sessionId: 'talk' };
    const events: string[] = [];
    const over = new AbortController();
    const follow = async () => {
      const log = storage.events.follow({ tenantId: 'acme', after: 'new:0', signal: over.signal });
      for await (const { event } of log) events.push(event);
    };
    const following = follow();
    await storage.sessions.create({ ...where, context: {} });
    await vi.waitFor(() => expect(events).toHaveLength(1), 60_000);
    server.freeze();
    const late = new AbortController();
    const lateOne = storage.events.follow({ tenantId: 'globex', after: 'new:0', signal: late.signal });
    const ended = lateOne[Symbol.asyncIterator]()
      .next()
      .catch((error: unknown) => error);
    late.abort();
    // Either way it has ended: after a wait for the server, or by its signal.
    expect(await ended).toMatchObject(expect.anything());
    server.thaw();
    await vi.waitFor(() => storage.sessions.update({ ...where, context: { a: 1 } }), 60_000);
    await vi.waitFor(() => expect(events).toHaveLength(2), 60_000);
    over.abort();
    await following;
  });

  it('loading its files: every call settles, and the storage recovers after it', async () => {
    const slowly = ['--key-load-delay', '500', '--loading-process-events-interval-bytes', '1024'];
    const server = await RedisServer.start({ appendonly: true, args: slowly });
    toStop.push(server);
    await server.ask(['EVAL', `for n = 1, 4000 do redis.call('SET', 'filler:' .. n, 'x') end`, 0]);
    // A rewritten file has the form that can be loaded slowly.
    await server.ask(['BGREWRITEAOF']);
    await vi.waitFor(async () => expect(await server.info('aof_base_size')).not.toBe('88'), 60_000);
    await server.kill();
    const restarted = server.restart();
    await using storage = RedisStorage.connect(server.url, { commandTimeoutMs: TIMEOUT_MS });
    await vi.waitFor(async () => {
      const reply = await server.ask(['GET', 'filler:1']).catch((error: Error) => error.message);
      expect(reply).toContain('LOADING');
    }, 60_000);
    const outcomes = await runEveryCall(storage, LIMIT_MS);
    expectAnswers(outcomes, []);
    addRow(11, 'loading its files', 'storage_unavailable', outcomes);
    await restarted;
    await vi.waitFor(() => storage.ping(), 60_000);
  });
});
