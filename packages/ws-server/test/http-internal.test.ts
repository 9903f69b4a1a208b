import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startServer, TOKENS, text } from './running-server.js';

const forAcme = { 'x-tenant-id': 'acme' };

describe('POST /internal/v1/services/{service}/{operation}', () => {
  it('returns the result of the other service', async () => {
    const running = await startServer();
    const { status, body } = await running.ask('POST', '/internal/v1/services/embedding/embed', {
      token: TOKENS.query,
      headers: forAcme,
      body: { input: { texts: ['a'] } },
    });
    expect([status, body]).toEqual([200, { result: { vectors: [[1, 0]], model: 'tiny', dimensions: 2 } }]);
  });

  it('returns a job for longer work, and its outcome later', async () => {
    const running = await startServer();
    const asked = await running.ask('POST', '/internal/v1/services/query/query', {
      token: TOKENS.embedding,
      headers: forAcme,
      body: { input: { later: 'job-7' } },
    });
    expect([asked.status, asked.body]).toEqual([202, { job_id: expect.any(String) }]);
    const job = `/internal/v1/jobs/${encodeURIComponent(text(asked.body['job_id']))}`;
    const open = await running.ask('GET', job, { token: TOKENS.embedding, headers: forAcme });
    expect([open.status, open.body['status']]).toEqual([200, 'processing']);
    const received = await running.ask('POST', '/internal/v1/notifications', {
      token: TOKENS.query,
      body: {
        event: 'task_completed',
        service: 'query',
        task_id: 'job-7',
        tenant_id: 'acme',
        data: { answer: 42 },
        message_id: 'm-1',
      },
    });
    expect([received.status, received.body['outcome']]).toEqual([200, 'applied']);
    const done = await running.ask('GET', job, { token: TOKENS.embedding, headers: forAcme });
    expect(done.body).toMatchObject({ status: 'completed', result: { answer: 42 } });
  });

  it('requires a tenant within the scope of the token', async () => {
    const running = await startServer();
    const ask = (headers: Record<string, string>) =>
      running.ask('POST', '/internal/v1/services/embedding/embed', {
        token: TOKENS.acmeOnly,
        headers,
        body: { input: {} },
      });
    expect((await ask({})).status).toBe(400);
    expect((await ask({ 'x-tenant-id': 'a:b' })).status).toBe(400);
    const foreign = await ask({ 'x-tenant-id': 'globex' });
    expect([foreign.status, foreign.body['code']]).toEqual([403, 'forbidden']);
    expect((await ask(forAcme)).status).toBe(200);
  });

  it('reports an unknown service or job', async () => {
    const running = await startServer();
    const service = await running.ask('POST', '/internal/v1/services/ghost/ask', {
      token: TOKENS.query,
      headers: forAcme,
      body: { input: {} },
    });
    expect([service.status, service.body['code']]).toEqual([422, 'unknown_service']);
    const job = await running.ask('GET', `/internal/v1/jobs/${randomUUID()}`, {
      token: TOKENS.query,
      headers: forAcme,
    });
    expect([job.status, job.body['code']]).toEqual([404, 'not_found']);
  });
});

describe('POST /internal/v1/notifications', () => {
  it('responds with the ack for any outcome', async () => {
    const running = await startServer();
    const tell = (frame: object) =>
      running.ask('POST', '/internal/v1/notifications', { token: TOKENS.query, body: frame });
    const frame = {
      event: 'task_completed',
      service: 'query',
      task_id: 'ghost-asked',
      tenant_id: 'acme',
      data: 1,
      message_id: 'm-1',
    };
    expect((await tell(frame)).body).toEqual({ event: 'ack', message_id: 'm-1', outcome: 'unknown_task' });
    expect((await tell({ ...frame, service: 'embedding' })).body['outcome']).toBe('forbidden');
    const invalid = await tell({ ...frame, event: 'task_exploded' });
    expect(invalid.body).toMatchObject({
      event: 'ack',
      message_id: 'm-1',
      outcome: 'invalid',
      errors: expect.any(Array),
    });
  });
});
