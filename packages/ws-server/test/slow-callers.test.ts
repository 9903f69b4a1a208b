import { createServer } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { toNodeHandler } from '../src/index.js';
import { KEYS, startServer } from './running-server.js';

/** What a caller hears that begins a request and does not end it. */
function heard(url: string, request: string): Promise<string> {
  const { port, hostname } = new URL(url);
  const socket = createConnection(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write(request);
  return new Promise((resolve) => socket.once('close', () => resolve(text)));
}

describe('a caller that takes its time', () => {
  const AUTH = `Host: x\r\nAuthorization: Bearer ${KEYS.acme}\r\n`;

  // Node looks for such requests every 30 seconds unless it is told otherwise: then these run into the limit of the test.
  it('with its headers is cut off soon after the limit', async () => {
    const running = await startServer({ headersTimeoutMs: 200 });
    expect(await heard(running.url, `GET /v1/tasks HTTP/1.1\r\n${AUTH}`)).toContain('408');
  }, 15_000);

  it('with its body is cut off soon after the limit', async () => {
    const running = await startServer({ headersTimeoutMs: 200, requestTimeoutMs: 400 });
    const head = `POST /v1/tasks HTTP/1.1\r\n${AUTH}Content-Type: application/json\r\nContent-Length: 90\r\n\r\n{"ty`;
    expect(await heard(running.url, head)).toMatch(/^(HTTP\/1\.1 4\d\d [^]*)?$/);
  }, 15_000);
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
