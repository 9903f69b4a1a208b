import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Orchestrator } from '@agent-orchestrator/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createIdentities, OrchestratorServer } from '../src/index.js';
import { IDENTITIES, KEYS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const identities = createIdentities(IDENTITIES);
const newServer = () => new OrchestratorServer(new Orchestrator(), { identities });

/** A peer that asks for an upgrade, and never closes its side. */
async function upgrade(
  port: number,
  path: string,
): Promise<{ readonly socket: Socket; readonly answer: string }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const [data] = (await once(socket, 'data')) as [Buffer];
  return { socket, answer: data.toString().split('\r\n', 1)[0] ?? '' };
}

describe('a refused upgrade', () => {
  it('is closed by the server, whose stop does not wait for the peer', async () => {
    const server = await newServer().listen(0);
    const { port } = new URL(server.url);
    const { answer } = await upgrade(Number(port), '/nope');
    expect(answer).toBe('HTTP/1.1 404 Not Found');
    await server.stop();
  });

  it('is answered once, whatever the number of servers on a host', async () => {
    const host = createServer();
    const [one, other] = [newServer(), newServer()];
    one.attach(host, { prefix: '/one' });
    other.attach(host, { prefix: '/other' });
    await Promise.all([one.start(), other.start()]);
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
    const { port } = host.address() as AddressInfo;
    for (const path of ['/nope', '/ws/client', '/one/nope', '/other/nope'])
      expect((await upgrade(port, path)).answer, path).toBe('HTTP/1.1 404 Not Found');
    for (const prefix of ['/one', '/other']) {
      const peer = new SocketPeer(`ws://127.0.0.1:${port}${prefix}/ws/client`, {
        authorization: `Bearer ${KEYS.acme}`,
      });
      await peer.opened;
      peer.socket.terminate();
    }
    await Promise.all([one.stop(), other.stop()]);
    await new Promise((resolve) => host.close(resolve));
  });

  it('is left to a listener of the host', async () => {
    const host = createServer();
    const server = newServer();
    server.attach(host);
    host.on('upgrade', ({ url }, socket) => {
      if (url === '/own') socket.end('HTTP/1.1 418 Own\r\n\r\n');
    });
    await server.start();
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
    const { answer, socket } = await upgrade((host.address() as AddressInfo).port, '/own');
    expect(answer).toBe('HTTP/1.1 418 Own');
    socket.destroy();
    await server.stop();
    await new Promise((resolve) => host.close(resolve));
  });
});
