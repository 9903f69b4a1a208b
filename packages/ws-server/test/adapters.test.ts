import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type MountOptions, toFetchHandler, toNodeHandler } from '../src/index.js';
import { KEYS, type RunningServer, startServer } from './running-server.js';
import { SocketPeer } from './socket-peer.js';
import { SseReader } from './sse-reader.js';

type HostRequest = IncomingMessage & { originalUrl?: string; body?: unknown };

/** What `express.json()` does: drains the stream and leaves the value. */
async function parseBody(request: HostRequest): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  request.body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
}

interface Host {
  /** What `app.use(prefix, …)` cuts off. */
  readonly cut?: string;
  readonly parses?: boolean;
  readonly mount?: MountOptions;
}

/** A host's server that behaves as Express does, with ours mounted in it. */
async function startHost(
  running: RunningServer,
  { cut = '', parses = false, mount = {} }: Host = {},
): Promise<[string, Server]> {
  const handle = toNodeHandler(running.server, mount);
  const host = createServer((request: HostRequest, response) => {
    request.originalUrl = request.url ?? '/';
    if (request.url?.startsWith(cut)) request.url = request.url.slice(cut.length) || '/';
    const next = () => response.writeHead(418).end('the host');
    void (parses ? parseBody(request) : Promise.resolve()).then(() => handle(request, response, next));
  });
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    host.closeAllConnections();
    host.close();
  });
  return [`http://127.0.0.1:${(host.address() as AddressInfo).port}`, host];
}

async function submit(
  url: string,
): Promise<{ status: number; body: { links?: { self: string }; result?: unknown } }> {
  const response = await fetch(`${url}/v1/tasks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.acme}`, 'content-type': 'application/json', prefer: 'wait=10' },
    body: JSON.stringify({ type: 'echo', payload: { n: 1 } }),
  });
  return {
    status: response.status,
    body: (await response.json()) as { links?: { self: string }; result?: unknown },
  };
}

describe('toNodeHandler', () => {
  it('destroys a response that the host has answered itself, and does not reject', async () => {
    const running = await startServer();
    const handle = toNodeHandler(running.server);
    const handled: Promise<void>[] = [];
    const host = createServer((request, response) => {
      response.writeHead(504);
      handled.push(handle(request, response));
    });
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void host.close());
    const { port } = host.address() as AddressInfo;
    await expect(fetch(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow();
    await expect(Promise.all(handled)).resolves.toHaveLength(1);
  });

  it.each([
    ['at the root', {}, '', '/v1'],
    ['behind a body parser', { parses: true }, '', '/v1'],
    ['under a prefix that the host cuts off', { cut: '/orchestrator' }, '/orchestrator', '/orchestrator/v1'],
    ['under a prefix that is part of the route', { cut: '/v1' }, '', '/v1'],
    ['under a prefix that it is told', { mount: { prefix: '/api/ai' } }, '/api/ai', '/api/ai/v1'],
  ] as const)('answers %s', async (_, host, prefix, link) => {
    const running = await startServer();
    const [url] = await startHost(running, host);
    const { status, body } = await submit(url + prefix);
    expect([status, body.result]).toEqual([200, { n: 1 }]);
    expect(body.links?.self).toContain(`${link}/tasks/`);
  });

  it('leaves foreign routes to the host', async () => {
    const running = await startServer();
    const [url] = await startHost(running);
    const response = await fetch(`${url}/elsewhere`);
    expect([response.status, await response.text()]).toEqual([418, 'the host']);
  });

  it.each([
    ['bytes with a byte order mark', Buffer.from('\ufeff{"type":"echo"}'), 202],
    ['a text with a byte order mark', '\ufeff{"type":"echo"}', 202],
    ['bytes that are not UTF-8', Buffer.from('{"type":"echo","payload":"\u00e9"}', 'latin1'), 400],
  ])('reads a body that the host has read, but not parsed: %s', async (_, value, status) => {
    const { server } = await startServer();
    const answer = await server.handler({
      ...{ method: 'POST', path: '/v1/tasks', prefix: '', signal: new AbortController().signal },
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEYS.acme}` },
      body: { kind: 'parsed', value },
    });
    expect(answer.status).toBe(status);
  });

  it('applies the rules to a body parsed by the host', async () => {
    const running = await startServer();
    const [url] = await startHost(running, { parses: true });
    const post = (body: string) =>
      fetch(`${url}/v1/tasks`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEYS.acme}`, 'content-type': 'application/json' },
        body,
      });
    expect((await post('{"type":"echo","payload":{"constructor":1}}')).status).toBe(400);
    expect((await post(JSON.stringify({ type: 'echo', payload: 'x'.repeat(1_100_000) }))).status).toBe(413);
  });
});

describe('attach', () => {
  it("handles the upgrades of a host's server, and leaves the others", async () => {
    const running = await startServer();
    const [url, host] = await startHost(running);
    running.server.attach(host);
    const peer = new SocketPeer(`${url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await peer.opened;
    peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    expect(await peer.next()).toMatchObject({ event: 'subscribed' });
    host.on('upgrade', (request, socket) => {
      if (request.url === '/host') socket.end('HTTP/1.1 418 Teapot\r\n\r\n');
    });
    await expect(new SocketPeer(`${url}/host`).opened).rejects.toThrow('418');
  });

  it('accepts sockets below each prefix that it was given, and refuses the others', async () => {
    const running = await startServer();
    const [url, host] = await startHost(running);
    running.server.attach(host, { prefix: '/orchestrator' });
    running.server.attach(host, { prefix: '/api/ai' });
    for (const prefix of ['/orchestrator', '/api/ai']) {
      const peer = new SocketPeer(`${url}${prefix}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
      await peer.opened;
      peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
      expect(await peer.next()).toMatchObject({ event: 'subscribed' });
    }
    for (const path of ['/ws/client', '/orchestratorws/client', '/orchestrator/api/ai/ws/client']) {
      await expect(new SocketPeer(url + path).opened, path).rejects.toThrow('404');
    }
  });
});

describe('a mount prefix', () => {
  it.each(['orchestrator', '/', '/orchestrator/', '/a b', '/a?b', 7, null])(
    '%j is refused',
    async (invalid) => {
      const { server } = await startServer();
      const options = { prefix: invalid as string };
      const refusal = expect.objectContaining({
        code: 'invalid_request',
        message: expect.stringContaining('prefix: expected a path like "/orchestrator"') as string,
      }) as Error;
      expect(() => toNodeHandler(server, options)).toThrow(refusal);
      expect(() => toFetchHandler(server, options)).toThrow(refusal);
      expect(() => server.attach(createServer(), options)).toThrow(refusal);
    },
  );
});

describe('toFetchHandler', () => {
  it('answers requests and streams events', async () => {
    const running = await startServer();
    const handle = toFetchHandler(running.server, { prefix: '/api' });
    const headers = { authorization: `Bearer ${KEYS.acme}`, 'content-type': 'application/json' };
    const made = await handle(
      new Request('http://host/api/v1/tasks', {
        method: 'POST',
        headers,
        body: JSON.stringify({ type: 'approval' }),
      }),
    );
    expect(made.status).toBe(202);
    const { task_id, links } = (await made.json()) as { task_id: string; links: { events: string } };
    expect(links.events).toBe(`/api/v1/tasks/${task_id}/events`);
    const reader = new SseReader(await handle(new Request(`http://host${links.events}`, { headers })));
    expect(await reader.next()).toMatchObject({ event: 'snapshot' });
    await running.orchestrator.tenant('acme').tasks.signal(task_id, 'approve', 'yes');
    expect((await reader.rest()).at(-1)).toMatchObject({ event: 'task_completed' });
    expect((await handle(new Request('http://host/api/v1/nothing', { headers }))).status).toBe(404);
  });
});
