import { request as httpRequest } from 'node:http';
import { describe, expect, it } from 'vitest';
import { ROUTES, toFetchHandler } from '../src/index.js';
import { KEYS, type RunningServer, startServer, text, TOKENS } from './running-server.js';

interface Raw {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** An answer as it comes over the connection, up to `enough` of its body. */
function raw(running: RunningServer, method: string, path: string, token: string): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const headers = {
      connection: 'close',
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      'x-tenant-id': 'acme',
    };
    const asked = httpRequest(running.url + path, { method, headers }, (response) => {
      const { statusCode: status = 0, headers: came } = response;
      let body = '';
      const done = () => resolve({ status, headers: came, body });
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
        if (came['content-type'] !== 'text/event-stream') return;
        // A stream of GET has no end: its first event is enough.
        response.destroy();
        done();
      });
      response.on('end', done);
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** Of routes that require one. */
const QUERIES: Readonly<Record<string, string>> = {
  '/admin/v1/dead-letters': '?tenant=acme',
  '/admin/v1/usage': '?tenant=acme',
};

/** A path of each GET route with things that are there, and the credential for it. */
async function examples(running: RunningServer): Promise<readonly (readonly [string, string])[]> {
  const task = await running.submit('approval', {}, { session_id: 's-1' });
  const batch = await running.ask('POST', '/v1/batch', { body: { requests: [{ type: 'echo' }] } });
  const job = await running.ask('POST', '/internal/v1/services/query/query', {
    token: TOKENS.embedding,
    headers: { 'x-tenant-id': 'acme' },
    body: { input: { later: 'job-1' } },
  });
  const parts: Readonly<Record<string, string>> = {
    tenant_id: 'acme',
    task_id: task,
    session_id: 's-1',
    batch_id: text(batch.body['batch_id']),
    job_id: text(job.body['job_id']),
  };
  return ROUTES.filter(({ method }) => method === 'GET').map(({ path, who }) => [
    path.replace(/\{(\w+)\}/g, (_, name: string) => parts[name] ?? '') + (QUERIES[path] ?? ''),
    { public: '', client: KEYS.acme, service: TOKENS.embedding, operator: TOKENS.operator }[who],
  ]);
}

/** The headers without what differs from answer to answer, and how a body is framed that HEAD has not. */
function lasting(all: Record<string, unknown>): object {
  const { date, 'x-correlation-id': id, 'transfer-encoding': _framing, ...headers } = all;
  return { ...headers, dated: typeof date, known: typeof id };
}

/** Their numbers, and with them their lengths, move on between two requests. */
const MOVING = new Set(['/metrics', '/health/ready']);

describe('HEAD', () => {
  it('is answered as GET without a body, on every route with GET', async () => {
    const running = await startServer();
    for (const [path, token] of await examples(running)) {
      const get = await raw(running, 'GET', path, token);
      const head = await raw(running, 'HEAD', path, token);
      expect([path, get.status, head.status, head.body]).toEqual([path, 200, 200, '']);
      if (!MOVING.has(path)) expect([path, lasting(head.headers)]).toEqual([path, lasting(get.headers)]);
      if (get.headers['content-type'] === 'text/event-stream') continue;
      expect([path, get.headers['content-length']]).toEqual([path, String(Buffer.byteLength(get.body))]);
    }
  });

  it('is refused as GET is: without a credential, for unknown paths, on routes without GET', async () => {
    const running = await startServer();
    for (const { method, path, who } of ROUTES) {
      const example = path.replace(/\{(\w+)\}/g, () => '0b5c9d3e-1111-4222-8333-944455556666');
      const unknown = await raw(running, 'HEAD', example, 'no-such-token');
      const other = ROUTES.some((route) => route.path === path && route.method === 'GET');
      if (!other) expect([method, path, unknown.status]).toEqual([method, path, 405]);
      else if (who !== 'public') expect([method, path, unknown.status]).toEqual([method, path, 401]);
      expect(unknown.body).toBe('');
    }
    expect((await raw(running, 'HEAD', '/v1/sessions/none', KEYS.acme)).status).toBe(404);
    expect((await raw(running, 'HEAD', '/v2/none', KEYS.acme)).status).toBe(404);
  });

  it('leaves its connection usable for the next request', async () => {
    const running = await startServer();
    for (let n = 0; n < 3; n += 1) {
      expect((await running.ask('HEAD', '/v1/tasks')).status).toBe(200);
      expect((await running.ask('GET', '/v1/tasks')).body).toMatchObject({ tasks: [] });
    }
  });

  it('has no body through the fetch handler, not even of a stream', async () => {
    const running = await startServer();
    const task = await running.submit('approval');
    const handle = toFetchHandler(running.server);
    const headers = { authorization: `Bearer ${KEYS.acme}` };
    for (const path of ['/v1/tasks', `/v1/tasks/${task}/events`, '/v1/none']) {
      const answer = await handle(new Request(`http://host${path}`, { method: 'HEAD', headers }));
      expect(answer.body).toBeNull();
    }
  });

  it('is counted as HEAD', async () => {
    const running = await startServer();
    await running.ask('HEAD', '/health/live');
    const metrics = await (await running.fetch('GET', '/metrics')).text();
    expect(metrics).toMatch(/http_requests_total\{method="HEAD",route="\/health\/live",status="200"\} 1/);
  });
});
