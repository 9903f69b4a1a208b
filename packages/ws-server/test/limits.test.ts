import { createConnection } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { OrchestratorServerOptions } from '../src/index.js';
import { OrchestratorServer } from '../src/index.js';
import { Orchestrator } from '@agent-orchestrator/core';
import { clientAddress } from '../src/sockets/client-address.js';
import { KEYS, type RunningServer, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';
import { SseReader } from './sse-reader.js';

const client = (running: RunningServer, token: string = KEYS.acme) =>
  new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${token}` });
const silent = (running: RunningServer, headers = {}) => new SocketPeer(`${running.url}/ws/client`, headers);
const service = (running: RunningServer, token: string = TOKENS.query) =>
  new SocketPeer(`${running.url}/ws/task_updates`, { authorization: `Bearer ${token}` });

async function subscribed(peer: SocketPeer): Promise<SocketPeer> {
  await peer.opened;
  peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
  await peer.event('subscribed');
  return peer;
}

/** Opens until one gets in, since a place is free again only when the server has seen that a socket closed. */
async function eventually<T>(open: () => Promise<T>): Promise<T> {
  for (;;) {
    const opened = await open().catch(() => undefined);
    if (opened) return opened;
  }
}

describe('a server with limits', () => {
  it('gives one tenant its share of sockets and streams, and others theirs', async () => {
    const running = await startServer({ maxConnectionsPerTenant: 2 });
    await running.orchestrator.tenant('acme').sessions.create({ session_id: 'talk' });
    const stream = () => running.fetch('GET', '/v1/sessions/talk/events');
    const reading = new AbortController();
    const headers = { authorization: `Bearer ${KEYS.acme}` };
    const first = await fetch(`${running.url}/v1/sessions/talk/events`, { headers, signal: reading.signal });
    expect((await new SseReader(first).next())?.event).toBe('snapshot');
    const peer = await subscribed(client(running));
    const refused = await running.ask('GET', '/v1/sessions/talk/events');
    expect([refused.status, refused.body['code'], refused.headers.get('retry-after')]).toEqual([
      429,
      'rate_limited',
      '1',
    ]);
    expect(await client(running).closed).toMatchObject({
      code: 1013,
      reason: 'the tenant has as many connections as it may',
    });
    await subscribed(client(running, KEYS.globex));
    for (let round = 0; round < 10; round += 1)
      expect((await running.fetch('HEAD', '/v1/sessions/talk/events')).status).toBe(429);
    peer.socket.close();
    await peer.closed;
    reading.abort();
    for (let round = 0; round < 2; round += 1)
      await eventually(async () => ((await stream()).status === 200 ? true : undefined));
  });

  it('frees the slot of a stream without a reader', async () => {
    const running = await startServer({ maxConnectionsPerTenant: 1 });
    await running.orchestrator.tenant('acme').sessions.create({ session_id: 'talk' });
    for (let round = 0; round < 5; round += 1)
      expect((await running.fetch('HEAD', '/v1/sessions/talk/events')).status).toBe(200);
  });

  it('gives one service its share of sockets', async () => {
    const running = await startServer({ maxConnectionsPerService: 1 });
    expect(await service(running).next()).toMatchObject({ status: 'authenticated' });
    expect(await service(running).closed).toMatchObject({ code: 1013 });
    expect(await service(running, TOKENS.embedding).next()).toMatchObject({ status: 'authenticated' });
  });

  it('limits unauthenticated sockets of one address; authenticated ones do not count', async () => {
    const running = await startServer({ maxUnauthenticatedPerAddress: 2, trustedProxies: 1 });
    const from = (address: string) => silent(running, { 'x-forwarded-for': `203.0.113.9, ${address}` });
    const waiting = [from('192.0.2.1'), from('192.0.2.1')];
    await Promise.all(waiting.map((peer) => peer.opened));
    await expect(from('192.0.2.1').opened).rejects.toThrow('429');
    await from('192.0.2.2').opened;
    waiting[0]?.send({ token: KEYS.acme });
    await subscribed(waiting[0] ?? silent(running));
    await from('192.0.2.1').opened;
    await expect(from('192.0.2.1').opened).rejects.toThrow('429');
  });

  it('limits unauthenticated sockets in all', async () => {
    const running = await startServer({ maxUnauthenticated: 2, trustedProxies: 1 });
    const from = (address: string) => silent(running, { 'x-forwarded-for': address });
    const peers = [from('192.0.2.1'), from('192.0.2.2')];
    await Promise.all(peers.map((peer) => peer.opened));
    await expect(from('192.0.2.3').opened).rejects.toThrow('429');
    peers[0]?.socket.terminate();
    await eventually(() => from('192.0.2.3').opened.then(() => true));
  });

  it('frees the slot of a failed handshake', async () => {
    const running = await startServer({ maxUnauthenticatedPerAddress: 1 });
    const { port, hostname } = new URL(running.url);
    const broken = createConnection(Number(port), hostname);
    broken.write('GET /ws/client HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await new Promise((resolve) => broken.on('data', () => undefined).once('close', resolve));
    await eventually(() => silent(running).opened.then(() => true));
  });

  it('refuses invalid limits, with the expected values', () => {
    const orchestrator = new Orchestrator();
    const identities = { authenticate: () => undefined };
    for (const [name, value] of [
      ['maxConnectionsPerTenant', 0],
      ['maxConnectionsPerService', 1.5],
      ['maxUnauthenticated', Number.NaN],
      ['maxUnauthenticatedPerAddress', '3'],
      ['trustedProxies', -1],
      ['maxTicketsPerTenant', 2 ** 31],
      ['serviceBytesPerSecond', null],
      ['maxHeldBytesPerService', -1],
    ] as const) {
      const options = { identities, [name]: value } as OrchestratorServerOptions;
      expect(() => new OrchestratorServer(orchestrator, options)).toThrow(`${name}: expected a whole number`);
    }
  });
});

describe('the address of a client', () => {
  const of = (remoteAddress: string, forwarded: string | string[] | undefined, proxies: number) =>
    clientAddress({ socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } } as never, proxies);

  it.each([
    ['10.0.0.1', '192.0.2.1', 0, '10.0.0.1'],
    ['10.0.0.1', undefined, 1, '10.0.0.1'],
    ['10.0.0.1', 'spoofed, 192.0.2.1', 1, '192.0.2.1'],
    ['10.0.0.1', '192.0.2.1, 10.0.0.2', 2, '192.0.2.1'],
    ['10.0.0.1', '192.0.2.1', 2, '10.0.0.1'],
    ['10.0.0.1', 'nonsense', 1, '10.0.0.1'],
    ['::ffff:10.0.0.1', undefined, 0, '10.0.0.1'],
    ['2001:db8:0:1::1', undefined, 0, '2001:db8:0:1::/64'],
    ['2001:0db8:0000:0001:ffff:1:2:3', undefined, 0, '2001:db8:0:1::/64'],
    ['::1', undefined, 0, '0:0:0:0::/64'],
    ['fe80::1%eth0', undefined, 0, 'fe80:0:0:0::/64'],
  ])('of %s with "%s" behind %i proxies is %s', (remote, forwarded, proxies, expected) => {
    expect(of(remote, forwarded, proxies)).toBe(expected);
  });
});
