import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KEYS, startServer, text } from './running-server.js';

describe('POST /v1/tasks', () => {
  it('accepts a task and returns links', async () => {
    const running = await startServer();
    const { status, headers, body } = await running.ask('POST', '/v1/tasks', {
      body: { type: 'echo', payload: { n: 1 } },
    });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      task_id: expect.any(String),
      links: { self: `/v1/tasks/${text(body['task_id'])}` },
    });
    expect(headers.get('location')).toBe(`/v1/tasks/${text(body['task_id'])}`);
    expect(await running.ended(text(body['task_id']))).toMatchObject({
      status: 'completed',
      result: { n: 1 },
    });
  });

  it.each([[0], [''], [false], [[]]])('brings back the result %j', async (payload) => {
    const running = await startServer();
    const options = { body: { type: 'echo', payload }, headers: { prefer: 'wait=10' } };
    const { status, body } = await running.ask('POST', '/v1/tasks', options);
    expect([status, body['status'], body['result']]).toEqual([200, 'completed', payload]);
  });

  it('returns the same answer for the same key, and refuses the key for another request', async () => {
    const running = await startServer();
    const ask = (n: number) =>
      running.ask('POST', '/v1/tasks', {
        body: { type: 'echo', payload: { n } },
        headers: { 'idempotency-key': 'one' },
      });
    const first = await ask(1);
    const again = await ask(1);
    expect(again.status).toBe(202);
    expect(again.body['task_id']).toBe(first.body['task_id']);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const other = await ask(2);
    expect([other.status, other.body['code']]).toEqual([409, 'idempotency_conflict']);
  });

  it.each(['', 'with space', 'x'.repeat(201), 'ümlaut'])('refuses the key %j', async (key) => {
    const running = await startServer();
    const { status, body } = await running.ask('POST', '/v1/tasks', {
      body: { type: 'echo' },
      headers: { 'idempotency-key': key },
    });
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
  });

  it('reports every invalid field', async () => {
    const running = await startServer();
    const { status, body } = await running.ask('POST', '/v1/tasks', {
      body: { type: 'echo', priority: 12, run_at: 'soon' },
    });
    expect(status).toBe(400);
    const places = (body['errors'] as { path: string; got: string }[]).map(({ path, got }) => [path, got]);
    expect(places).toEqual(
      expect.arrayContaining([
        ['priority', '12'],
        ['run_at', '"soon"'],
      ]),
    );
  });

  it('requires the scope for a plan', async () => {
    const running = await startServer();
    const plan = { steps: [{ id: 'ask', service: 'query', operation: 'query', input: {} }] };
    const body = { type: 'workflow', payload: { plan } };
    const refused = await running.ask('POST', '/v1/tasks', { body, token: KEYS.plain });
    expect([refused.status, refused.body['code']]).toEqual([403, 'forbidden']);
    const inBatch = await running.ask('POST', '/v1/batch', { body: { requests: [body] }, token: KEYS.plain });
    expect(inBatch.status).toBe(403);
    const taken = await running.ask('POST', '/v1/tasks', { body });
    expect(taken.status).toBe(202);
  });
});

describe('POST /v1/chat', () => {
  it('includes the answer on request, in time', async () => {
    const running = await startServer();
    running.orchestrator.workflow('agent_execution', () => Promise.resolve({ content: 'Hello.' }));
    const { status, headers, body } = await running.ask('POST', '/v1/chat', {
      body: { message: 'Hello?', session_id: 's-1' },
      headers: { prefer: 'respond-async, wait=20' },
    });
    expect(status).toBe(200);
    expect(headers.get('preference-applied')).toBe('wait=20');
    expect(body).toMatchObject({
      session_id: 's-1',
      status: 'completed',
      message: { role: 'assistant', content: 'Hello.' },
    });
  });

  it('is stored with its message, in a new session by default', async () => {
    const running = await startServer();
    const { status, body } = await running.ask('POST', '/v1/chat', { body: { message: 'Hello?' } });
    expect(status).toBe(202);
    const messages = await running.ask('GET', `/v1/sessions/${text(body['session_id'])}/messages`);
    expect(messages.body['messages']).toEqual(
      expect.arrayContaining([expect.objectContaining({ role: 'user', content: 'Hello?' })]),
    );
  });

  it('refuses an empty message', async () => {
    const running = await startServer();
    const { status, body } = await running.ask('POST', '/v1/chat', { body: { message: '' } });
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
  });
});

describe('GET /v1/tasks', () => {
  it('lists in pages and by status', async () => {
    const running = await startServer();
    const made: string[] = [];
    for (let n = 0; n < 3; n += 1) made.push(await running.submit('echo', { n }));
    for (const id of made) await running.ended(id);
    const page = await running.ask('GET', '/v1/tasks?limit=2&status=completed');
    const rest = await running.ask(
      'GET',
      `/v1/tasks?limit=2&status=completed&cursor=${encodeURIComponent(text(page.body['next']))}`,
    );
    const ids = [page, rest].flatMap(({ body }) =>
      (body['tasks'] as { task_id: string }[]).map((task) => task.task_id),
    );
    expect(ids.toSorted()).toEqual(made.toSorted());
    const none = await running.ask('GET', '/v1/tasks?status=failed');
    expect(none.body['tasks']).toEqual([]);
  });

  it('reveals no error text of a workflow other than an OrchestratorError', async () => {
    const running = await startServer();
    const id = await running.submit('broken', {}, { session_id: 's-1' });
    await running.ended(id);
    const batch = await running.ask('POST', '/v1/batch', { body: { requests: [{ type: 'broken' }] } });
    const batchId = text(batch.body['batch_id']);
    const [item] = (await running.orchestrator.tenant('acme').batches.get(batchId)).items;
    await running.ended(text(item?.task_id));
    const shown = 'unexpected error in workflow \\"broken\\"; operators find its text with the task';
    const paths = [`/v1/tasks/${id}`, '/v1/tasks', `/v1/tasks/${id}/events`, `/v1/batch/${batchId}`];
    for (const path of paths) {
      const body = await (await running.fetch('GET', path)).text();
      expect(body, path).toContain(shown);
      expect(body, path).not.toMatch(/secret inside|diagnostic|stack|running-server/);
    }
    const { diagnostic } = await running.orchestrator.tenant('acme').tasks.explain(id);
    expect(diagnostic).toMatchObject({ message: 'the secret inside', stack: expect.any(String) });
  });

  it.each(['limit=0', 'limit=many', 'limit=1000', 'status=lost'])('refuses %s', async (query) => {
    const running = await startServer();
    const { status, body } = await running.ask('GET', `/v1/tasks?${query}`);
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
  });

  it('presents a foreign task as unknown', async () => {
    const running = await startServer();
    const id = await running.submit('approval');
    const absent = randomUUID();
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/events'],
      ['POST', '/cancel'],
      ['POST', '/signals/approve'],
    ] as const) {
      const foreign = await running.ask(method, `/v1/tasks/${id}${path}`, { token: KEYS.globex });
      const nowhere = await running.ask(method, `/v1/tasks/${absent}${path}`, { token: KEYS.globex });
      expect([foreign.status, foreign.body['code']]).toEqual([404, 'not_found']);
      expect(JSON.stringify(foreign.body).replaceAll(id, absent)).toBe(JSON.stringify(nowhere.body));
    }
    expect((await running.ask('GET', `/v1/tasks/${id}`)).status).toBe(200);
  });
});

describe('control of a task', () => {
  it('cancels', async () => {
    const running = await startServer();
    const id = await running.submit('approval');
    const { status } = await running.ask('POST', `/v1/tasks/${id}/cancel`, {
      body: { reason: 'no longer needed' },
    });
    expect([200, 202]).toContain(status);
    expect(await running.ended(id)).toMatchObject({ status: 'cancelled' });
  });

  it('cancels a cancelled task again with 200, and answers 409 for other final states', async () => {
    const running = await startServer();
    const cancelled = await running.submit('approval');
    await running.ask('POST', `/v1/tasks/${cancelled}/cancel`);
    await running.ended(cancelled);
    const again = await running.ask('POST', `/v1/tasks/${cancelled}/cancel`);
    expect([again.status, again.body['status']]).toEqual([200, 'cancelled']);
    for (const [type, status] of [
      ['echo', 'completed'],
      ['broken', 'failed'],
    ] as const) {
      const id = await running.submit(type, {}, { max_attempts: 1 });
      await running.ended(id);
      const refused = await running.ask('POST', `/v1/tasks/${id}/cancel`);
      expect(refused.status).toBe(409);
      expect(refused.body).toMatchObject({
        code: 'conflict',
        status: 409,
        task_status: status,
        errors: [{ path: 'status', got: status }],
      });
    }
  });

  it('delivers a signal to a waiting workflow', async () => {
    const running = await startServer();
    const id = await running.submit('approval');
    const { status } = await running.ask('POST', `/v1/tasks/${id}/signals/approve`, {
      body: { payload: { by: 'ann' } },
    });
    expect(status).toBe(202);
    expect(await running.ended(id)).toMatchObject({ status: 'completed', result: { by: 'ann' } });
  });

  it('refuses a signal with an invalid name', async () => {
    const running = await startServer();
    const id = await running.submit('approval');
    const { status, body } = await running.ask('POST', `/v1/tasks/${id}/signals/No-Name`, { body: {} });
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
  });
});
