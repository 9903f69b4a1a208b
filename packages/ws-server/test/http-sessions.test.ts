import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KEYS, startServer, text } from './running-server.js';

describe('/v1/sessions', () => {
  it('creates a session once', async () => {
    const running = await startServer();
    const ask = () =>
      running.ask('POST', '/v1/sessions', {
        body: { session_id: 's-1', agent_id: 'support', context: { a: 1 } },
      });
    const first = await ask();
    const again = await ask();
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(first.body).toMatchObject({
      session_id: 's-1',
      agent_id: 'support',
      status: 'active',
      context: { a: 1 },
    });
    expect(first.headers.get('etag')).toBe(`"${first.body['rev'] as number}"`);
    expect(first.headers.get('location')).toBe('/v1/sessions/s-1');
  });

  it('refuses a repeated key with another body: sessions and signals', async () => {
    const running = await startServer();
    const headers = { 'idempotency-key': 'one-key' };
    const conflicts = async (path: string, bodies: readonly object[], statuses: readonly number[]) => {
      for (const [index, body] of bodies.entries()) {
        const answer = await running.ask('POST', path, { body, headers });
        expect([index, answer.status]).toEqual([index, statuses[index]]);
        if (answer.status === 409) expect(answer.body['code']).toBe('idempotency_conflict');
      }
    };
    const session = { session_id: 'a', context: { n: 1 } };
    await conflicts(
      '/v1/sessions',
      [session, session, { ...session, session_id: 'b' }, { ...session, context: { n: 2 } }, {}],
      [201, 200, 409, 409, 409],
    );
    const path = `/v1/tasks/${await running.submit('approval')}/signals`;
    await conflicts(`${path}/other`, [{ payload: 1 }, { payload: 1 }, { payload: 2 }], [202, 202, 409]);
    await conflicts(`${path}/another`, [{ payload: 1 }], [409]);
    expect((await running.ask('GET', '/v1/sessions')).body['sessions']).toHaveLength(1);
  });

  it('returns one session for one idempotency key', async () => {
    const running = await startServer();
    const ask = () => running.ask('POST', '/v1/sessions', { headers: { 'idempotency-key': 'again' } });
    const [first, again] = [await ask(), await ask()];
    expect(again.body['session_id']).toBe(first.body['session_id']);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });

  it('updates a session only at the given rev', async () => {
    const running = await startServer();
    const made = await running.ask('POST', '/v1/sessions', {
      body: { session_id: 's-1', context: { a: 1, b: 2 } },
    });
    const tag = made.headers.get('etag') ?? '';
    const patch = (context: object) =>
      running.ask('PATCH', '/v1/sessions/s-1', { body: { context }, headers: { 'if-match': tag } });
    const first = await patch({ a: null, c: 3 });
    expect([first.status, first.body['context']]).toEqual([200, { b: 2, c: 3 }]);
    const late = await patch({ c: 4 });
    expect([late.status, late.body['code']]).toEqual([409, 'conflict']);
    const bad = await running.ask('PATCH', '/v1/sessions/s-1', {
      body: {},
      headers: { 'if-match': 'W/"x"' },
    });
    expect(bad.status).toBe(400);
  });

  it('shows, lists and closes', async () => {
    const running = await startServer();
    await running.ask('POST', '/v1/sessions', { body: { session_id: 's-1' } });
    const task = await running.submit('approval', {}, { session_id: 's-1' });
    const shown = await running.ask('GET', '/v1/sessions/s-1');
    expect(shown.body).toMatchObject({ session_id: 's-1', status: 'active', tasks: [{ task_id: task }] });
    const closed = await running.ask('DELETE', '/v1/sessions/s-1');
    expect([closed.status, closed.body['status']]).toEqual([200, 'closed']);
    expect((await running.ask('GET', '/v1/sessions?status=active')).body['sessions']).toEqual([]);
    expect((await running.ask('GET', '/v1/sessions?status=closed')).body['sessions']).toMatchObject([
      { session_id: 's-1' },
    ]);
    const late = await running.ask('POST', '/v1/chat', { body: { message: 'Hello?', session_id: 's-1' } });
    expect([late.status, late.body['code']]).toEqual([409, 'session_closed']);
  });

  it('presents a foreign session as unknown', async () => {
    const running = await startServer();
    await running.ask('POST', '/v1/sessions', { body: { session_id: 's-1' } });
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PATCH', '', { context: {} }],
      ['DELETE', '', undefined],
      ['GET', '/messages', undefined],
      ['GET', '/events', undefined],
    ] as const) {
      const foreign = await running.ask(method, `/v1/sessions/s-1${path}`, { token: KEYS.globex, body });
      const absent = await running.ask(method, `/v1/sessions/s-2${path}`, { token: KEYS.globex, body });
      expect([foreign.status, foreign.body['code']]).toEqual([404, 'not_found']);
      expect(JSON.stringify(foreign.body).replaceAll('s-1', 's-2')).toBe(JSON.stringify(absent.body));
    }
  });
});

describe('/v1/batch', () => {
  it('runs valid items and reports invalid ones', async () => {
    const running = await startServer();
    const requests = [{ type: 'echo', payload: 1 }, { message: 'Hello?' }, { type: 'no type at all' }];
    const { status, body } = await running.ask('POST', '/v1/batch', { body: { requests } });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      total: 3,
      items: [{ index: 0 }, { index: 1 }, { index: 2, error: { code: 'invalid_request' } }],
    });
    const taskId = (body['items'] as { task_id: string }[])[0]?.task_id ?? '';
    await running.ended(taskId);
    const shown = await running.ask('GET', `/v1/batch/${text(body['batch_id'])}?results=true`);
    expect((shown.body['items'] as object[])[0]).toMatchObject({ status: 'completed', result: 1 });
  });

  it('is one batch for one key', async () => {
    const running = await startServer();
    const ask = () =>
      running.ask('POST', '/v1/batch', {
        body: { requests: [{ type: 'echo', payload: 1 }] },
        headers: { 'idempotency-key': 'batch-1' },
      });
    const [first, again] = [await ask(), await ask()];
    expect(again.body['batch_id']).toBe(first.body['batch_id']);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });

  it('cancels the whole batch', async () => {
    const running = await startServer();
    const requests = [1, 2, 3].map(() => ({ type: 'approval' }));
    const { body } = await running.ask('POST', '/v1/batch', { body: { requests } });
    const cancelled = await running.ask('POST', `/v1/batch/${text(body['batch_id'])}/cancel`);
    expect(cancelled.status).toBe(200);
    for (const item of body['items'] as { task_id: string }[]) {
      expect(await running.ended(item.task_id)).toMatchObject({ status: 'cancelled' });
    }
  });

  it('refuses no items and too many, and does not find a foreign batch', async () => {
    const running = await startServer();
    expect((await running.ask('POST', '/v1/batch', { body: { requests: [] } })).status).toBe(400);
    const many = Array.from({ length: 1_001 }, () => ({ type: 'echo' }));
    expect((await running.ask('POST', '/v1/batch', { body: { requests: many } })).status).toBe(400);
    const { body } = await running.ask('POST', '/v1/batch', { body: { requests: [{ type: 'echo' }] } });
    const foreign = await running.ask('GET', `/v1/batch/${text(body['batch_id'])}`, { token: KEYS.globex });
    const absent = await running.ask('GET', `/v1/batch/${randomUUID()}`, { token: KEYS.globex });
    expect([foreign.status, absent.status]).toEqual([404, 404]);
  });
});

describe('GET /v1/usage', () => {
  it('sums by the requested fields', async () => {
    const running = await startServer();
    const plain = await running.ask('GET', '/v1/usage');
    expect([plain.status, plain.body]).toEqual([200, { rows: expect.any(Array) }]);
    const grouped = await running.ask(
      'GET',
      '/v1/usage?from=2026-01-01&to=2026-01-31&group_by=model,operation',
    );
    expect([grouped.status, grouped.body]).toEqual([200, { rows: [] }]);
  });

  it.each(['from=yesterday', 'group_by=colour', 'to=2026-13-01'])('refuses %s', async (query) => {
    const running = await startServer();
    expect((await running.ask('GET', `/v1/usage?${query}`)).status).toBe(400);
  });
});
