import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryStorage, Orchestrator, type ServiceCall, type Task } from '../src/index.js';
import { Breakers, type OpenedBreaker, type SendOutcome } from '../src/services/breakers.js';
import { systemClock } from '../src/runtime/clock.js';

let server: Server;
let orchestrator: Orchestrator;
/** Answers the calls of tenant `a`; those of others are answered with 200. */
let answerA: (response: ServerResponse) => void;
let opened: (Readonly<Record<string, string>> | undefined)[];
let callsOf: Record<string, number>;

beforeEach(async () => {
  callsOf = {};
  opened = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const { tenant_id } = JSON.parse(body) as ServiceCall;
      callsOf[tenant_id] = (callsOf[tenant_id] ?? 0) + 1;
      if (tenant_id === 'a') answerA(response);
      else response.end('{"result":"fine"}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const random = { uuid: () => crypto.randomUUID(), fraction: () => 0 };
  const storage = new MemoryStorage({ random });
  storage.systemEvents.publish = ({ kind, fields }) => {
    if (kind === 'breaker_opened') opened.push(fields);
  };
  orchestrator = new Orchestrator({
    random,
    storage,
    services: {
      remote: { url, timeoutMs: 20_000 },
      impatient: { url, timeoutMs: 200 },
      narrow: { url, concurrency: 1, timeoutMs: 20_000 },
      gone: { url: 'http://127.0.0.1:1' },
    },
  });
  for (const name of ['remote', 'impatient', 'narrow', 'gone']) {
    orchestrator.workflow(name, (ctx) => ctx.call(name, 'work', {}));
  }
  await orchestrator.start();
});

afterEach(async () => {
  await orchestrator.stop({ graceMs: 0 });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function run(tenant: string, type: string): Promise<Task> {
  const { tasks } = orchestrator.tenant(tenant);
  const { task_id } = await tasks.submit({ type, max_attempts: 1 });
  return tasks.wait(task_id, { timeoutMs: 20_000 });
}

describe('a service that fails the calls of one tenant', () => {
  it.each<[string, string, (response: ServerResponse) => void]>([
    ['with 500', 'remote', (response) => void response.writeHead(500).end()],
    ['with 429', 'remote', (response) => void response.writeHead(429).end()],
    ['with connections that break', 'remote', (response) => void response.destroy()],
    [
      'with half an answer',
      'impatient',
      (response) => void response.writeHead(200, { 'content-length': 9 }).write('{'),
    ],
    ['with no answer', 'impatient', () => {}],
  ])('%s opens the breaker of that tenant only', async (_, service, answer) => {
    answerA = answer;
    // The third finds the breaker open, after twice five sends.
    for (let i = 0; i < 3; i += 1) expect((await run('a', service)).status).toBe('failed');
    expect(callsOf['a']).toBe(10);
    expect(await run('b', service)).toMatchObject({ status: 'completed', result: 'fine' });
    expect(opened).toEqual([{ service, tenant: 'a' }]);
    const { breakers, openTenantBreakers } = orchestrator.stats();
    expect(breakers).toEqual({ [service]: 'closed' });
    expect(openTenantBreakers).toEqual({ [service]: 1 });
  });
});

describe('a service that refuses connections', () => {
  it('opens the breaker of all tenants', async () => {
    for (const tenant of ['a', 'b']) await run(tenant, 'gone');
    expect((await run('c', 'gone')).error?.message).toContain('circuit breaker of service');
    expect(opened).toEqual([{ service: 'gone' }]);
    expect(orchestrator.stats()).toMatchObject({ breakers: { gone: 'open' }, openTenantBreakers: {} });
  });
});

describe('the slots of a service', () => {
  it('held by one tenant do not block another', async () => {
    const held: ServerResponse[] = [];
    answerA = (response) => void held.push(response);
    const [first, second] = [run('a', 'narrow'), run('a', 'narrow')];
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await run('b', 'narrow')).status).toBe('completed');
    expect(callsOf['a']).toBe(1);
    answerA = (response) => void response.end('{"result":2}');
    held[0]?.end('{"result":1}');
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([
      'completed',
      'completed',
    ]);
    expect(callsOf['a']).toBe(2);
  });
});

describe('breakers', () => {
  const made = () => {
    const received: OpenedBreaker[] = [];
    const breakers = new Breakers(systemClock, (each) => received.push(each));
    const send = (tenant: string, outcome: SendOutcome) => {
      const pass = breakers.enter(tenant, 's');
      if ('report' in pass) pass.report(outcome);
      return 'report' in pass;
    };
    return { received, breakers, send };
  };

  it('count consecutive failures: a success resets them', () => {
    const { received, send } = made();
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 9; i += 1) expect(send('a', 'failed')).toBe(true);
      expect(send('a', 'succeeded')).toBe(true);
    }
    expect(received).toEqual([]);
  });

  it('count a response, also a failed one, as a connection', () => {
    const { received, send } = made();
    for (let i = 0; i < 30; i += 1) expect(send('a', i % 9 === 0 ? 'failed' : 'unreachable')).toBe(true);
    expect(received).toEqual([]);
  });

  it('of all tenants stay open after the timeout of an old call of one tenant', () => {
    const { received, breakers, send } = made();
    const old = breakers.enter('b', 's');
    for (let i = 0; i < 10; i += 1) send('a', 'unreachable');
    if ('report' in old) old.report('unanswered');
    expect(breakers.states()).toEqual({ s: 'open' });
    expect(received).toEqual([{ service: 's' }]);
  });

  it('evict the tenant with the oldest failure beyond 10,000', () => {
    const { breakers, send } = made();
    for (let i = 0; i < 10; i += 1) send('first', 'failed');
    expect(breakers.openTenants()).toEqual({ s: 1 });
    for (let i = 0; i < 10_000; i += 1) send(`t${i}`, 'failed');
    expect(breakers.openTenants()).toEqual({});
    expect(send('first', 'failed')).toBe(true);
  });
});
