import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryStorage, Orchestrator, type ServiceCall, type Task } from '../src/index.js';

type Handler = (request: IncomingMessage, body: string, response: ServerResponse) => void;

let server: Server;
let orchestrator: Orchestrator;
let handler: Handler;
/** System events published for operators. */
let received: (readonly [kind: string, fields: Readonly<Record<string, string>> | undefined])[];
let requests: {
  readonly headers: IncomingMessage['headers'];
  readonly url: string;
  readonly body: ServiceCall;
}[];

beforeEach(async () => {
  requests = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      requests.push({
        headers: request.headers,
        url: request.url ?? '',
        body: JSON.parse(body) as ServiceCall,
      });
      handler(request, body, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`;
  // No jitter: what is sent again is sent again at once.
  const random = { uuid: () => crypto.randomUUID(), fraction: () => 0 };
  received = [];
  const storage = new MemoryStorage({ random });
  storage.systemEvents.publish = ({ kind, fields }) => {
    if (kind === 'breaker_opened') received.push([kind, fields]);
  };
  orchestrator = new Orchestrator({
    random,
    storage,
    services: { remote: { url, token: 'secret-token', timeoutMs: 1_000 } },
  });
  orchestrator.workflow('remote', (ctx, input: object) => ctx.call('remote', 'work', input as never));
  await orchestrator.start();
});

afterEach(async () => {
  await orchestrator.stop({ graceMs: 0 });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function run(more: object = {}): Promise<Task> {
  const acme = orchestrator.tenant('acme');
  const task = await acme.tasks.submit({ type: 'remote', payload: { n: 1 }, max_attempts: 1, ...more });
  return acme.tasks.wait(task.task_id, { timeoutMs: 20_000 });
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

describe('a call over HTTP', () => {
  it('carries the headers and fields of the contract', async () => {
    handler = (_, __, response) =>
      json(response, 200, { result: { ok: 1 }, usage: { tokens: 7, model: 'm' } });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const task = await run({ session_id: 's-1', metadata: { user_id: 'u1', traceparent } });
    expect(task).toMatchObject({ status: 'completed', result: { ok: 1 }, usage: { tokens: 7 } });
    const [{ headers, url, body }] = requests as [(typeof requests)[0]];
    expect(url).toBe('/api/work');
    expect(headers).toMatchObject({
      authorization: 'Bearer secret-token',
      'x-tenant-id': 'acme',
      'x-session-id': 's-1',
      'x-task-id': task.task_id,
      'idempotency-key': body.call_id,
      'content-type': 'application/json',
    });
    expect(headers['traceparent']).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
    expect(headers['traceparent']).not.toBe(traceparent);
    expect(body).toMatchObject({
      task_id: task.task_id,
      tenant_id: 'acme',
      session_id: 's-1',
      operation: 'work',
      input: { n: 1 },
      attempt: 1,
      metadata: { user_id: 'u1' },
    });
    const day = new Date().toISOString().slice(0, 10);
    expect(await orchestrator.tenant('acme').usage.sum({ from: day, to: day })).toEqual([
      { day, model: 'm', operation: 'remote.work', tokens: 7, requests: 1, saved_tokens: 0 },
    ]);
  });

  it.each([
    ['500', (response: ServerResponse) => json(response, 500, {})],
    ['429', (response: ServerResponse) => json(response, 429, {}, { 'retry-after': '0' })],
    ['408', (response: ServerResponse) => json(response, 408, {})],
    ['a reset connection', (response: ServerResponse) => response.socket?.resetAndDestroy()],
    [
      'half an answer',
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"result"');
        setTimeout(() => response.socket?.destroy(), 5);
      },
    ],
    ['no answer in time', () => {}],
  ])('is resent with the same key after %s', async (_, fail) => {
    handler = (__, ___, response) =>
      requests.length < 3 ? fail(response) : json(response, 200, { result: 'third' });
    expect(await run()).toMatchObject({ status: 'completed', result: 'third' });
    expect(new Set(requests.map(({ body }) => body.call_id)).size).toBe(1);
    expect(requests).toHaveLength(3);
  });

  it('fails after five sends', async () => {
    handler = (_, __, response) => json(response, 503, { title: 'maintenance' });
    const task = await run({ max_attempts: 5 });
    expect(task).toMatchObject({
      attempt: 1,
      error: { code: 'service_unavailable', message: 'maintenance', retryable: false },
    });
    expect(requests).toHaveLength(5);
  });

  it('to an unreachable service fails as unavailable, without the address', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const task = await run();
    expect(task.error?.message).toContain('service_unavailable');
    expect(task.error?.message).not.toContain('127.0.0.1');
    server = createServer().listen(0);
  });

  it.each([
    ['404 with a problem', 404, { code: 'not_found', title: 'No such agent' }, 'not_found', 'No such agent'],
    ['400 without one', 400, 'nonsense', 'service_error', 'remote answered 400'],
    ['a foreign code', 422, { code: 'my_own', title: 'Mine' }, 'service_error', 'Mine'],
    ['a redirect', 302, {}, 'invalid_response', 'got 302'],
    ['204', 204, undefined, 'invalid_response', 'got 204'],
    ['200 without a result', 200, { answer: 1 }, 'invalid_response', 'result'],
    ['202 without a job', 202, { job: 'x' }, 'invalid_response', 'job_id'],
    ['a dangerous key', 200, '{"result":{"__proto__":{"x":1}}}', 'invalid_response', '__proto__'],
    ['HTML', 200, '<html>hello</html>', 'invalid_response', 'expected JSON'],
  ])('answered with %s fails without a retry', async (_, status, body, code, part) => {
    handler = (__, ___, response) => {
      response.writeHead(status, { location: 'http://169.254.169.254/' });
      response.end(typeof body === 'string' ? body : body && JSON.stringify(body));
    };
    const task = await run();
    expect(task.error).toMatchObject({ code, retryable: false, message: expect.stringContaining(part) });
    expect(requests).toHaveLength(1);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it.each([
    ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{"result":"fine"}')])],
    ['usage of another shape', Buffer.from('{"result":"fine","usage":{"tokens":"15"}}')],
    ['usage that is no object', Buffer.from('{"result":"fine","usage":[1]}')],
    ['usage that is null', Buffer.from('{"result":"fine","usage":null}')],
  ])('keeps the result of a response with %s', async (_, body) => {
    handler = (__, ___, response) => void response.writeHead(200).end(body);
    expect(await run()).toMatchObject({ status: 'completed', result: 'fine' });
  });

  it('refuses a response that is not UTF-8, and reads the status of such a failure', async () => {
    const latin1 = Buffer.from('{"result":"caf\xe9"}', 'latin1');
    handler = (_, __, response) => void response.writeHead(200).end(latin1);
    expect((await run()).error).toMatchObject({
      code: 'invalid_response',
      message: "remote's answer: expected UTF-8, got other bytes",
    });
    handler = (_, __, response) =>
      requests.length < 3
        ? void response.writeHead(503).end(latin1)
        : json(response, 200, { result: 'third' });
    expect(await run()).toMatchObject({ result: 'third' });
  });

  it.each([['x'.repeat(499)], ['x'.repeat(500)], ['\ud83d half']])(
    'cuts no character of a title',
    async (start) => {
      handler = (_, __, response) => json(response, 400, { title: `${start}${'\u{1f600}'.repeat(300)}` });
      const { message = '' } = (await run()).error ?? {};
      expect(message.isWellFormed()).toBe(true);
      expect(message.length).toBeLessThan(700);
    },
  );

  it.each([['a\nb'], ['\u0000'], [''], ['x'.repeat(201)]])('refuses the job_id %j', async (job_id) => {
    handler = (_, __, response) => json(response, 202, { job_id });
    expect((await run()).error).toMatchObject({ code: 'invalid_response' });
  });

  it.each(['NaN', '-1', 'Infinity', '1e400', '0x7fffffff', 'soon', ''])(
    'is sent again soon after a Retry-After of %j',
    async (header) => {
      handler = (_, __, response) =>
        requests.length < 2
          ? json(response, 503, {}, { 'retry-after': header })
          : json(response, 200, { result: 2 });
      expect(await run()).toMatchObject({ result: 2 });
    },
  );

  it('stops reading an endless response', async () => {
    let sent = 0;
    handler = (_, __, response) => {
      response.writeHead(200);
      const chunk = 'x'.repeat(64 * 1024);
      const more = () => {
        while (!response.destroyed && sent < 256 * 1024 * 1024) {
          sent += chunk.length;
          if (!response.write(chunk)) {
            response.once('drain', more);
            return;
          }
        }
      };
      more();
    };
    expect((await run()).error?.code).toBe('result_too_large');
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it('does not decompress a response', async () => {
    handler = (_, __, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync(JSON.stringify({ result: 'x'.repeat(10 * 1024 * 1024) })));
    };
    expect((await run()).error?.code).toBe('invalid_response');
  });

  it('with a byte per second exceeds its time limit', async () => {
    handler = (_, __, response) => {
      if (requests.length > 1) {
        json(response, 200, { result: 'at last' });
        return;
      }
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 100);
      response.on('close', () => clearInterval(drip));
    };
    expect(await run()).toMatchObject({ result: 'at last' });
  });

  it('is aborted when its task is cancelled', async () => {
    const closed = new Promise<void>((resolve) => {
      handler = (_, __, response) => void response.on('close', () => resolve());
    });
    const acme = orchestrator.tenant('acme');
    const task = await acme.tasks.submit({ type: 'remote' });
    while (requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await acme.tasks.cancel(task.task_id);
    await closed;
    expect(await acme.tasks.wait(task.task_id)).toMatchObject({ status: 'cancelled' });
  });

  it('that fails too often opens the breaker, and is probed later', async () => {
    handler = (_, __, response) => json(response, 500, {});
    await run();
    await run();
    expect(requests).toHaveLength(10);
    const refused = await run();
    expect(refused.error?.message).toContain('circuit breaker of service');
    expect(requests).toHaveLength(10);
    expect(received).toEqual([['breaker_opened', { service: 'remote', tenant: 'acme' }]]);
  });
});
