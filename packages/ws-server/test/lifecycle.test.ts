import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemoryStorage, Orchestrator } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';
import { createIdentities, OrchestratorServer } from '../src/index.js';
import { IDENTITIES, KEYS, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';
import { SseReader } from './sse-reader.js';

const identities = createIdentities(IDENTITIES);

function make(options: object) {
  return () => new OrchestratorServer(new Orchestrator(), { identities, ...options });
}

describe('listen', () => {
  it('reports a port in use with its address', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise<void>((resolve) => other.once('listening', () => resolve()));
    const { port } = other.address() as AddressInfo;
    const server = new OrchestratorServer(new Orchestrator(), { identities });
    await expect(server.listen(port)).rejects.toMatchObject({
      code: 'not_running',
      message: expect.stringMatching(new RegExp(`port ${port} of 127\\.0\\.0\\.1 is in use`)),
    });
    await new Promise((resolve) => other.close(resolve));
    await server.listen(port);
    expect(server.url).toBe(`http://127.0.0.1:${port}`);
    await server.stop();
  });

  it('may be called twice, and concurrently', async () => {
    const server = new OrchestratorServer(new Orchestrator(), { identities });
    const [one, other] = await Promise.all([server.listen(0), server.listen(0)]);
    expect(one).toBe(other);
    await server.listen(0);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
  });

  it('ends with a stop', async () => {
    let url: string;
    {
      await using server = await new OrchestratorServer(new Orchestrator(), { identities }).listen(0);
      url = server.url;
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
    }
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();
  });

  it('refuses invalid options', () => {
    expect(make({ heartbeatMs: 0 })).toThrow('heartbeatMs');
    expect(make({ helloMs: Number.NaN })).toThrow('helloMs');
    expect(make({ authenticateTimeoutMs: 2 ** 31 })).toThrow('authenticateTimeoutMs');
    expect(make({ identities: undefined })).toThrow('identities');
    expect(make({ identities: {} })).toThrow('identities');
    expect(make({ allowedOrigins: ['*'] })).toThrow('allowedOrigins');
    expect(make({ allowedOrigins: ['https://app.example.com/'] })).toThrow('allowedOrigins');
  });
});

describe('stop', () => {
  it('may be called before a start', async () => {
    await new OrchestratorServer(new Orchestrator(), { identities }).stop();
  });

  it('closes sockets with 1001 and a reconnect delay, ends streams, and leaves nothing open', async () => {
    const before = openHandles();
    const running = await startServer();
    const id = await running.submit('approval');
    const client = new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await client.opened;
    client.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    await client.event('subscribed');
    const service = new SocketPeer(`${running.url}/ws/task_updates`, {
      authorization: `Bearer ${TOKENS.query}`,
    });
    await service.next();
    const stream = new SseReader(await running.fetch('GET', `/v1/tasks/${id}/events`));
    await stream.next();
    const waiting = running.ask('POST', '/v1/tasks', {
      body: { type: 'approval' },
      headers: { prefer: 'wait=60' },
    });
    const { tasks } = running.orchestrator.tenant('acme');
    while ((await tasks.list()).tasks.length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    await running.server.stop({ graceMs: 5_000 });
    for (const peer of [client, service]) {
      const { code, reason } = await peer.closed;
      expect([code, JSON.parse(reason)]).toEqual([1001, { retry_after_ms: expect.any(Number) }]);
    }
    expect(await stream.rest()).toEqual([]);
    expect((await waiting).status).toBe(202);
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(openHandles()).toBeLessThanOrEqual(before);
  });

  it('cuts off what exceeds the grace period', async () => {
    const running = await startServer();
    const peer = new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await peer.opened;
    peer.socket.pause();
    await running.server.stop({ graceMs: 50 });
    // Sooner than the socket itself would give up its peer.
  }, 20_000);
});

/** A storage that answers its first ping when it is told. */
class StorageInDoubt extends MemoryStorage {
  readonly asked: Promise<void>;
  answer: (error?: Error) => void = () => {};
  #wasAsked: () => void = () => {};
  readonly #answered: Promise<void>;

  constructor() {
    super();
    this.asked = new Promise((resolve) => (this.#wasAsked = resolve));
    this.#answered = new Promise((resolve, reject) => {
      this.answer = (error) => (error ? reject(error) : resolve());
    });
  }

  override async ping(): Promise<void> {
    this.#wasAsked();
    return this.#answered;
  }
}

describe('a server that listens, and whose orchestrator is still starting', () => {
  const begin = async () => {
    const storage = new StorageInDoubt();
    const server = new OrchestratorServer(new Orchestrator({ storage }), { identities });
    const listening = server.listen(0);
    await storage.asked;
    const peer = new SocketPeer(`${server.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await peer.opened;
    peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    return { storage, server, listening, peer };
  };

  it('serves the sockets of clients that waited for it', async () => {
    const { storage, server, listening, peer } = await begin();
    storage.answer();
    await listening;
    expect(await peer.next()).toMatchObject({ event: 'subscribed', id: 'a' });
    await server.stop();
  });

  it('closes them when the start fails, and serves others after the next one', async () => {
    const { storage, server, listening, peer } = await begin();
    storage.answer(new Error('no answer'));
    await expect(listening).rejects.toThrow('no answer');
    await peer.closed;
    storage.ping = async () => {};
    await server.listen(0);
    const other = new SocketPeer(`${server.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await other.opened;
    await server.stop();
  });
});

describe('a server that cannot listen', () => {
  it('leaves the sockets of its host alone', async () => {
    const host = createServer();
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
    const { port } = host.address() as AddressInfo;
    const server = new OrchestratorServer(new Orchestrator(), { identities });
    server.attach(host);
    await server.start();
    const peer = new SocketPeer(`ws://127.0.0.1:${port}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await peer.opened;
    await expect(server.listen(port)).rejects.toMatchObject({ code: 'not_running' });
    peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    expect(await peer.next()).toMatchObject({ event: 'subscribed' });
    await server.stop();
    await new Promise((resolve) => host.close(resolve));
  });
});

describe('a stopped server', () => {
  it.each([
    ['has listened', true],
    ['has not begun', false],
  ])('and %s does not start again, and reports it', async (_, listens) => {
    const server = new OrchestratorServer(new Orchestrator(), { identities });
    if (listens) await server.listen(0);
    const stopped = server.stop();
    for (const begin of [() => server.listen(0), () => server.start()])
      await expect(begin()).rejects.toMatchObject({ code: 'not_running', retryable: false });
    await stopped;
    for (const begin of [() => server.listen(0), () => server.start()])
      await expect(begin()).rejects.toThrow('the server was stopped: create a new one');
    await server.stop();
  });

  it('leaves upgrades to its host', async () => {
    const server = new OrchestratorServer(new Orchestrator(), { identities });
    const host = createServer();
    server.attach(host);
    await server.start();
    expect(host.listenerCount('upgrade')).toBe(1);
    await server.stop();
    expect(host.listenerCount('upgrade')).toBe(0);
  });
});

/** Servers and sockets of the server's side that keep a process alive. */
function openHandles(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length;
}
