import type { JsonValue } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';
import { createIdentities, type Identities, type Identity, ROUTES } from '../src/index.js';
import { IDENTITIES, KEYS, type RunningServer, startServer, text, TOKENS } from './running-server.js';
import { SseReader } from './sse-reader.js';

const NOWHERE = '0b5c9d3e-1111-4222-8333-944455556666';

function asking(running: RunningServer) {
  return (method: string, path: string, body?: unknown) =>
    running.ask(method, `/admin/v1${path}`, { token: TOKENS.operator, ...(body !== undefined && { body }) });
}

/** A task of acme that has failed. */
async function failedTask(running: RunningServer): Promise<string> {
  const id = await running.submit('broken', {}, { max_attempts: 1 });
  expect(await running.ended(id)).toMatchObject({ status: 'failed' });
  return id;
}

/** Ids of the listed tasks. */
function idsOf(items: JsonValue | undefined): unknown[] {
  return (items as { task_id: string }[]).map(({ task_id }) => task_id);
}

describe('/admin/v1/tenants', () => {
  it('lists tenants in pages, by id, with settings and load', async () => {
    const running = await startServer();
    const ask = asking(running);
    await ask('PATCH', '/tenants/acme', { paused: true });
    await ask('PATCH', '/tenants/globex', { weight: 2 });
    await running.submit('echo');
    const first = await ask('GET', '/tenants?limit=1');
    expect(first).toMatchObject({ status: 200, body: { next: 'acme' } });
    expect(first.body['items']).toEqual([
      {
        tenant_id: 'acme',
        ready: 1,
        running: 0,
        counts: { pending: 1, processing: 0, completed: 0, failed: 0, cancelled: 0 },
        oldest_ready_at: expect.stringMatching(/^\d{4}-.*Z$/),
        weight: 1,
        max_running: null,
        max_waiting: null,
        max_stored_bytes: null,
        retention_ms: null,
        types: null,
        services: null,
        budgets: null,
        rates: {
          requests_per_minute: null,
          burst: null,
          calls_per_minute: null,
          tokens_per_minute: null,
        },
        paused: true,
      },
    ]);
    const second = await ask('GET', '/tenants?cursor=acme');
    expect(second.body).toMatchObject({ items: [{ tenant_id: 'globex' }] });
    expect(second.body['next']).toBeUndefined();
  });

  it('changes what is given, leaves the rest, and takes null for the default', async () => {
    const ask = asking(await startServer());
    const steps: [object, object][] = [
      [
        { weight: 7, max_running: 3, paused: true },
        { weight: 7, max_running: 3, paused: true },
      ],
      [{ paused: false }, { weight: 7, max_running: 3, paused: false }],
      [{}, { weight: 7, max_running: 3, paused: false }],
      [
        { weight: null, max_running: null, paused: null },
        { weight: 1, max_running: null, paused: false },
      ],
    ];
    for (const [patch, settings] of steps) {
      expect(await ask('PATCH', '/tenants/acme', patch)).toMatchObject({ status: 200, body: settings });
      expect((await ask('GET', '/tenants/acme')).body).toMatchObject({ tenant_id: 'acme', ...settings });
    }
    expect((await ask('GET', '/tenants/unknown')).body).toMatchObject({ tenant_id: 'unknown', weight: 1 });
    expect(idsOfTenants((await ask('GET', '/tenants')).body['items'])).not.toContain('unknown');
  });

  it.each<[object, string]>([
    [{ weight: 0 }, 'weight'],
    [{ weight: 101 }, 'weight'],
    [{ weight: 'heavy' }, 'weight'],
    [{ max_running: 0 }, 'max_running'],
    [{ max_running: 1.5 }, 'max_running'],
    [{ rates: 60 }, 'rates'],
    [{ rates: { requests_per_minute: 0 } }, 'rates.requests_per_minute'],
    [{ rates: { burst: 1.5 } }, 'rates.burst'],
    [{ paused: 'yes' }, 'paused'],
    [{ weight: 2, max_wait: 10 }, 'max_wait'],
    [{ max_waiting: 0 }, 'max_waiting'],
    [{ budgets: [{ period: 'week', tokens: 1 }] }, 'budgets.0.period'],
    [{ budgets: [{ period: 'day' }] }, 'budgets.0'],
    [{ types: ['a b'] }, 'types.0'],
    [{ rates: { calls_per_minute: { query: 0 } } }, 'rates.calls_per_minute.query'],
    [{ weight: 2, budgets: [] }, 'budgets'],
  ])('refuses %j with the place of the mistake, and changes nothing', async (patch, path) => {
    const ask = asking(await startServer());
    const { status, body } = await ask('PATCH', '/tenants/acme', patch);
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
    expect(body['errors']).toMatchObject([{ path }]);
    expect((await ask('GET', '/tenants/acme')).body).toMatchObject({ weight: 1, max_running: null });
  });
});

function idsOfTenants(items: JsonValue | undefined): unknown[] {
  return (items as { tenant_id: string }[]).map(({ tenant_id }) => tenant_id);
}

describe('/admin/v1/tenants/{tenant_id}/tasks', () => {
  it('lists tasks of one tenant by status, type and session, in pages', async () => {
    const running = await startServer();
    const ask = asking(running);
    const done = await running.submit('echo', 1, { session_id: 's-1' });
    await running.ended(done);
    const failed = await failedTask(running);
    const ids = async (query: string) =>
      idsOf((await ask('GET', `/tenants/acme/tasks${query}`)).body['items']);
    expect(await ids('')).toEqual([failed, done]);
    expect(await ids('?status=completed')).toEqual([done]);
    expect(await ids('?type=broken')).toEqual([failed]);
    expect(await ids('?session_id=s-1')).toEqual([done]);
    const page = await ask('GET', '/tenants/acme/tasks?limit=1');
    expect(idsOf(page.body['items'])).toEqual([failed]);
    expect(await ids(`?cursor=${text(page.body['next'])}`)).toEqual([done]);
    expect((await ask('GET', '/tenants/globex/tasks')).body).toEqual({ items: [] });
    expect(await ids('?code=workflow_error')).toEqual([failed]);
    expect(await ids('?code=timeout')).toEqual([]);
    expect(await ids('?since=2000-01-01T00:00:00Z')).toEqual([failed, done]);
    expect(await ids('?since=2999-01-01T00:00:00%2B01:00')).toEqual([]);
    expect(await ids(`?prefix=${done.slice(0, 8)}`)).toEqual([done]);
  });

  it.each(['code=a%20b', 'since=1h', 'since=2026-01-01', 'prefix=abc', 'prefix=*', 'error=timeout'])(
    'refuses ?%s with the name of the field',
    async (query) => {
      const ask = asking(await startServer());
      const path = query.split('=')[0];
      for (const list of [`/tenants/acme/tasks?${query}`, `/dead-letters?tenant=acme&${query}`]) {
        const { status, body } = await ask('GET', list);
        expect([status, body['errors']]).toMatchObject([400, [{ path }]]);
      }
    },
  );

  it('shows a task, and why it is where it is, with the error that tenants do not see', async () => {
    const running = await startServer();
    const ask = asking(running);
    const id = await failedTask(running);
    expect((await ask('GET', `/tenants/acme/tasks/${id}`)).body).toEqual(
      (await running.ask('GET', `/v1/tasks/${id}`)).body,
    );
    const why = await ask('GET', `/tenants/acme/tasks/${id}/why`);
    expect(why.body).toMatchObject({
      state: 'failed',
      task: { task_id: id },
      diagnostic: { message: 'the secret inside' },
    });
  });

  it('cancels and redrives, each with the same answer when repeated', async () => {
    const running = await startServer();
    const ask = asking(running);
    await running.orchestrator.tenants.pause('acme');
    const waiting = await running.submit('echo');
    const cancel = () => ask('POST', `/tenants/acme/tasks/${waiting}/cancel`, { reason: 'not needed' });
    for (let times = 0; times < 2; times += 1)
      expect(await cancel()).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    expect(await ask('POST', `/tenants/acme/tasks/${waiting}/redrive`)).toMatchObject({ status: 409 });
    await running.orchestrator.tenants.resume('acme');
    const failed = await failedTask(running);
    const first = await ask('POST', `/tenants/acme/tasks/${failed}/redrive`);
    expect(first).toMatchObject({ status: 202, body: { redriven_from: failed } });
    const again = await ask('POST', `/tenants/acme/tasks/${failed}/redrive`, {});
    expect(again.body['task_id']).toBe(first.body['task_id']);
    expect(await ask('POST', `/tenants/acme/tasks/${failed}/cancel`)).toMatchObject({ status: 409 });
    const redrive = (body: object) => ask('POST', `/tenants/acme/tasks/${failed}/redrive`, body);
    expect(await redrive({ payload: { other: 1 } })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
    expect((await redrive({ paylod: 1 })).body['errors']).toMatchObject([{ path: 'paylod' }]);
  });

  it('redrives with another payload', async () => {
    const running = await startServer();
    const failed = await failedTask(running);
    const redrive = () =>
      asking(running)('POST', `/tenants/acme/tasks/${failed}/redrive`, { payload: { mended: true } });
    const first = await redrive();
    expect(first).toMatchObject({
      status: 202,
      body: { redriven_from: failed, payload: { mended: true } },
    });
    expect((await redrive()).body['task_id']).toBe(first.body['task_id']);
  });

  it.each(['', '/why', '/cancel', '/redrive'])(
    'answers 404 to %s of a task that is unknown or of another tenant',
    async (action) => {
      const running = await startServer();
      const ask = asking(running);
      const foreign = await failedTask(running);
      const method = action === '/cancel' || action === '/redrive' ? 'POST' : 'GET';
      for (const id of [NOWHERE, foreign]) {
        const { status, body } = await ask(method, `/tenants/globex/tasks/${id}${action}`);
        expect([status, body['code'], body['detail']]).toEqual([404, 'not_found', `no task "${id}"`]);
      }
    },
  );

  it.each(['/tenants/a%20b', '/tenants/acme/tasks/1', '/tenants/%7Bacme%7D/tasks'])(
    'refuses the invalid id in %s',
    async (path) => {
      const { status, body } = await asking(await startServer())('GET', path);
      expect([status, body['code']]).toEqual([400, 'invalid_request']);
    },
  );
});

describe('/admin/v1/dead-letters', () => {
  it('lists the failed tasks of a tenant', async () => {
    const running = await startServer();
    const ask = asking(running);
    const failed = await failedTask(running);
    await running.ended(await running.submit('echo'));
    expect(idsOf((await ask('GET', '/dead-letters?tenant=acme')).body['items'])).toEqual([failed]);
    expect((await ask('GET', '/dead-letters?tenant=acme&type=echo')).body).toEqual({ items: [] });
    expect((await ask('GET', '/dead-letters')).body['errors']).toMatchObject([{ path: 'tenant' }]);
  });

  it('redrives those that fit a filter, once each; a dry run only counts them', async () => {
    const running = await startServer();
    const ask = asking(running);
    const failed = [await failedTask(running), await failedTask(running)];
    await running.orchestrator.tenants.pause('acme');
    const redrive = (filter: object, more: object = {}) =>
      ask('POST', '/dead-letters/redrive', { filter, ...more });
    const waiting = async () =>
      ((await ask('GET', '/tenants/acme/tasks?status=pending')).body['items'] as { redriven_from: string }[])
        .map(({ redriven_from }) => redriven_from)
        .toSorted();
    expect((await redrive({ tenant: 'acme' }, { dry_run: true })).body).toEqual({ matched: 2, done: 0 });
    expect((await redrive({ tenant: 'acme', type: 'echo' })).body).toEqual({ matched: 0, done: 0 });
    expect((await redrive({ tenant: 'globex' })).body).toEqual({ matched: 0, done: 0 });
    expect(await waiting()).toEqual([]);
    for (const done of [2, 0]) {
      expect((await redrive({ tenant: 'acme', type: 'broken' })).body).toEqual({ matched: 2, done });
      expect(await waiting()).toEqual(failed.toSorted());
    }
  });

  it('discards those that fit a filter; a dry run only counts them', async () => {
    const running = await startServer();
    const ask = asking(running);
    const failed = [await failedTask(running), await failedTask(running)];
    const discard = async (more: object, filter: object = {}) =>
      (await ask('POST', '/dead-letters/discard', { filter: { tenant: 'acme', ...filter }, ...more })).body;
    expect(await discard({ dry_run: true })).toEqual({ matched: 2, done: 0 });
    expect(await discard({}, { code: 'timeout' })).toEqual({ matched: 0, done: 0 });
    expect(await discard({}, { task_ids: [failed[0], NOWHERE] })).toEqual({ matched: 1, done: 1 });
    expect((await ask('GET', `/tenants/acme/tasks/${failed[0]}`)).status).toBe(404);
    expect(await discard({}, { since: '2000-01-01T00:00:00Z' })).toEqual({ matched: 1, done: 1 });
    expect((await ask('GET', '/dead-letters?tenant=acme')).body).toEqual({ items: [] });
  });

  it.each<[unknown, string]>([
    [{}, 'filter'],
    [{ filter: {} }, 'filter.tenant'],
    [{ filter: { tenant: 'acme', since: '2026-01-01' } }, 'filter.since'],
    [{ filter: { tenant: 'acme', task_ids: [] } }, 'filter.task_ids'],
    [{ filter: { tenant: 'acme', task_ids: ['1'] } }, 'filter.task_ids.0'],
    [{ filter: { tenant: 'acme', code: 'a b' } }, 'filter.code'],
    [{ filter: { tenant: 'acme' }, dry: true }, 'dry'],
    [{ filter: { tenant: 'acme' }, dry_run: 'no' }, 'dry_run'],
  ])('refuses %j', async (body, path) => {
    const ask = asking(await startServer());
    for (const action of ['redrive', 'discard']) {
      const answer = await ask('POST', `/dead-letters/${action}`, body);
      expect([answer.status, answer.body['errors']]).toMatchObject([400, [{ path }]]);
    }
  });
});

describe('/admin/v1/tenants/{tenant}/cache/invalidate', () => {
  it('removes the cached values of a tenant, or of one of its collections', async () => {
    const running = await startServer();
    const ask = asking(running);
    const { cache } = running.orchestrator;
    const fill = (tenant: string, key: number, collection?: string) =>
      cache.getWithCacheAside({ tenant, kind: 'answer', key, collection }, () => ({ value: key, tokens: 5 }));
    for (const key of [1, 2]) await fill('acme', key, 'docs');
    await fill('acme', 3);
    await fill('globex', 1, 'docs');
    const invalidate = (body?: object) => ask('POST', '/tenants/acme/cache/invalidate', body);
    expect((await invalidate({ collection: 'mail' })).body).toEqual({ removed: 0 });
    expect((await invalidate({ collection: 'docs' })).body).toEqual({ removed: 2 });
    expect((await invalidate()).body).toEqual({ removed: 1 });
    expect((await fill('globex', 1, 'docs')).metrics.hit).toBe('cache');
    const refused = await invalidate({ kind: 'answer' });
    expect([refused.status, refused.body['errors']]).toMatchObject([400, [{ path: 'kind' }]]);
  });
});

describe('/admin/v1/queues and /admin/v1/workers', () => {
  it('answer with the load of all tenants, the queue of one, and the live workers', async () => {
    const running = await startServer();
    const ask = asking(running);
    await running.orchestrator.tenants.pause('acme');
    const [low, high] = [
      await running.submit('echo', {}, { priority: 1 }),
      await running.submit('echo', {}, { priority: 9 }),
    ];
    expect((await ask('GET', '/queues')).body['items']).toMatchObject([{ tenant_id: 'acme', ready: 2 }]);
    const one = await ask('GET', '/queues?tenant=acme');
    expect(one.body['items']).toMatchObject([
      {
        tenant_id: 'acme',
        paused: true,
        partial: false,
        first_in_queue: [
          { position: 0, state: 'ready', task: { task_id: high } },
          { position: 1, state: 'ready', task: { task_id: low } },
        ],
      },
    ]);
    const workers = await ask('GET', '/workers');
    expect(workers.body['items']).toMatchObject([
      {
        worker_id: expect.any(String),
        runs: expect.arrayContaining([expect.objectContaining({ type: 'echo', versions: [1] })]),
        seen_at: expect.stringMatching(/Z$/),
        alive_until: expect.stringMatching(/Z$/),
      },
    ]);
  });
});

/** Identities whose operator token can be revoked. */
function revocable(): { readonly identities: Identities; revoke(): void } {
  const listed = createIdentities(IDENTITIES);
  let isRevoked = false;
  return {
    identities: {
      authenticate: (token): Identity | undefined =>
        isRevoked && token === TOKENS.operator ? undefined : listed.authenticate(token),
    },
    revoke() {
      isRevoked = true;
    },
  };
}

describe('/admin/v1/system-events', () => {
  const follow = async (running: RunningServer) => {
    const response = await running.fetch('GET', '/admin/v1/system-events', { token: TOKENS.operator });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    return new SseReader(response);
  };

  it('streams recent events, then new ones, as they happen', async () => {
    const running = await startServer();
    const reader = await follow(running);
    expect(await reader.next()).toMatchObject({ event: 'system_event', data: { kind: 'worker_joined' } });
    const id = await failedTask(running);
    expect((await reader.next())?.data).toEqual({
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      kind: 'dead_letter',
      text: `task ${id} has failed`,
      tenant: 'acme',
      task: id,
    });
    const later = await follow(running);
    expect((await later.next())?.data).toMatchObject({ kind: 'worker_joined' });
    expect((await later.next())?.data).toMatchObject({ kind: 'dead_letter' });
  });

  it('ends with the server, and with an error event once the token is revoked', async () => {
    const host = revocable();
    const running = await startServer({ identities: host.identities, heartbeatMs: 20 });
    const revoked = await follow(running);
    await revoked.next();
    host.revoke();
    expect(await revoked.next()).toMatchObject({ event: 'error', data: { code: 'unauthorized' } });
    expect(await revoked.next()).toBeUndefined();
    const other = await startServer();
    const ended = await follow(other);
    await ended.next();
    await other.server.stop();
    expect(await ended.next()).toBeUndefined();
  });
});

describe('the read token of operators', () => {
  it('reads everything, and is refused whatever changes something', async () => {
    const running = await startServer();
    const id = await failedTask(running);
    const path = (route: string) => route.replace('{tenant_id}', 'acme').replace('{task_id}', id);
    const changing: string[] = [];
    for (const route of ROUTES.filter(({ who }) => who === 'operator')) {
      const query = /\/(?:dead-letters|usage)$/.test(route.path) ? '?tenant=acme' : '';
      const asked = await running.fetch(route.method, path(route.path) + query, { token: TOKENS.reader });
      expect([route.method, route.path, asked.status]).toEqual([
        route.method,
        route.path,
        route.method === 'GET' ? 200 : 403,
      ]);
      if (route.method !== 'GET') changing.push(route.path);
      await asked.body?.cancel();
    }
    expect(changing.length).toBeGreaterThanOrEqual(4);
    expect((await running.ask('GET', '/v1/tasks', { token: TOKENS.reader })).status).toBe(403);
  });

  it.each([
    [undefined, 200],
    [null, 200],
    [false, 200],
    [true, 403],
    ['false', 403],
    [0, 403],
  ])(
    "is meant by a host's identity with readOnly: %s unless it says that it is not",
    async (readOnly, status) => {
      const identities = { authenticate: () => ({ kind: 'operator', readOnly }) as Identity };
      const running = await startServer({ identities });
      const answer = await running.ask('PATCH', '/admin/v1/tenants/acme', { body: { weight: 2 } });
      expect(answer.status).toBe(status);
      expect((await running.orchestrator.tenants.get('acme')).settings.weight).toBe(status === 200 ? 2 : 1);
    },
  );
});

describe('a server without an operator token', () => {
  it('has no operators: tenant keys are refused, other tokens unknown', async () => {
    const { operatorToken: _, operatorReadToken: __, ...others } = IDENTITIES;
    const running = await startServer({ identities: createIdentities(others) });
    const status = async (token: string) => (await running.ask('GET', '/admin/v1/tenants', { token })).status;
    expect(await status(TOKENS.operator)).toBe(401);
    expect(await status('')).toBe(401);
    expect(await status(KEYS.acme)).toBe(403);
  });
});
