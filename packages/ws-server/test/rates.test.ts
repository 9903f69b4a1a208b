import { MemoryStorage, Orchestrator, OrchestratorError } from '@agent-orchestrator/core';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import { OrchestratorServer, type RateOptions, toFetchHandler } from '../src/index.js';
import { LocalRates } from '../src/rates/local-rates.js';
import { TenantRates } from '../src/rates/tenant-rates.js';
import { KEYS, type RunningServer, startServer, text, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

/** A server whose time stands still, with its storage. */
async function limited(rates: RateOptions, options: object = {}) {
  const clock = new ManualClock();
  const storage = new MemoryStorage({ clock });
  const running = await startServer({ clock, rates, ...options }, { storage, clock });
  return { clock, storage, running };
}

const list = (running: RunningServer, options: object = {}) => running.ask('GET', '/v1/tasks', options);

/** Statuses of requests, one after the other. */
async function statuses(count: number, ask: () => Promise<{ readonly status: number }>): Promise<number[]> {
  const all: number[] = [];
  for (let n = 0; n < count; n += 1) all.push((await ask()).status);
  return all;
}

const fieldsOf = ({ headers }: { readonly headers: Headers }) => [
  headers.get('ratelimit-policy'),
  headers.get('ratelimit'),
];

describe('a rate of requests of a tenant', () => {
  it('admits a burst, refuses the next with when to come back, and refills', async () => {
    const { clock, running } = await limited({ tenant: { perMinute: 60, burst: 3 } });
    const first = await list(running);
    expect([first.status, ...fieldsOf(first)]).toEqual([200, '"tenant";q=3;w=3', '"tenant";r=2;t=1']);
    expect(await statuses(2, () => list(running))).toEqual([200, 200]);
    const refused = await list(running);
    expect([refused.status, ...fieldsOf(refused)]).toEqual([429, '"tenant";q=3;w=3', '"tenant";r=0;t=1']);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.body).toMatchObject({
      code: 'rate_limited',
      detail: 'expected at most 60 requests of a tenant a minute and 3 at once, got one more',
    });
    await clock.advance(1_000);
    expect(await statuses(2, () => list(running))).toEqual([200, 429]);
    await clock.advance(60_000);
    expect(await statuses(4, () => list(running))).toEqual([200, 200, 200, 429]);
  });

  it('is that of one tenant, whatever the key, and of no service, operator or health check', async () => {
    const { running } = await limited({ tenant: { perMinute: 1, burst: 1 } });
    expect(await statuses(2, () => list(running))).toEqual([200, 429]);
    expect((await list(running, { token: KEYS.plain })).status).toBe(429);
    expect((await list(running, { token: KEYS.globex })).status).toBe(200);
    const others = [
      ['/internal/v1/jobs/none', TOKENS.query, 400],
      ['/admin/v1/workers', TOKENS.operator, 200],
      ['/health/live', '', 200],
    ] as const;
    for (const [path, token, status] of others) {
      const headers = { 'x-tenant-id': 'acme' };
      const answers = [1, 2].map(() => running.ask('GET', path, { token, headers }));
      for (const answer of await Promise.all(answers)) {
        expect([path, answer.status, ...fieldsOf(answer)]).toEqual([path, status, null, null]);
      }
    }
  });

  it('counts a batch as one, a refusal for its scope or body as one, and tells of it in every answer', async () => {
    const { running } = await limited({ tenant: { perMinute: 60, burst: 4 } });
    const requests = Array.from({ length: 50 }, () => ({ type: 'echo' }));
    const post = (path: string, body: unknown) => running.ask('POST', path, { body });
    const answers = [
      await post('/v1/batch', { requests }),
      await post('/v1/tasks', { type: 7 }),
      await running.ask('GET', `/v1/tasks/${crypto.randomUUID()}`),
    ];
    expect(answers.map((answer) => [answer.status, fieldsOf(answer)[1]])).toEqual([
      [202, '"tenant";r=3;t=1'],
      [400, '"tenant";r=2;t=2'],
      [404, '"tenant";r=1;t=3'],
    ]);
  });

  it('refuses before the body is read', async () => {
    const { running } = await limited({ tenant: { perMinute: 1, burst: 1 } });
    await list(running);
    const options = { body: 'no JSON at all' };
    expect((await running.ask('POST', '/v1/tasks', options)).status).toBe(429);
  });

  it('is met by a client that honours Retry-After, in real time', async () => {
    const running = await startServer({ rates: { tenant: { perMinute: 120, burst: 2 } } });
    let waits = 0;
    for (let done = 0; done < 5;) {
      const { status, headers } = await list(running);
      if (status === 200) done += 1;
      else {
        waits += 1;
        await new Promise((resolve) => setTimeout(resolve, Number(headers.get('retry-after')) * 1_000));
      }
    }
    expect(waits).toBeGreaterThanOrEqual(1);
    expect(waits).toBeLessThanOrEqual(3);
  });

  it('is replaced by settings of the tenant within seconds, on every server, and comes back', async () => {
    const clock = new ManualClock();
    const storage = new MemoryStorage({ clock });
    const rates = { tenant: { perMinute: 60_000, burst: 1_000 } };
    const [here, there] = [
      await startServer({ clock, rates }, { storage, clock }),
      await startServer({ clock, rates }, { storage, clock }),
    ];
    const patch = async (own: object | null) => {
      const options = { token: TOKENS.operator, body: { rates: own } };
      const { status, body } = await here.ask('PATCH', '/admin/v1/tenants/acme', options);
      return [status, body['rates']];
    };
    expect(await statuses(20, () => list(there))).not.toContain(429);
    const own = { requests_per_minute: 60, burst: 2 };
    const others = { calls_per_minute: null, tokens_per_minute: null };
    expect(await patch(own)).toEqual([200, { ...own, ...others }]);
    await clock.advance(5_000);
    const both = [...(await statuses(3, () => list(here))), ...(await statuses(3, () => list(there)))];
    expect(both.filter((status) => status === 200)).toHaveLength(2);
    expect(fieldsOf(await list(there))[0]).toBe('"tenant";q=2;w=2');
    expect(await patch({ burst: null })).toEqual([200, { ...others, requests_per_minute: 60, burst: null }]);
    expect(await patch(null)).toEqual([200, { ...others, requests_per_minute: null, burst: null }]);
    await clock.advance(5_000);
    expect(await statuses(20, () => list(there))).not.toContain(429);
    for (const wrong of [{ requests_per_minute: 0 }, { burst: 1.5 }, { per_minute: 1 }, 7])
      expect((await patch(wrong as object))[0]).toBe(400);
  });
});

describe('other rates of requests', () => {
  it('limit each key', async () => {
    const { clock, running } = await limited({ credential: { perMinute: 60, burst: 2 } });
    expect(await statuses(3, () => list(running))).toEqual([200, 200, 429]);
    expect((await list(running, { token: KEYS.plain })).status).toBe(200);
    await clock.advance(1_000);
    const again = await list(running);
    expect([again.status, ...fieldsOf(again)]).toEqual([200, '"credential";q=2;w=2', '"credential";r=0;t=2']);
  });

  it('limit each address, whatever it asks for, but health checks', async () => {
    const { running } = await limited({ address: { perMinute: 60, burst: 2 } }, { trustedProxies: 1 });
    const from = (address: string, path: string) =>
      running.ask('GET', path, { token: '', headers: { 'x-forwarded-for': `spoofed, ${address}` } });
    expect((await from('192.0.2.1', '/nowhere')).status).toBe(404);
    expect((await from('192.0.2.1', '/v1/tasks')).status).toBe(401);
    const refused = await from('192.0.2.1', '/v1/tasks');
    expect([refused.status, ...fieldsOf(refused)]).toEqual([429, '"address";q=2;w=2', '"address";r=0;t=1']);
    expect((await from('192.0.2.1', '/health/ready')).status).toBe(200);
    expect((await from('192.0.2.2', '/v1/tasks')).status).toBe(401);
  });

  it('are told of together', async () => {
    const { running } = await limited({
      tenant: { perMinute: 600, burst: 10 },
      credential: { perMinute: 60 },
      address: { perMinute: 120 },
    });
    expect(fieldsOf(await list(running))).toEqual([
      '"address";q=20;w=10, "credential";q=10;w=10, "tenant";q=10;w=1',
      '"address";r=19;t=1, "credential";r=9;t=1, "tenant";r=9;t=1',
    ]);
  });

  it('are in the metrics', async () => {
    const { running } = await limited({ tenant: { perMinute: 1, burst: 1 } });
    await statuses(3, () => list(running));
    const metrics = await (await running.fetch('GET', '/metrics')).text();
    expect(metrics).toContain('orchestrator_rate_limited_total{limit="tenant"} 2');
  });

  it('limit no address that an adapter does not know', async () => {
    const orchestrator = new Orchestrator();
    const identities = { authenticate: () => ({ kind: 'client', tenant: 'acme' }) as const };
    const rates = { address: { perMinute: 1, burst: 1 } };
    const server = new OrchestratorServer(orchestrator, { identities, rates });
    await server.start();
    const handle = toFetchHandler(server);
    const ask = () =>
      handle(new Request('http://host/v1/tasks', { headers: { authorization: 'Bearer any' } }));
    expect(await statuses(3, ask)).toEqual([200, 200, 200]);
    await server.stop();
  });
});

describe('failed logins', () => {
  const rates = { failedLogins: { perMinute: 60, burst: 3 } };
  const guess = (running: RunningServer) => list(running, { token: 'a-guess' });

  it('are limited for an address, over HTTP', async () => {
    const { clock, running } = await limited(rates);
    const first = await guess(running);
    expect([first.status, ...fieldsOf(first)]).toEqual([401, '"logins";q=3;w=3', '"logins";r=2;t=1']);
    expect(await statuses(3, () => guess(running))).toEqual([401, 401, 429]);
    const refused = await guess(running);
    expect([refused.headers.get('retry-after'), ...fieldsOf(refused)]).toEqual([
      '1',
      '"logins";q=3;w=3',
      '"logins";r=0;t=1',
    ]);
    expect((await list(running)).status).toBe(429);
    expect((await list(running, { token: '' })).status).toBe(401);
    await clock.advance(1_000);
    expect((await list(running)).status).toBe(200);
    await guess(running);
    expect((await guess(running)).status).toBe(429);
    expect((await list(running)).status).toBe(200);
  });

  it('do not count against keys that are known, nor are those counted', async () => {
    const { running } = await limited(rates);
    expect(await statuses(10, () => list(running))).not.toContain(429);
    expect(await statuses(5, () => guess(running))).toContain(429);
    expect((await list(running)).status).toBe(200);
    expect((await list(running, { token: KEYS.globex })).status).toBe(429);
  });

  it('are counted on sockets, and with tickets', async () => {
    const { clock, running } = await limited(rates);
    const closed = async (path: string, hello?: object) => {
      const peer = new SocketPeer(running.url + path);
      await peer.opened;
      if (hello) peer.send(hello);
      return (await peer.closed).code;
    };
    expect(await closed('/ws/client', { token: 'a-guess' })).toBe(4401);
    expect(await closed('/ws/task_updates', { service_token: 'a-guess', service_name: 'query' })).toBe(4401);
    expect(await closed(`/ws/client?ticket=${'a'.repeat(22)}.acme`)).toBe(4401);
    expect(await closed(`/ws/client?ticket=${'a'.repeat(22)}.acme`)).toBe(1013);
    expect(await closed('/ws/client', { token: 'a-guess' })).toBe(1013);
    const stream = `/v1/sessions/talk/events?ticket=${'a'.repeat(22)}.acme`;
    expect((await running.ask('GET', stream, { token: '' })).status).toBe(429);
    await clock.advance(3_000);
    const { body } = await running.ask('POST', '/v1/tickets');
    const peer = new SocketPeer(`${running.url}/ws/client?ticket=${text(body['ticket'])}`);
    await peer.opened;
    peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    expect(await peer.event('subscribed')).toMatchObject({ id: 'a' });
  });
});

describe('rates without the storage', () => {
  it('use up the last lease, then refuse with 503 until the storage is back', async () => {
    const { clock, storage, running } = await limited({ tenant: { perMinute: 6_000, burst: 1_000 } });
    // So many at once that the process leases more than it needs.
    await Promise.all(Array.from({ length: 20 }, () => list(running)));
    const lease = storage.rates.lease.bind(storage.rates);
    let isAway = true;
    let asked = 0;
    storage.rates.lease = (params) => {
      asked += 1;
      return isAway ? Promise.reject(new OrchestratorError('storage_unavailable', 'away')) : lease(params);
    };
    const after = await statuses(60, () => list(running));
    const admitted = after.indexOf(503);
    expect(admitted).toBeGreaterThanOrEqual(0);
    expect(after.slice(admitted).every((status) => status === 503)).toBe(true);
    expect(asked).toBe(1);
    const refused = await list(running);
    expect(refused.body['code']).toBe('storage_unavailable');
    expect(refused.headers.get('retry-after')).toBe('1');
    isAway = false;
    await clock.advance(1_000);
    expect((await list(running)).status).toBe(200);
  });

  it('wait for a storage that hangs no longer than their time limit', async () => {
    const clock = new ManualClock();
    const rates = new TenantRates({ perMinute: 60, burst: 5 }, { clock, lease: () => new Promise(() => {}) });
    const waiting = rates.take('acme').catch((error: OrchestratorError) => error.code);
    await clock.advance(2_000);
    expect(await waiting).toBe('storage_unavailable');
  });
});

describe('leases of a tenant', () => {
  /** A process with its own leases on the storage. */
  const processOn = (storage: MemoryStorage, clock: ManualClock, leases: number[] = []) =>
    new TenantRates(
      { perMinute: 6_000, burst: 1_000 },
      {
        clock,
        lease: async (tenantId, params) => {
          const lease = await storage.rates.lease({ tenantId, ...params });
          leases.push(lease.granted);
          return lease;
        },
      },
    );

  it('grow with the demand to a twentieth of a minute, and are few', async () => {
    const clock = new ManualClock();
    const leases: number[] = [];
    const rates = processOn(new MemoryStorage({ clock }), clock, leases);
    for (let n = 0; n < 1_000; n += 1) await rates.take('acme');
    expect(leases.slice(0, 6)).toEqual([1, 2, 4, 8, 16, 32]);
    expect(Math.max(...leases)).toBe(300);
    expect(leases.length).toBeLessThan(20);
    await clock.advance(60_000);
    for (let n = 0; n < 10; n += 1) {
      await rates.take('acme');
      await clock.advance(6_000);
    }
    expect(leases.at(-1)).toBe(1);
  });

  it('admit burst and rate, and at most one slice more for each process, over any time', async () => {
    const clock = new ManualClock();
    const storage = new MemoryStorage({ clock });
    const processes = [1, 2, 3, 4].map(() => processOn(storage, clock));
    const round = async () => {
      let admitted = 0;
      for (const one of processes)
        for (let n = 0; n < 300; n += 1) if ((await one.take('acme')).isAllowed) admitted += 1;
      return admitted;
    };
    const seconds = 30;
    let admitted = 0;
    for (let second = 0; second < seconds; second += 1) {
      admitted += await round();
      await clock.advance(1_000);
    }
    expect(admitted).toBeLessThanOrEqual(1_000 + seconds * 100 + 4 * 300);
    expect(admitted).toBeGreaterThanOrEqual(1_000 + (seconds - 5) * 100);
  });

  it('are asked for once by many requests at the same time', async () => {
    const clock = new ManualClock();
    const leases: number[] = [];
    const rates = processOn(new MemoryStorage({ clock }), clock, leases);
    const states = await Promise.all(Array.from({ length: 1_500 }, () => rates.take('acme')));
    expect(states.filter(({ isAllowed }) => isAllowed)).toHaveLength(1_000);
    expect(leases.length).toBeLessThan(12);
  });
});

describe('the memory of rates', () => {
  it('is bounded for tenants that come and go', async () => {
    const clock = new ManualClock();
    const lease = async () => ({ granted: 5, remaining: 5, retryAfterMs: 0, perMinute: 600, burst: 10 });
    const rates = new TenantRates({ perMinute: 600, burst: 10 }, { clock, lease, maxTenants: 100 });
    for (let n = 0; n < 1_000; n += 1) await rates.take(`t-${n}`);
    expect(rates.size).toBe(100);
    await clock.advance(60_000);
    await rates.take('t-last');
    expect(rates.size).toBe(1);
  });

  it('is bounded for keys and addresses, and drained ones are forgotten', async () => {
    const clock = new ManualClock();
    const rates = new LocalRates({ perMinute: 60, burst: 10 }, clock, 100);
    for (let n = 0; n < 1_000; n += 1) rates.take(`a-${n}`);
    expect(rates.size).toBe(100);
    await clock.advance(1_000);
    rates.take('last');
    expect(rates.size).toBe(1);
  });
});

describe('invalid rates', () => {
  it.each([
    [
      { tenant: { perMinute: 0 } },
      'rates.tenant.perMinute: expected a whole number from 1 to 10000000, got 0',
    ],
    [{ tenant: { perMinute: 60, burst: 1.5 } }, 'rates.tenant.burst: expected a whole number'],
    [{ address: true }, 'rates.address.perMinute: expected a whole number'],
    [{ credential: null }, 'rates.credential.perMinute: expected a whole number'],
    [{ tenants: { perMinute: 1 } }, 'rates: expected only tenant, credential, address, failedLogins'],
    [7, 'rates: expected an object'],
  ])('%j are refused', (rates, message) => {
    const identities = { authenticate: () => undefined };
    expect(
      () => new OrchestratorServer(new Orchestrator(), { identities, rates: rates as RateOptions }),
    ).toThrow(message);
  });

  it('that are false limit nothing', async () => {
    const { running } = await limited({ tenant: false, failedLogins: false });
    expect(fieldsOf(await list(running))).toEqual([null, null]);
  });
});
