import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { overSocket } from './service.js';

/** A hub that lets everybody in, in a thread of its own: it answers pings while this one is busy. */
const HUB = `
const { WebSocketServer } = require('ws');
const { parentPort } = require('node:worker_threads');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
server.on('listening', () => parentPort.postMessage(server.address().port));
server.on('connection', (socket) => {
  socket.on('message', () => socket.send('{"status":"authenticated","connection_id":"c"}'));
});
`;

const realPing = Reflect.get(WebSocket.prototype, 'ping') as (this: WebSocket) => void;

/** Does nothing else for so long. */
function busy(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

it('a service that is busy for longer than a pong may take does not give up a link that is alive', async () => {
  const hub = new Worker(HUB, { eval: true });
  onTestFinished(() => void hub.terminate());
  const [port] = (await once(hub, 'message')) as [number];
  const ping = vi.spyOn(WebSocket.prototype, 'ping').mockImplementation(function (this: WebSocket) {
    realPing.call(this);
    // The pong comes now, and is read when this is over: too late, if nobody looks for it before the verdict.
    setImmediate(() => busy(200));
  });
  onTestFinished(() => ping.mockRestore());
  const query = overSocket(`ws://127.0.0.1:${port}`, { pingMs: 5, pongMs: 100 });
  let outages = 0;
  query.on('disconnected', () => (outages += 1));
  await query.ready();
  await vi.waitFor(() => expect(ping.mock.calls.length).toBeGreaterThanOrEqual(4), { timeout: 10_000 });
  expect(outages).toBe(0);
});
