import { randomUUID } from 'node:crypto';
import { MemoryStorage, OrchestratorError } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';
import { KEYS, type RunningServer, startServer, text, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';
import { SseReader } from './sse-reader.js';

async function ticketOf(running: RunningServer, body?: object, token: string = KEYS.acme): Promise<string> {
  const answer = await running.ask('POST', '/v1/tickets', { token, ...(body && { body }) });
  expect(answer.status).toBe(201);
  return text(answer.body['ticket']);
}

const socketWith = (running: RunningServer, ticket: string) =>
  new SocketPeer(`${running.url}/ws/client?ticket=${ticket}`);

async function subscribe(peer: SocketPeer, topic: object): Promise<unknown> {
  await peer.opened;
  peer.send({ action: 'subscribe', id: 'a', topic });
  const { event, code } = await peer.next();
  return event === 'error' ? code : event;
}

describe('a ticket', () => {
  it('is valid at every process on the storage, once in total', async () => {
    const storage = new MemoryStorage();
    const [here, there] = [await startServer({}, { storage }), await startServer({}, { storage })];
    const ticket = await ticketOf(here);
    expect(await subscribe(socketWith(there, ticket), { tenant: true })).toBe('subscribed');
    for (const running of [here, there])
      expect(await socketWith(running, ticket).closed).toMatchObject({ code: 4401 });
  });

  it.each([
    ['socket', (running: RunningServer, ticket: string) => socketWith(running, ticket).closed],
    [
      'stream',
      async (running: RunningServer, ticket: string) => {
        const path = `/v1/sessions/talk/events?ticket=${ticket}`;
        const { status, body } = await running.ask('GET', path, { token: '' });
        return { code: status === 401 && body['code'] === 'unauthorized' ? 4401 : status };
      },
    ],
  ])('that is invalid, or of another tenant, opens no %s', async (_, open) => {
    const running = await startServer();
    await running.orchestrator.tenant('acme').sessions.create({ session_id: 'talk' });
    const [secret] = (await ticketOf(running)).split('.');
    for (const ticket of [
      '',
      'x',
      secret ?? '',
      `${secret}.globex`,
      `${secret}.%00`,
      `${'a'.repeat(22)}.acme`,
    ])
      expect(await open(running, ticket)).toMatchObject({ code: 4401 });
    expect(await subscribe(socketWith(running, `${secret}.acme`), { tenant: true })).toBe('subscribed');
  });

  it.each(['session_id', 'task_id'] as const)('for a %s opens a socket for that alone', async (field) => {
    const running = await startServer();
    const sessions = running.orchestrator.tenant('acme').sessions;
    await sessions.create({ session_id: 'talk' });
    await sessions.create({ session_id: 'other' });
    const [task, other] = [await running.submit('approval'), await running.submit('approval')];
    const own = field === 'task_id' ? { task_id: task } : { session_id: 'talk' };
    const others = [
      { tenant: true },
      { session_id: 'other' },
      { task_id: other },
      field === 'task_id' ? { session_id: 'talk' } : { task_id: task },
    ];
    for (const body of [own, { topic: own }]) {
      const peer = socketWith(running, await ticketOf(running, body));
      for (const topic of others) expect(await subscribe(peer, topic)).toBe('forbidden');
      expect(await subscribe(peer, own)).toBe('subscribed');
    }
  });

  it('opens an event stream once, of its own topic', async () => {
    const running = await startServer();
    const [task, other] = [await running.submit('approval'), await running.submit('approval')];
    const open = (id: string, ticket: string) =>
      running.fetch('GET', `/v1/tasks/${id}/events?ticket=${ticket}`, { token: '' });
    const ticket = await ticketOf(running, { task_id: task });
    const response = await open(task, ticket);
    expect((await new SseReader(response).next())?.event).toBe('snapshot');
    expect((await open(task, ticket)).status).toBe(401);
    expect((await open(other, await ticketOf(running, { task_id: task }))).status).toBe(403);
    expect((await open(other, await ticketOf(running))).status).toBe(200);
    const elsewhere = await running.ask('GET', `/v1/tasks?ticket=${await ticketOf(running)}`, { token: '' });
    expect(elsewhere.status).toBe(401);
  });

  it.each([
    { session_id: 'a', task_id: randomUUID() },
    { topic: { session_id: 'a' }, session_id: 'a' },
    { sesion_id: 'a' },
    { topic: { tenant: true } },
    { task_id: 'no uuid' },
    [],
  ])('with an invalid limit is refused: %j', async (body) => {
    const running = await startServer();
    const answer = await running.ask('POST', '/v1/tickets', { body });
    expect([answer.status, answer.body['code']]).toEqual([400, 'invalid_request']);
  });

  it('is one of a limited number for its tenant', async () => {
    const running = await startServer({ maxTicketsPerTenant: 2 });
    const [first] = [await ticketOf(running), await ticketOf(running)];
    const refused = await running.ask('POST', '/v1/tickets');
    expect([refused.status, refused.body['code']]).toEqual([429, 'rate_limited']);
    expect(refused.body['detail']).toContain('at most 2 open tickets');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    await ticketOf(running, undefined, KEYS.globex);
    await subscribe(socketWith(running, first), { tenant: true });
    await ticketOf(running);
  });

  it('leaves neither itself nor its credential in the storage or the log', async () => {
    const storage = new MemoryStorage();
    const kept: unknown[] = [];
    const { tickets } = storage;
    const [issue, spend] = [tickets.issue.bind(tickets), tickets.spend.bind(tickets)];
    tickets.issue = (params) => {
      kept.push(params);
      return issue(params);
    };
    tickets.spend = (params) => {
      kept.push(params);
      return spend(params);
    };
    const log = (message: string, fields?: object) => kept.push(message, fields);
    const logger = { debug: log, info: log, warn: log, error: log };
    const running = await startServer({ logger }, { storage, logger });
    const ticket = await ticketOf(running);
    await subscribe(socketWith(running, ticket), { tenant: true });
    await socketWith(running, ticket).closed;
    expect(kept.length).toBeGreaterThan(2);
    const [secret = ''] = ticket.split('.');
    for (const word of [secret, KEYS.acme]) expect(JSON.stringify(kept)).not.toContain(word);
  });

  it('that cannot be looked up is answered with a retry', async () => {
    const storage = new MemoryStorage();
    const running = await startServer({}, { storage });
    const ticket = await ticketOf(running);
    storage.tickets.spend = () => Promise.reject(new OrchestratorError('storage_unavailable', 'away'));
    expect(await socketWith(running, ticket).closed).toMatchObject({ code: 1013 });
  });

  it('opens a stream with any characters', async () => {
    const running = await startServer();
    await running.orchestrator.tenant('acme').sessions.create({ session_id: 'talk' });
    for (let round = 0; round < 200; round += 1) {
      const path = `/v1/sessions/talk/events?ticket=${await ticketOf(running)}`;
      expect((await running.fetch('HEAD', path, { token: '' })).status).toBe(200);
    }
  });

  it('is not issued to services', async () => {
    const running = await startServer();
    expect((await running.ask('POST', '/v1/tickets', { token: TOKENS.query })).status).toBe(403);
  });
});
