import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { toNodeHandler } from '../src/index.js';
import { KEYS, startServer } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

/** Response to a request that is started and not completed. */
function heard(url: string, request: string): Promise<string> {
  const { port, hostname } = new URL(url);
  const socket = createConnection(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write(request);
  return new Promise((resolve) => socket.once('close', () => resolve(text)));
}

describe('a slow caller', () => {
  const AUTH = `Host: x\r\nAuthorization: Bearer ${KEYS.acme}\r\n`;

  // Node checks for such requests every 30 seconds by default: then these would run into the limit of the
  // test.
  it('is cut off soon after the limit of the headers', async () => {
    const running = await startServer({ headersTimeoutMs: 200 });
    expect(await heard(running.url, `GET /v1/tasks HTTP/1.1\r\n${AUTH}`)).toContain('408');
  }, 15_000);

  it('is cut off soon after the limit of the body', async () => {
    const running = await startServer({ headersTimeoutMs: 200, requestTimeoutMs: 400 });
    const head = `POST /v1/tasks HTTP/1.1\r\n${AUTH}Content-Type: application/json\r\nContent-Length: 90\r\n\r\n{"ty`;
    expect(await heard(running.url, head)).toMatch(/^(HTTP\/1\.1 4\d\d [^]*)?$/);
  }, 15_000);
});

describe('a trickling reader', () => {
  it('is cut off when a whole response exceeds its time', async () => {
    const clock = new ManualClock();
    // Every portion is taken in time, but 16 of them would take 158 seconds.
    class SlowResponse extends EventEmitter {
      portions = 0;
      isCut = false;
      readonly writableFinished = false;
      writeHead() {}
      write() {
        this.portions += 1;
        clock.after(9_900, () => this.isCut || this.emit('drain'));
        return false;
      }
      end() {}
      destroy() {
        this.isCut = true;
        this.emit('close');
      }
    }
    const body = 'x'.repeat(1024 * 1024);
    const server = {
      clock,
      serves: () => true,
      handler: () => Promise.resolve({ status: 200, headers: {}, body }),
    };
    const response = new SlowResponse();
    const request = { url: '/', method: 'GET', headers: {}, readableEnded: true };
    const done = toNodeHandler(server)(request as never, response as never);
    await clock.advance(73_000);
    expect([response.isCut, response.portions]).toEqual([false, 8]);
    await clock.advance(2_000);
    expect(response.isCut).toBe(true);
    await done;
    await clock.advance(9_900);
    expect(clock.nextAt).toBeUndefined();
  });
});

describe('an address with many connections', () => {
  const UPGRADE = [
    'GET /ws/nowhere HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ]
    .join('\r\n')
    .concat('\r\n\r\n');
  const connected = async (running: { readonly url: string }) => {
    const { port, hostname } = new URL(running.url);
    const socket = createConnection(Number(port), hostname);
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    const closed = new Promise<'closed'>((resolve) => socket.once('close', () => resolve('closed')));
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    const answered = expect
      .poll(() => text, { timeout: 10_000 })
      .toContain('200 OK')
      .then(() => 'answered' as const);
    answered.catch(() => undefined);
    return { socket, closed, came: await Promise.race([closed, answered]) };
  };

  it('gets no more than its limit, and keeps its existing ones', async () => {
    const warnings: string[] = [];
    const quiet = () => undefined;
    const logger = {
      trace: quiet,
      debug: quiet,
      info: quiet,
      warn: (text: string) => void warnings.push(text),
      error: quiet,
    };
    const running = await startServer({ maxConnectionsPerAddress: 3, logger });
    const three = [await connected(running), await connected(running), await connected(running)];
    expect(three.map(({ came }) => came)).toEqual(['answered', 'answered', 'answered']);
    expect([(await connected(running)).came, (await connected(running)).came]).toEqual(['closed', 'closed']);
    expect(warnings.filter((text) => text.includes('as many connections as it may'))).toHaveLength(1);
    expect(three.every(({ socket }) => !socket.destroyed)).toBe(true);
    three[0]?.socket.destroy();
    await expect.poll(async () => (await connected(running)).came, { timeout: 10_000 }).toBe('answered');
  });

  it('may have sockets in addition', async () => {
    const running = await startServer({ maxConnectionsPerAddress: 1 });
    for (let n = 0; n < 3; n += 1) {
      const peer = new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
      await new Promise<void>((resolve) => peer.socket.once('open', () => resolve()));
    }
    const { came, socket } = await connected(running);
    expect(came).toBe('answered');
    socket.destroy();
    await expect.poll(() => heard(running.url, UPGRADE), { timeout: 10_000 }).toContain('404 Not Found');
  });
});

describe('a reader that stops reading', () => {
  it.each([
    ['an answer that is large', '/v1/tasks/{id}'],
    ['many answers that are small', '/health/live'],
  ])(
    'is cut off in the middle of %s',
    async (_, path) => {
      const running = await startServer();
      const id = await running.submit('echo', 'x'.repeat(900_000));
      await running.ended(id);
      const host = createServer((request, response) => {
        void toNodeHandler(running.server)(request, response);
      });
      const sockets: Socket[] = [];
      host.on('connection', (socket) => sockets.push(socket));
      await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => {
        host.closeAllConnections();
        host.close();
      });
      const address = host.address();
      if (typeof address !== 'object' || !address) throw new Error('expected a port');
      const caller = createConnection(address.port, '127.0.0.1');
      caller.on('error', () => undefined);
      caller.pause();
      onTestFinished(() => void caller.destroy());
      await new Promise<void>((resolve) => caller.once('connect', () => resolve()));
      const requests = path.includes('{id}') ? 20 : 40_000;
      const text = `GET ${path.replace('{id}', id)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.acme}\r\n\r\n`;
      caller.write(text.repeat(requests));
      await expect.poll(() => sockets[0]?.destroyed, { timeout: 40_000, interval: 100 }).toBe(true);
    },
    60_000,
  );
});
