import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { RedisStorage, type RedisTarget } from '@agent-orchestrator/redis-adapter';
import { FaultyProxy, RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { FaultTable } from '../faults/fault-table.js';
import { askEverything, type CallKind, type Outcome } from './every-call.js';

const TIMEOUT_MS = 800;
/** For calls that are to be answered: no busy machine takes that long. */
const PATIENT_MS = 20_000;
/** Far beyond what a call takes, which sends a command up to three times: what reaches it hangs. */
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

/** A server that takes connections and says `words` to whoever asks something. */
async function startSpeaker(words: string): Promise<number> {
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
  /** Calls that are answered all the same. */
  readonly answered?: readonly CallKind[];
}

const AWAY: readonly Away[] = [
  { fault: 'nobody listens', url: async () => 'redis://127.0.0.1:1' },
  {
    fault: 'somebody listens and says nothing',
    url: async () => `redis://127.0.0.1:${await startSpeaker('')}`,
  },
  {
    fault: 'it is no Redis',
    url: async () => `redis://127.0.0.1:${await startSpeaker('HTTP/1.1 400 Bad Request\r\n\r\n')}`,
  },
  {
    fault: 'connections are broken at once',
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
    fault: 'the wrong password',
    url: async () =>
      (await startRedis('--requirepass', 'canary-secret')).url.replace('//', '//:canary-wrong@'),
  },
  {
    fault: 'a replica, which takes no writes',
    answered: ['read'],
    async url() {
      const master = await startRedis();
      return (await startRedis('--replicaof', '127.0.0.1', String(master.port))).url;
    },
  },
  {
    fault: 'a user who may not do anything',
    async url() {
      const server = await startRedis();
      await server.ask(['ACL', 'SETUSER', 'weak', 'on', '>pw', '+info']);
      return server.url.replace('//', '//weak:pw@');
    },
  },
];

/** What a caller may never read: it may be shown to anybody. */
const SECRET = /canary|127\.0\.0\.1|ECONN|evalsha|user_script|NOAUTH|WRONGPASS|READONLY|OOM|ERR /i;

function expectAnswers(outcomes: readonly Outcome[], answered: readonly CallKind[]): void {
  const wrong = outcomes.filter(({ kind, came, name }) =>
    answered.includes(kind) || (name === 'ping' && answered.length > 0)
      ? came !== 'answered'
      : came !== 'storage_unavailable',
  );
  expect(wrong).toEqual([]);
  expect(outcomes.filter(({ message }) => SECRET.test(message))).toEqual([]);
}

function tell(row: number, fault: string, expected: string, outcomes: readonly Outcome[]): void {
  const count = (word: string) => outcomes.filter(({ came }) => came === word).length;
  const slowest = Math.max(...outcomes.map(({ ms }) => ms));
  const seen = `${count('answered')} answered, ${count('storage_unavailable')} storage_unavailable`;
  table.add({ row, fault, expected, seen, figure: `${outcomes.length} calls, slowest ${slowest} ms` });
}

describe('an address of Redis that is none', () => {
  it.each<[string, RedisTarget]>([
    ['a port that is none', 'redis://:canary-secret@127.0.0.1:99999'],
    ['no address', 'canary-secret'],
    ['nothing', ''],
    ['an address of something else', 'https://user:canary-secret@127.0.0.1'],
    ['a node that is none', { nodes: ['127.0.0.1:canary-secret'] }],
    ['a sentinel that is none', { sentinels: ['http://canary-secret'], name: 'mymaster' }],
  ])('is refused at once, and not repeated: %s', (_, target) => {
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

describe.concurrent('a Redis that can not be asked', () => {
  it.each(AWAY.map((away) => [away.fault, away] as const))('%s', async (_, away) => {
    const url = await away.url();
    const commandTimeoutMs = away.answered ? PATIENT_MS : TIMEOUT_MS;
    await using storage = RedisStorage.connect(url, { commandTimeoutMs });
    const outcomes = await askEverything(storage, LIMIT_MS);
    expectAnswers(outcomes, away.answered ?? []);
    tell(11, away.fault, away.answered ? 'writes: storage_unavailable' : 'storage_unavailable', outcomes);
  });

  it('one that is frozen: every call settles, and all is well when it thaws', async () => {
    const server = await startRedis();
    await using storage = RedisStorage.connect(server.url, { commandTimeoutMs: TIMEOUT_MS });
    await storage.ping();
    server.freeze();
    const outcomes = await askEverything(storage, LIMIT_MS);
    expectAnswers(outcomes, []);
    tell(10, 'frozen', 'every call settles in time', outcomes);
    server.thaw();
    await vi.waitFor(() => storage.ping(), 60_000);
  });

  it('one that is frozen: a follower goes when it is told to, and goes on when it thaws', async () => {
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
    // Either way it is over: it has waited for the server, or was told to go.
    expect(await ended).toMatchObject(expect.anything());
    server.thaw();
    await vi.waitFor(() => storage.sessions.update({ ...where, context: { a: 1 } }), 60_000);
    await vi.waitFor(() => expect(events).toHaveLength(2), 60_000);
    over.abort();
    await following;
  });

  it('one that loads its files: every call settles, and all is well when it is done', async () => {
    const slowly = ['--key-load-delay', '500', '--loading-process-events-interval-bytes', '1024'];
    const server = await RedisServer.start({ appendonly: true, args: slowly });
    toStop.push(server);
    await server.ask(['EVAL', `for n = 1, 4000 do redis.call('SET', 'filler:' .. n, 'x') end`, 0]);
    // Written anew, the file is in the form that can be loaded slowly.
    await server.ask(['BGREWRITEAOF']);
    await vi.waitFor(async () => expect(await server.info('aof_base_size')).not.toBe('88'), 60_000);
    await server.kill();
    const restarted = server.restart();
    await using storage = RedisStorage.connect(server.url, { commandTimeoutMs: TIMEOUT_MS });
    await vi.waitFor(async () => {
      const said = await server.ask(['GET', 'filler:1']).catch((error: Error) => error.message);
      expect(said).toContain('LOADING');
    }, 60_000);
    const outcomes = await askEverything(storage, LIMIT_MS);
    expectAnswers(outcomes, []);
    tell(11, 'it loads its files', 'storage_unavailable', outcomes);
    await restarted;
    await vi.waitFor(() => storage.ping(), 60_000);
  });
});
