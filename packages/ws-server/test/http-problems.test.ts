import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type ErrorCode, OrchestratorError } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';
import { problemAnswer } from '../src/http/problem.js';
import { ROUTES } from '../src/index.js';
import { KEYS, type RunningServer, startServer, TOKENS } from './running-server.js';

const TASK = '0b5c9d3e-1111-4222-8333-944455556666';

/** What the server answers to bytes, until it closes the connection. */
function rawAnswer(running: RunningServer, bytes: string): Promise<string> {
  const { hostname, port } = new URL(running.url);
  return new Promise<string>((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
  });
}

function examplePath(path: string): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) =>
    name === 'task_id' || name === 'batch_id' ? TASK : 'some',
  );
}

describe('credentials', () => {
  it('are required by every route that is not public', async () => {
    const running = await startServer();
    for (const route of ROUTES.filter(({ who }) => who !== 'public')) {
      for (const token of ['', 'no-such-token']) {
        const { status, headers, body } = await running.ask(route.method, examplePath(route.path), { token });
        expect([route.path, status, body['code']]).toEqual([route.path, 401, 'unauthorized']);
        expect(headers.get('www-authenticate')).toMatch(/^Bearer realm=/);
        expect(headers.get('content-type')).toBe('application/problem+json');
      }
    }
  });

  it('of one kind are refused for another', async () => {
    const running = await startServer();
    for (const route of ROUTES.filter(({ who }) => who !== 'public')) {
      const kinds = { client: KEYS.acme, service: TOKENS.query, operator: TOKENS.operator };
      for (const [who, token] of Object.entries(kinds)) {
        if (who === route.who) continue;
        const { status, body } = await running.ask(route.method, examplePath(route.path), { token });
        expect([route.path, status, body['code']]).toEqual([route.path, 403, 'forbidden']);
      }
    }
  });
});

describe('problems', () => {
  it('have the shape of RFC 9457 without cacheable or sniffable content', async () => {
    const running = await startServer();
    const { status, headers, body } = await running.ask('GET', `/v1/tasks/${TASK}`);
    expect(status).toBe(404);
    expect(body).toEqual({
      type: 'urn:agent-orchestrator:error:not_found',
      title: 'Not found',
      status: 404,
      detail: expect.any(String),
      code: 'not_found',
    });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-correlation-id')).toMatch(/^[\w-]{22}$/);
  });

  it('answer an unknown route with 404 and a wrong method with 405', async () => {
    const running = await startServer();
    const unknown = await running.ask('GET', '/v2/tasks');
    expect([unknown.status, unknown.body['code']]).toEqual([404, 'not_found']);
    const wrong = await running.ask('DELETE', '/v1/tasks');
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST, GET, HEAD']);
  });

  it('reveal no internals', async () => {
    const logged: unknown[] = [];
    const log = (message: string, fields?: object) => void logged.push({ message, ...fields });
    const running = await startServer({ logger: { debug: log, info: log, warn: log, error: log } });
    running.orchestrator.health = () => Promise.reject(new TypeError('secret of the inside'));
    const { status, headers, body } = await running.ask('GET', '/health/ready', { token: '' });
    expect([status, body['code']]).toEqual([500, 'internal_error']);
    expect(JSON.stringify(body)).not.toContain('secret');
    expect(body['correlation_id']).toBe(headers.get('x-correlation-id'));
    expect(logged).toContainEqual(expect.objectContaining({ correlation_id: body['correlation_id'] }));
    expect(JSON.stringify(logged)).not.toContain(KEYS.acme);
  });
});

describe('Retry-After', () => {
  it('is sent with 429 and 503, in whole seconds, and with no other status', () => {
    const after = (code: ErrorCode, retryAfterMs?: number) => {
      const options = retryAfterMs === undefined ? {} : { retryAfterMs };
      return problemAnswer(new OrchestratorError(code, 'later', options)).headers['retry-after'];
    };
    expect(after('queue_full', 2_500)).toBe('3');
    expect(after('rate_limited')).toBe('1');
    expect(after('storage_unavailable', 0)).toBe('1');
    expect(after('session_busy', 2_500)).toBeUndefined();
    expect(after('rate_limited', Number.NaN)).toBe('1');
    expect(after('rate_limited', -5)).toBe('1');
    expect(after('rate_limited', Number.POSITIVE_INFINITY)).toBe(String(31 * 86_400));
  });

  it('is sent for a full queue', async () => {
    const running = await startServer({}, { maxWaiting: 1, concurrency: 1 });
    const blocked = await running.submit('query', { gated: true });
    await running.call(0);
    const answers = [1, 2, 3].map(() => running.ask('POST', '/v1/tasks', { body: { type: 'approval' } }));
    const refused = (await Promise.all(answers)).filter(({ status }) => status !== 202);
    expect(refused.length).toBeGreaterThan(0);
    for (const { status, headers, body } of refused) {
      expect([status, body['code']]).toEqual([429, 'queue_full']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    running.open();
    await running.ended(blocked);
  });
});

describe('bodies', () => {
  it.each([
    ['not JSON', '{"type":', 'application/json'],
    ['another type', 'type=echo', 'application/x-www-form-urlencoded'],
    ['no type', '{"type":"echo"}', ''],
    ['a dangerous key', '{"type":"echo","payload":{"__proto__":{"x":1}}}', 'application/json'],
    ['too deep', `{"type":"echo","payload":${'['.repeat(40)}${']'.repeat(40)}}`, 'application/json'],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'application/json'],
  ])('that are %s get 400', async (_, body, type) => {
    const running = await startServer();
    const response = await fetch(`${running.url}/v1/tasks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.acme}`, 'content-type': type },
      body,
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_request', errors: expect.any(Array) });
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('that are missing get 400', async () => {
    const running = await startServer();
    expect((await running.ask('POST', '/v1/tasks')).status).toBe(400);
  });

  it.each(['gzip', 'GZIP', 'br', 'x-gzip', 'zstd', 'identity, gzip', 'nonsense'])(
    'that are encoded as %s get 415, which names the header and none of the bytes',
    async (encoding) => {
      const running = await startServer();
      const response = await fetch(`${running.url}/v1/tasks`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${KEYS.acme}`,
          'content-type': 'application/json',
          'content-encoding': encoding,
        },
        body: gzipSync('{"type":"echo"}'),
      });
      expect([response.status, response.headers.get('accept-encoding')]).toEqual([415, 'identity']);
      const text = await response.text();
      expect(JSON.parse(text)).toMatchObject({
        code: 'invalid_request',
        status: 415,
        errors: [{ path: 'content-encoding', expected: 'identity' }],
      });
      expect(text).not.toMatch(/\\u00|\ufffd/);
    },
  );

  it.each(['identity', 'Identity', 'identity, identity', ''])(
    'that are encoded as %j are read',
    async (e) => {
      const running = await startServer();
      const headers = { 'content-encoding': e };
      expect((await running.ask('POST', '/v1/tasks', { body: { type: 'echo' }, headers })).status).toBe(202);
    },
  );

  it('with an unsupported transfer coding get 501', async () => {
    const running = await startServer();
    const text = await rawAnswer(
      running,
      `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.acme}\r\nConnection: close\r\n` +
        'Content-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 501 /);
    expect(text).toContain('transfer-encoding');
  });

  it('above 1 MiB get 413, with or without a length', async () => {
    const running = await startServer();
    const announced = await running.ask('POST', '/v1/tasks', {
      body: { type: 'echo', payload: 'x'.repeat(1_100_000) },
    });
    expect([announced.status, announced.body['code']]).toEqual([413, 'payload_too_large']);
    const stream = new ReadableStream({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('x'.repeat(65_536)));
        if ((this as { count?: number }).count === 40) controller.close();
        (this as { count?: number }).count = ((this as { count?: number }).count ?? 0) + 1;
      },
    });
    const chunked = await fetch(`${running.url}/v1/tasks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.acme}`, 'content-type': 'application/json' },
      body: stream,
      duplex: 'half',
    } as RequestInit);
    expect(chunked.status).toBe(413);
    expect(await running.submit('echo')).toBeTruthy();
  });
});

describe('health', () => {
  it('is public', async () => {
    const running = await startServer();
    expect((await running.ask('GET', '/health/live', { token: '' })).status).toBe(200);
    const ready = await running.ask('GET', '/health/ready', { token: '' });
    expect([ready.status, ready.body['ready']]).toEqual([200, true]);
  });

  it('is 503 with Retry-After without progress', async () => {
    const running = await startServer();
    const checks = { storage: { ok: false, detail: 'no answer' } };
    running.orchestrator.health = () => Promise.resolve({ ready: false, checks });
    const { status, headers, body } = await running.ask('GET', '/health/ready', { token: '' });
    expect([status, body]).toEqual([503, { ready: false, checks }]);
    expect(headers.get('retry-after')).toBe('1');
  });
});

describe('raw requests', () => {
  it('that are not HTTP are refused, and the server continues', async () => {
    const running = await startServer();
    expect(await rawAnswer(running, 'NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect((await running.ask('GET', '/health/live')).status).toBe(200);
  });
});

describe('a caller that disconnects before the response', () => {
  const long = Buffer.from(`{"type":"noop","payload":[${'1,'.repeat(200_000)}0]}`);

  it.each([
    ['in the middle of its body', true, 400],
    ['while its body is read', false, 409],
  ])('causes no internal error: %s', async (_, breaks, status) => {
    const errors: unknown[] = [];
    const error = (...said: readonly unknown[]) => void errors.push(said);
    const quiet = () => {};
    const running = await startServer({ logger: { debug: quiet, info: quiet, warn: quiet, error } });
    const gone = new AbortController();
    const chunks = (async function* () {
      yield long;
      if (breaks) throw new Error('aborted');
      setImmediate(() => gone.abort());
    })();
    const answer = await running.server.handler({
      method: 'POST',
      path: '/v1/tasks',
      prefix: '',
      headers: { authorization: `Bearer ${KEYS.acme}`, 'content-type': 'application/json' },
      body: { kind: 'stream', chunks },
      signal: gone.signal,
    });
    expect(answer.status).toBe(status);
    expect(errors).toEqual([]);
    const { tasks } = await running.orchestrator.tenant('acme').tasks.list();
    expect(tasks).toEqual([]);
  });
});
