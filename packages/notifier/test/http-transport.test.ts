import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { HttpTransport, type HttpTransportOptions } from '../src/index.js';
import { about, next, service } from './service.js';

interface Asked {
  readonly request: IncomingMessage;
  readonly frame: { readonly message_id: string; readonly task_id: string; readonly data: unknown };
}

/** A hub over HTTP, of which the test decides what it answers. */
async function httpHub(answer: (response: ServerResponse, asked: Asked, index: number) => void) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const frame = JSON.parse(Buffer.concat(chunks).toString()) as Asked['frame'];
      const one = { request, frame };
      asked.push(one);
      answer(response, one, asked.length - 1);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function acknowledge(response: ServerResponse, { frame }: Asked, more: object = {}, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ event: 'ack', message_id: frame.message_id, outcome: 'applied', ...more }));
}

function overHttp(url: string, options: HttpTransportOptions = {}) {
  const { clock } = options;
  const transport = new HttpTransport({ url, token: 'token-of-query', ...options });
  return service(transport, clock && { clock });
}

describe('HttpTransport', () => {
  it('posts the frame with the token', async () => {
    const hub = await httpHub((response, asked) => acknowledge(response, asked));
    await overHttp(hub.url).notifyTaskCompletion({ ...about('job-1'), result: 1 });
    const [{ request, frame } = {}] = hub.asked;
    expect(request).toMatchObject({ method: 'POST', url: '/internal/v1/notifications' });
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer token-of-query',
      'content-type': 'application/json',
    });
    expect(frame).toMatchObject({ task_id: 'job-1', data: 1 });
  });

  it('has one notification of a job in flight at a time, those of others beside it', async () => {
    const held: (() => void)[] = [];
    const hub = await httpHub((response, asked) => held.push(() => acknowledge(response, asked)));
    const query = overHttp(hub.url);
    const acks = [
      query.notifyTaskStatus({ ...about('job-1'), status: 'first' }),
      query.notifyTaskCompletion({ ...about('job-1'), result: 1 }),
      query.notifyTaskCompletion({ ...about('job-2'), result: 2 }),
    ];
    while (held.length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(hub.asked.map(({ frame }) => frame.task_id)).toEqual(['job-1', 'job-2']);
    for (let open = 0; open < 3; open += 1) {
      while (held.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      held.shift()?.();
    }
    await Promise.all(acks);
    expect(hub.asked).toHaveLength(3);
  });

  it.each<[string, RegExp, (response: ServerResponse) => unknown, ackMs?: number]>([
    ['a hub that fails', /HTTP 500/, (response) => response.writeHead(500).end('oops')],
    ['a redirect', /HTTP 307/, (response) => response.writeHead(307, { location: '/elsewhere' }).end()],
    ['a connection that breaks', /closed|reset|hang/i, (response) => response.destroy()],
    ['no answer', /no ack in 1000 ms/, () => undefined, 1_000],
    ['an answer that is none', /HTTP 200/, (response) => response.end('<html>')],
    ['an answer without end', /HTTP 200/, (response) => response.writeHead(200).write('x'.repeat(100_000))],
    [
      'a foreign ack',
      /HTTP 200/,
      (response) => response.end('{"event":"ack","message_id":"x","outcome":"applied"}'),
    ],
  ])('resends after %s, and reports it once', async (_, reason, fail, ackMs = 60_000) => {
    const hub = await httpHub((response, asked, index) =>
      index < 2 ? void fail(response) : acknowledge(response, asked),
    );
    const query = overHttp(hub.url, { ackMs });
    const received: string[] = [];
    query.on('disconnected', (state) => received.push(state.reason));
    expect(await query.notifyTaskCompletion({ ...about('job-1'), result: 1 })).toMatchObject({
      outcome: 'applied',
    });
    expect(received).toEqual([expect.stringMatching(reason)]);
    expect(hub.asked).toHaveLength(3);
    expect(hub.asked.map(({ request }) => request.url)).not.toContain('/elsewhere');
    expect(new Set(hub.asked.map(({ frame }) => frame.message_id)).size).toBe(1);
    await query.ready();
  });

  it.each([
    [
      'Retry-After',
      1_000,
      (response: ServerResponse) => void response.writeHead(503, { 'retry-after': '1' }).end(),
    ],
    [
      'Retry-After of a limit',
      1_000,
      (response: ServerResponse) => void response.writeHead(429, { 'retry-after': '1' }).end(),
    ],
    [
      'the ack',
      100,
      (response: ServerResponse, asked: Asked) =>
        acknowledge(response, asked, { outcome: 'retry_later', retry_after_ms: 100 }, 503),
    ],
  ])('retries when %s requests', async (_, ms, later) => {
    const hub = await httpHub((response, asked, index) =>
      index === 0 ? later(response, asked) : acknowledge(response, asked),
    );
    const clock = new ManualClock();
    const [from, ackMs] = [clock.now(), 30_000];
    const query = overHttp(hub.url, { ackMs, clock });
    const acked = query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    // The time limit of the request is replaced by the delay.
    await expect.poll(() => clock.nextAt, { timeout: 30_000 }).toBeLessThan(from + ackMs);
    expect(clock.nextAt).toBeGreaterThanOrEqual(from + ms);
    expect(hub.asked).toHaveLength(1);
    await clock.fireNext();
    expect(await acked).toMatchObject({ outcome: 'applied' });
    expect(hub.asked).toHaveLength(2);
  });

  it.each([
    [400, 'invalid_message'],
    [413, 'payload_too_large'],
  ])('drops permanently refused notifications: %i', async (status, code) => {
    const hub = await httpHub((response) => response.writeHead(status).end());
    const query = overHttp(hub.url);
    await expect(query.notifyTaskCompletion({ ...about('job-1'), result: 1 })).rejects.toMatchObject({
      code,
    });
    expect([query.pending, hub.asked.length]).toEqual([0, 1]);
  });

  it('continues once a refused token is accepted, and does not hammer until then', async () => {
    const hub = await httpHub((response, asked, index) =>
      index === 0 ? void response.writeHead(401).end() : acknowledge(response, asked),
    );
    const clock = new ManualClock();
    const query = overHttp(hub.url, { refusedRetryMs: 60_000, clock });
    const refused = next(query, 'refused');
    const acks = [1, 2, 3].map((result) => query.notifyTaskCompletion({ ...about('job-1'), result }));
    const { error, retryInMs } = await refused;
    expect(error).toMatchObject({ code: 'unauthorized' });
    expect(retryInMs).toBeGreaterThanOrEqual(30_000);
    await clock.advance(retryInMs - 1);
    expect(hub.asked).toHaveLength(1);
    await clock.advance(1);
    await Promise.all(acks);
    await query.ready();
  });

  it('aborts requests in flight when it is closed', async () => {
    const hub = await httpHub(() => undefined);
    const query = overHttp(hub.url);
    const acked = query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    while (hub.asked.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    const hungUp = hub.asked.map(({ request }) => once(request.socket, 'close'));
    await query.close();
    await Promise.all(hungUp);
    await expect(acked).rejects.toMatchObject({ code: 'not_running' });
  });
});
