import { readFile } from 'node:fs/promises';
import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import { createIdentities, type Identity, ROUTES, type Route, type Scope, SCOPES } from '../src/index.js';
import { type RunningServer, startServer, text } from './running-server.js';
import { SocketPeer } from './socket-peer.js';
import { SseReader } from './sse-reader.js';

const keyWith = (scopes: readonly Scope[]) =>
  `key-with-${SCOPES.filter((scope) => scopes.includes(scope)).join('-')}`;
const SUBSETS = Array.from({ length: 2 ** SCOPES.length }, (_, bits) =>
  SCOPES.filter((_scope, at) => (bits & (1 << at)) > 0),
);
/** A key for each set of scopes. */
const identities = createIdentities({
  apiKeys: SUBSETS.map((scopes) => ({ key: keyWith(scopes), tenant: 'acme', scopes })),
});
const allBut = (without: readonly Scope[]) => keyWith(SCOPES.filter((scope) => !without.includes(scope)));

const PARAMETERS: Readonly<Record<string, string>> = {
  task_id: '0b5c6a10-0000-4000-8000-000000000000',
  batch_id: '0b5c6a10-0000-4000-8000-000000000000',
  session_id: 'talk',
  name: 'approve',
};
const pathOf = ({ path }: Route) =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? `no value for ${name}`);

const ask = (running: RunningServer, route: Route, token: string) =>
  running.ask(route.method, pathOf(route), { token, ...(route.body && { body: {} }) });

const OF_CLIENTS = ROUTES.filter(({ who }) => who === 'client');
const named = (routes: readonly Route[]) =>
  routes.map((route) => [`${route.method} ${route.path}`, route] as const);

describe('scopes of routes', () => {
  it.each(named(OF_CLIENTS))(
    '%s is refused without its scope, and with each of them not',
    async (_, route) => {
      const running = await startServer({ identities });
      const refused = await ask(running, route, allBut(route.scopes));
      const names = route.scopes.map((scope) => `"${scope}"`).join(' or ');
      expect(refused.body).toEqual({
        type: 'urn:agent-orchestrator:error:forbidden',
        title: 'Forbidden',
        status: 403,
        detail: `expected an API key with the scope ${names}, got one without it`,
        code: 'forbidden',
      });
      expect([refused.status, refused.headers.get('content-type')]).toEqual([
        403,
        'application/problem+json',
      ]);
      expect(route.scopes.length).toBeGreaterThan(0);
      for (const scope of route.scopes) {
        const { status } = await ask(running, route, keyWith([scope]));
        expect([200, 201, 202, 204, 400, 404]).toContain(status);
      }
    },
  );

  it('are refused before the body is read', async () => {
    const running = await startServer({ identities });
    const options = { token: keyWith(['chat']), body: 'no JSON' };
    expect((await running.ask('POST', '/v1/tasks', options)).status).toBe(403);
  });

  it.each(named(ROUTES.filter(({ who }) => who !== 'client')))('%s has none', (_, { scopes }) => {
    expect(scopes).toEqual([]);
  });

  it('are those of the table in docs/wire.md', async () => {
    const wire = await readFile(new URL('../../../docs/wire.md', import.meta.url), 'utf8');
    const [section = ''] = (wire.split('## HTTP for clients')[1] ?? '').split('\n## ');
    const documented = new Map<string, string>();
    for (const row of section.split('\n').filter((line) => line.startsWith('| `'))) {
      const [, routes = '', scope = ''] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
      for (const name of routesOf(routes)) documented.set(name, scope);
    }
    for (const [name, { scopes }] of named(OF_CLIENTS)) {
      const short = name.replaceAll(/\{(?:task|session|batch)_id\}/g, '{id}');
      expect([name, documented.get(short)]).toEqual([
        name,
        scopes.map((scope) => `\`${scope}\``).join(' or '),
      ]);
    }
  });
});

/** Routes of "`GET`, `PATCH /v1/a`, `/b`": methods before a path share it, a path alone has the method before it. */
function routesOf(cell: string): string[] {
  const found: string[] = [];
  let methods: string[] = [];
  let path = '';
  for (const [, code = ''] of cell.matchAll(/`([^`]+)`/g)) {
    const [, method, written = ''] = /^([A-Z]*) ?(.*)$/.exec(code) ?? [];
    if (method) methods = path === '' ? [...methods, method] : [method];
    const isLast = /^\/(?!v1)/.test(written);
    path = isLast ? path.replace(/\/[^/]+$/, written) : written;
    if (path !== '') found.push(...methods.map((each) => `${each} ${path}`));
  }
  return found;
}

describe('a set of scopes', () => {
  const open = async (identity: object, path: string) => {
    const running = await startServer({ identities: { authenticate: () => identity as Identity } });
    return (await running.ask('GET', path, { token: 'any' })).status;
  };
  const client = { kind: 'client', tenant: 'acme' };

  it.each([
    ['absent', client, 200, 200],
    ['empty', { ...client, scopes: new Set() }, 200, 200],
    ['of plans alone', { ...client, scopes: new Set(['plans']) }, 200, 200],
    ['of scopes of the host alone', { ...client, scopes: new Set(['openid']) }, 200, 200],
    ['of chat alone', { ...client, scopes: new Set(['chat']) }, 200, 403],
    ['of tasks and plans', { ...client, scopes: new Set(['tasks', 'plans']) }, 403, 200],
    ['of manage alone', { ...client, scopes: new Set(['manage']) }, 403, 403],
    ['of admin alone', { ...client, scopes: ['admin'] }, 403, 403],
  ])('that is %s opens what it names', async (_, identity, sessions, tasks) => {
    expect(await open(identity, '/v1/sessions')).toBe(sessions);
    expect(await open(identity, '/v1/tasks')).toBe(tasks);
  });

  it('with an unknown name is refused in a list', () => {
    const scopes = ['chat', 'task'] as Scope[];
    const apiKeys = [{ key: 'some-key', tenant: 'acme', scopes }];
    expect(() => createIdentities({ apiKeys })).toThrow(
      'scopes of an API key of tenant acme: expected some of chat, tasks, plans, manage, admin, got "task"',
    );
  });
});

describe('a batch', () => {
  const plan = { steps: [{ id: 'ask', service: 'query', operation: 'query', input: {} }] };
  it.each([
    ['a task', { type: 'echo' }, ['tasks'], 202],
    ['a chat', { message: 'Hello' }, ['tasks'], 403],
    ['a chat', { message: 'Hello' }, ['tasks', 'chat'], 202],
    ['a plan', { type: 'workflow', payload: { plan } }, ['tasks', 'chat'], 403],
    ['a plan', { type: 'workflow', payload: { plan } }, ['tasks', 'plans'], 202],
  ] as const)('with %s %j and the scopes %j is answered with %i', async (_, item, scopes, status) => {
    const running = await startServer({ identities });
    const options = { token: keyWith(scopes), body: { requests: [item] } };
    expect((await running.ask('POST', '/v1/batch', options)).status).toBe(status);
  });
});

async function subscribe(peer: SocketPeer, topic: object): Promise<unknown> {
  await peer.opened;
  peer.send({ action: 'subscribe', id: 'a', topic });
  const { event, code } = await peer.until((frame) => frame['event'] !== 'heartbeat');
  if (event !== 'error') peer.send({ action: 'unsubscribe', id: 'a' });
  return event === 'error' ? code : event;
}

describe('topics of a socket', () => {
  it.each([
    [['chat'], 'subscribed', 'subscribed'],
    [['tasks'], 'subscribed', 'forbidden'],
    [['plans', 'manage', 'admin'], 'forbidden', 'forbidden'],
  ] as const)('with the scopes %j', async (scopes, ofTask, ofOthers) => {
    const running = await startServer({ identities });
    const acme = running.orchestrator.tenant('acme');
    await acme.sessions.create({ session_id: 'talk' });
    const { task_id } = await acme.tasks.submit({ type: 'approval' });
    const peer = new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${keyWith(scopes)}` });
    expect(await subscribe(peer, { task_id })).toBe(ofTask);
    expect(await subscribe(peer, { session_id: 'talk' })).toBe(ofOthers);
    expect(await subscribe(peer, { tenant: true })).toBe(ofOthers);
  });
});

/** A server whose every token is that of one identity, which the test replaces. */
async function hosted(identity: Identity) {
  const clock = new ManualClock();
  let current = identity;
  const running = await startServer({ clock, identities: { authenticate: () => current } });
  const acme = running.orchestrator.tenant('acme');
  await acme.sessions.create({ session_id: 'talk' });
  const { task_id } = await acme.tasks.submit({ type: 'approval' });
  return {
    running,
    task_id,
    now: (next: Identity) => (current = next),
    beat: () => clock.advance(15_000),
  };
}

const client = (scopes: readonly Scope[], userId?: string): Identity => ({
  kind: 'client',
  tenant: 'acme',
  scopes: new Set(scopes),
  ...(userId !== undefined && { userId }),
});

describe('scopes taken away', () => {
  it('end the subscriptions and streams that need them, and no others', async () => {
    const { running, task_id, now, beat } = await hosted(client(['chat', 'tasks']));
    const peer = new SocketPeer(`${running.url}/ws/client`, { authorization: 'Bearer any' });
    await peer.opened;
    peer.send({ action: 'subscribe', id: 'task', topic: { task_id } });
    peer.send({ action: 'subscribe', id: 'session', topic: { session_id: 'talk' } });
    await peer.event('subscribed');
    await peer.event('subscribed');
    const ofSession = new SseReader(await running.fetch('GET', '/v1/sessions/talk/events'));
    const ofTask = new SseReader(await running.fetch('GET', `/v1/tasks/${task_id}/events`));
    await ofSession.next();
    await ofTask.next();
    now(client(['tasks']));
    await beat();
    expect(await peer.event('error')).toMatchObject({ id: 'session', code: 'forbidden' });
    expect(await ofSession.next()).toMatchObject({ event: 'error', data: { code: 'forbidden' } });
    peer.send({ action: 'subscribe', id: 'tenant', topic: { tenant: true } });
    expect(await peer.event('error')).toMatchObject({ id: 'tenant', code: 'forbidden' });
    await running.orchestrator.tenant('acme').tasks.signal(task_id, 'approve', 'yes');
    expect(await peer.event('task_completed')).toMatchObject({ task_id });
  });
});

describe('a ticket', () => {
  const ticketOf = async (running: RunningServer) =>
    text((await running.ask('POST', '/v1/tickets', { token: 'any' })).body['ticket']);
  const socketOf = (running: RunningServer, ticket: string) =>
    new SocketPeer(`${running.url}/ws/client?ticket=${ticket}`);

  it('has no scope that its key did not have when it was issued', async () => {
    const { running, now, beat } = await hosted(client(['chat']));
    const ticket = await ticketOf(running);
    now(client(['tasks']));
    const peer = socketOf(running, ticket);
    expect(await subscribe(peer, { session_id: 'talk' })).toBe('forbidden');
    now(client(['chat', 'tasks']));
    await beat();
    expect(await subscribe(peer, { session_id: 'talk' })).toBe('subscribed');
    now(client(['tasks']));
    const stream = `/v1/sessions/talk/events?ticket=${ticket}`;
    expect((await running.ask('GET', stream, { token: '' })).status).toBe(401);
  });

  it('is limited to the scopes of its key in a stream', async () => {
    const { running, now } = await hosted(client(['chat']));
    const ticket = await ticketOf(running);
    now(client(['tasks']));
    const answer = await running.ask('GET', `/v1/sessions/talk/events?ticket=${ticket}`, { token: '' });
    expect([answer.status, answer.body['code']]).toEqual([403, 'forbidden']);
  });

  it('belongs to the user of its key', async () => {
    const { running, now } = await hosted(client(['chat'], 'ann'));
    const [first, second] = [await ticketOf(running), await ticketOf(running)];
    now(client(['chat'], 'bea'));
    expect(await socketOf(running, first).closed).toMatchObject({ code: 4401 });
    const stream = await running.ask('GET', `/v1/sessions/talk/events?ticket=${second}`, { token: '' });
    expect(stream.status).toBe(401);
  });
});

describe('a user of a key', () => {
  const users = createIdentities({
    apiKeys: [
      { key: 'key-of-ann', tenant: 'acme', userId: 'ann' },
      { key: 'key-of-all', tenant: 'acme' },
    ],
  });
  /** What the service is told of the user. */
  const toldBy = async (token: string, path: string, body: object) => {
    const running = await startServer({ identities: users });
    const answer = await running.ask('POST', path, { token, body });
    if (answer.status !== 202) return [answer.status, answer.body['code']];
    return (await running.call(0)).metadata.user_id;
  };
  const TASK = { type: 'query', payload: { question: '?' } };

  it.each<[string, object | undefined | null, JsonValue]>([
    ['key-of-ann', undefined, 'ann'],
    ['key-of-ann', null, 'ann'],
    ['key-of-ann', {}, 'ann'],
    ['key-of-ann', { user_id: null, timeout_ms: 60_000 }, 'ann'],
    ['key-of-ann', { user_id: 'ann' }, 'ann'],
    ['key-of-ann', { user_id: 'bea' }, [403, 'forbidden']],
    ['key-of-all', { user_id: 'bea' }, 'bea'],
  ])('%s that says %j submits a task for %j', async (token, metadata, expected) => {
    expect(await toldBy(token, '/v1/tasks', { ...TASK, metadata })).toEqual(expected);
    expect(await toldBy(token, '/v1/batch', { requests: [{ ...TASK, metadata }] })).toEqual(expected);
  });

  it('is that of a chat and its batch items, whose other fields stay', async () => {
    const running = await startServer({ identities: users });
    const token = 'key-of-ann';
    const chat = { message: 'Hello', metadata: { timeout_ms: 60_000 } };
    const { body } = await running.ask('POST', '/v1/chat', { token, body: chat });
    const task = await running.orchestrator.tenant('acme').tasks.get(text(body['task_id']));
    expect(task.metadata).toMatchObject({ user_id: 'ann', timeout_ms: 60_000 });
    const requests = [chat, 'no object', { ...TASK, metadata: [] }, { ...TASK, metadata: { user_id: 7 } }];
    const batch = await running.ask('POST', '/v1/batch', { token, body: { requests } });
    const items = batch.body['items'] as { task_id?: string; error?: { code: string } }[];
    expect(items.slice(1).map(({ error }) => error?.code)).toEqual(Array(3).fill('invalid_request'));
    const first = await running.orchestrator.tenant('acme').tasks.get(text(items[0]?.task_id));
    expect(first.metadata).toMatchObject({ user_id: 'ann', timeout_ms: 60_000 });
  });

  it('who is another makes another request of the same Idempotency-Key', async () => {
    const running = await startServer({ identities: users });
    const headers = { 'idempotency-key': 'once' };
    const submit = (token: string) => running.ask('POST', '/v1/tasks', { token, body: TASK, headers });
    expect((await submit('key-of-ann')).status).toBe(202);
    expect((await submit('key-of-ann')).headers.get('idempotency-replayed')).toBe('true');
    expect((await submit('key-of-all')).body['code']).toBe('idempotency_conflict');
  });

  it.each([[''], ['x'.repeat(201)], ['a\nb'], [7]])('%j is refused', async (userId) => {
    const apiKeys = [{ key: 'some-key', tenant: 'acme', userId: userId as string }];
    expect(() => createIdentities({ apiKeys })).toThrow(OrchestratorError);
    const identity = { kind: 'client', tenant: 'acme', userId } as Identity;
    const running = await startServer({ identities: { authenticate: () => identity } });
    expect((await running.ask('GET', '/v1/tasks', { token: 'any' })).status).toBe(401);
  });
});
