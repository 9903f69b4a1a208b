import { type Logger, OrchestratorError } from '@agent-orchestrator/core';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import type { Identities } from '../src/index.js';
import { type RunningServer, startServer, text } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const TOKEN = 'canary-of-the-token';
const TIMEOUT_MS = 20;
const SECRET = 'what-the-host-says';
const CLIENT = { kind: 'client', tenant: 'acme', scopes: new Set() } as const;
const SERVICE = { kind: 'service', service: 'query' } as const;

type Behaviour = () => unknown;

const thrower = (value: unknown): Behaviour => {
  return () => {
    throw value;
  };
};
const thenable = (method: Behaviour): unknown => ({ [['th', 'en'].join('')]: method });
const unreadable = new Proxy(new OrchestratorError('forbidden', SECRET), {
  get: thrower(new Error(SECRET)),
  getPrototypeOf: thrower(new Error(SECRET)) as () => null,
});
const withoutText = {
  toString: thrower(new Error(SECRET)) as () => string,
};

/** What counts as not authenticated. */
const REFUSING: Readonly<Record<string, Behaviour>> = {
  'throws an error': thrower(new Error(`${SECRET} of ${TOKEN}`)),
  'throws a text': thrower(SECRET),
  'throws undefined': thrower(undefined),
  'throws null': thrower(null),
  'throws a symbol': thrower(Symbol(SECRET)),
  'throws what has no text': thrower(withoutText),
  'throws what has no prototype': thrower(Object.create(null)),
  'throws a proxy that throws': thrower(unreadable),
  'throws a refusal': thrower(new OrchestratorError('unauthorized', 'expired')),
  'rejects with an error': () => Promise.reject(new Error(`${SECRET} of ${TOKEN}`)),
  'rejects with undefined': () => Promise.reject(undefined),
  'rejects with a refusal': () => Promise.reject(new OrchestratorError('unauthorized', 'expired')),
  'returns undefined': () => undefined,
  'returns null': () => null,
  'returns a text': () => 'acme',
  'returns a number': () => 1,
  'returns true': () => true,
  'returns a function': () => () => CLIENT,
  'returns an array': () => [CLIENT],
  'returns an empty object': () => ({}),
  'returns another kind': () => ({ ...CLIENT, kind: 'admin' }),
  'returns a kind of the prototype': () => ({ ...CLIENT, kind: 'constructor' }),
  'returns a client without a tenant': () => ({ kind: 'client', scopes: new Set() }),
  'returns a tenant that is no id': () => ({ ...CLIENT, tenant: 'a:{b}' }),
  'returns a tenant that is an object': () => ({ ...CLIENT, tenant: { toString: () => 'acme' } }),
  'returns a service that is no id': () => ({ kind: 'service', service: '../query' }),
  'returns scopes that are no set': () => ({ ...CLIENT, scopes: 'plans' }),
  'returns tenants that are no set': () => ({ ...SERVICE, tenants: { acme: true } }),
  'returns a getter that throws': () =>
    Object.defineProperty({}, 'kind', { get: thrower(new Error(SECRET)) }),
  'returns a thenable that throws': () => thenable(thrower(new Error(SECRET))),
  'resolves to null': () => Promise.resolve(null),
  'resolves to a text': () => Promise.resolve('acme'),
};
/** What counts as a back end that is away. */
const UNAVAILABLE: Readonly<Record<string, Behaviour>> = {
  'throws that it is away': thrower(new OrchestratorError('storage_unavailable', 'away')),
  'throws that it is away for long': thrower(
    new OrchestratorError('service_unavailable', 'away', { retryable: false }),
  ),
  'rejects since it is away': () => Promise.reject(new OrchestratorError('service_unavailable', 'away')),
  'never settles': () => new Promise(() => undefined),
  'returns a thenable without an end': () => thenable(() => undefined),
};

/** A server whose `authenticate` does what the test says, and what it logged. */
async function serverOf(options: object = {}) {
  const host: { behaviour: Behaviour; asked: number } = { behaviour: () => undefined, asked: 0 };
  const identities = {
    authenticate: () => {
      host.asked += 1;
      return host.behaviour();
    },
  } as Identities;
  const logged: string[] = [];
  const log = (message: string, fields?: object) => void logged.push(JSON.stringify({ message, ...fields }));
  const logger = { debug: log, info: log, warn: log, error: log };
  const running = await startServer({ identities, logger, authenticateTimeoutMs: TIMEOUT_MS, ...options });
  return { running, host, logged };
}

type Entry = (running: RunningServer) => Promise<{ readonly status: number; readonly said: string }>;

function http(method: string, path: string): Entry {
  return async (running) => {
    const response = await running.fetch(method, path, {
      token: TOKEN,
      ...(method === 'POST' && { body: {} }),
    });
    return { status: response.status, said: await response.text() };
  };
}

function socket(path: string, hello: object | undefined): Entry {
  return async (running) => {
    const headers = hello ? {} : { authorization: `Bearer ${TOKEN}` };
    const peer = new SocketPeer(`${running.url}${path}`, headers);
    await peer.opened;
    if (hello) peer.send(hello);
    const { code, reason } = await peer.closed;
    return { status: code, said: reason + JSON.stringify(peer.frames) };
  };
}

async function byTicket(running: RunningServer, host: { behaviour: Behaviour }) {
  const { behaviour } = host;
  host.behaviour = () => CLIENT;
  const { body } = await running.ask('POST', '/v1/tickets', { token: TOKEN });
  host.behaviour = behaviour;
  return socket(`/ws/client?ticket=${text(body['ticket'])}`, {})(running);
}

const OVER_HTTP: Readonly<Record<string, Entry>> = {
  'a route of clients': http('GET', '/v1/tasks'),
  'a route that makes something': http('POST', '/v1/tasks'),
  'a stream of events': http('GET', '/v1/sessions/s-1/events'),
  'the tickets': http('POST', '/v1/tickets'),
  'a route of services': http('POST', '/internal/v1/notifications'),
  'the gateway': http('GET', '/internal/v1/jobs/some'),
};
const OVER_SOCKETS: Readonly<Record<string, Entry>> = {
  'the header of a client': socket('/ws/client', undefined),
  'the hello of a client': socket('/ws/client', { token: TOKEN }),
  'the header of a service': socket('/ws/task_updates', undefined),
  'the hello of a service': socket('/ws/task_updates', { service_token: TOKEN, service_name: 'query' }),
};

describe.each([
  ...Object.entries(REFUSING).map(([name, behaviour]) => [name, behaviour, 401, 4401] as const),
  ...Object.entries(UNAVAILABLE).map(([name, behaviour]) => [name, behaviour, 503, 1013] as const),
  ['throws that it is forbidden', thrower(new OrchestratorError('forbidden', 'no')), 403, 4403] as const,
])('an authenticate() that %s', (_, behaviour, status, code) => {
  it(`is answered with ${status} and ${code} at every entry, without its message`, async () => {
    const { running, host, logged } = await serverOf();
    host.behaviour = behaviour;
    for (const [name, enter] of Object.entries(OVER_HTTP)) {
      const answer = await enter(running);
      expect([name, answer.status]).toEqual([name, status]);
      expect(answer.said).not.toContain(SECRET);
    }
    for (const [name, enter] of Object.entries(OVER_SOCKETS)) {
      const answer = await enter(running);
      expect([name, answer.status]).toEqual([name, code]);
      expect(answer.said).not.toContain(SECRET);
    }
    expect((await byTicket(running, host)).status).toBe(code);
    expect(logged.join('\n')).not.toContain(TOKEN);
    host.behaviour = () => CLIENT;
    expect((await running.ask('GET', '/v1/tasks', { token: TOKEN })).status).toBe(200);
  });
});

/** A client and a service that are connected, each to a server of its own. */
const CONNECTED = [
  ['client', CLIENT, '/ws/client', { token: TOKEN }],
  ['service', SERVICE, '/ws/task_updates', { service_token: TOKEN, service_name: 'query' }],
] as const;

const HEARTBEAT_MS = 100;

async function connected([, identity, path, hello]: (typeof CONNECTED)[number]) {
  const clock = new ManualClock();
  const made = await serverOf({ heartbeatMs: HEARTBEAT_MS, clock });
  made.host.behaviour = () => identity;
  const peer = new SocketPeer(`${made.running.url}${path}`);
  await peer.opened;
  peer.send(hello);
  if (identity.kind === 'client') {
    peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    await peer.event('subscribed');
  } else await peer.next();
  // So that each further heartbeat includes the time limit of its check.
  await clock.advance(TIMEOUT_MS);
  const beat = () => peer.heartbeat(clock, HEARTBEAT_MS);
  return { ...made, peer, beat };
}

describe.each(CONNECTED.map((each) => [each[0], each] as const))('at a heartbeat of a %s', (_, each) => {
  it.each(Object.entries(REFUSING))('an authenticate() that %s closes the socket', async (__, behaviour) => {
    const { host, peer, logged, beat } = await connected(each);
    await beat();
    expect(peer.isOpen).toBe(true);
    host.behaviour = behaviour;
    await beat();
    expect(await peer.closed).toMatchObject({ code: 4401, reason: expect.not.stringContaining(SECRET) });
    expect(logged.join('\n')).not.toContain(TOKEN);
  });

  it('another identity closes the socket', async () => {
    const { host, peer, beat } = await connected(each);
    host.behaviour = () => ({ ...each[1], tenant: 'globex', service: 'embedding' });
    await beat();
    expect(await peer.closed).toMatchObject({ code: 4401 });
  });

  it.each(Object.entries(UNAVAILABLE))('one that %s closes it after three', async (__, behaviour) => {
    const { host, peer, beat } = await connected(each);
    host.asked = 0;
    host.behaviour = behaviour;
    for (let n = 0; n < 3; n += 1) await beat();
    expect([peer.isOpen, host.asked]).toEqual([true, 3]);
    await beat();
    expect(await peer.closed).toMatchObject({ code: 1013 });
  });

  it('one that is unavailable for three in a row, again and again, closes nothing', async () => {
    const { host, peer, beat } = await connected(each);
    for (let n = 1; n <= 16; n += 1) {
      host.behaviour =
        n % 4 === 0 ? () => each[1] : thrower(new OrchestratorError('storage_unavailable', 'away'));
      await beat();
    }
    expect(peer.isOpen).toBe(true);
  });
});

describe('a value that is not an identity', () => {
  it('is logged once, not at each request', async () => {
    const { running, host, logged } = await serverOf();
    host.behaviour = () => null;
    for (let n = 0; n < 3; n += 1) await running.ask('GET', '/v1/tasks', { token: TOKEN });
    expect(logged.filter((line) => line.includes('no identity'))).toHaveLength(1);
  });
});

describe('an error of authenticate()', () => {
  it('is logged with the correlation id of its request', async () => {
    const { running, host, logged } = await serverOf();
    host.behaviour = thrower(new Error(SECRET));
    const { headers } = await running.ask('GET', '/v1/tasks', { token: TOKEN });
    const line = logged.find((each) => each.includes(SECRET));
    expect(line).toContain(String(headers.get('x-correlation-id')));
  });
});

describe('a truncated text', () => {
  it.each([3_985, 3_990, 3_996])('does not keep a prefix of the token at %i', async (at) => {
    const { running, host, logged } = await serverOf();
    host.behaviour = thrower(new Error(`${'x'.repeat(at - 'Error: '.length)}${TOKEN}`));
    await running.ask('GET', '/v1/tasks', { token: TOKEN });
    const line = logged.find((each) => each.includes('xxx'));
    expect(line).toContain('[token]');
    expect(line).not.toContain(TOKEN.slice(0, 4));
  });
});

describe('frames of a service during authentication', () => {
  const large = { event: 'task_status_update', data: { status: 'x'.repeat(600_000) } };
  it.each([
    ['a MiB in all', [large, large]],
    ['a hundred', Array.from({ length: 101 }, () => ({}))],
  ])('are kept up to %s', async (_, frames) => {
    const { running, host } = await serverOf({ authenticateTimeoutMs: 60_000 });
    host.behaviour = () => new Promise(() => undefined);
    const peer = new SocketPeer(`${running.url}/ws/task_updates`, { authorization: `Bearer ${TOKEN}` });
    await peer.opened;
    for (const frame of frames) peer.send(frame);
    const reason = 'too many frames before the token was checked';
    expect(await peer.closed).toMatchObject({ code: 1013, reason });
  });
});

describe('an identity without scopes', () => {
  it('has all rights, and a list of scopes is accepted as a set', async () => {
    const { running, host } = await serverOf();
    const plan = { type: 'workflow', payload: { plan: { steps: [] } } };
    const submit = async () => (await running.ask('POST', '/v1/tasks', { token: TOKEN, body: plan })).status;
    host.behaviour = () => ({ kind: 'client', tenant: 'acme' });
    expect(await submit()).toBe(400);
    host.behaviour = () => ({ kind: 'client', tenant: 'acme', scopes: ['plans'] });
    expect(await submit()).toBe(400);
    host.behaviour = () => ({ kind: 'client', tenant: 'acme', scopes: [] });
    expect(await submit()).toBe(403);
  });
});

describe('a logger of the host', () => {
  it.each([
    ['throws', thrower(new Error(SECRET))],
    ['rejects', () => Promise.reject(new Error(SECRET))],
  ])('that %s disturbs no request and no socket', async (_, log) => {
    const logger = { debug: log, info: log, warn: log, error: log } as Logger;
    const { running, host } = await serverOf({ logger, heartbeatMs: 25 });
    host.behaviour = thrower(new Error(SECRET));
    expect((await running.ask('GET', '/v1/tasks', { token: TOKEN })).status).toBe(401);
    host.behaviour = () => SERVICE;
    const peer = new SocketPeer(`${running.url}/ws/task_updates`, { authorization: `Bearer ${TOKEN}` });
    expect(await peer.next()).toMatchObject({ status: 'authenticated' });
    host.behaviour = thrower(new Error(SECRET));
    expect(await peer.closed).toMatchObject({ code: 4401 });
  });
});
