import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { overSocket } from './service.js';

/**
 * A hub that admits every service, in a thread of its own: it answers pings while this one is busy, and
 * counts them.
 */
const HUB = `
const { WebSocketServer } = require('ws');
const { parentPort, workerData } = require('node:worker_threads');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
server.on('listening', () => parentPort.postMessage(server.address().port));
server.on('connection', (socket) => {
  socket.on('ping', () => {
    Atomics.add(workerData, 0, 1);
    Atomics.notify(workerData, 0);
  });
  socket.on('message', () => socket.send('{"status":"authenticated","connection_id":"c"}'));
});
`;

const realPing = Reflect.get(WebSocket.prototype, 'ping') as (this: WebSocket) => void;

const PONG_MS = 100;
const HUB_HANGS_MS = 5_000;
/** How many pings the hub has answered. */
const answered = new Int32Array(new SharedArrayBuffer(4));

/** Does nothing else until the hub has answered so many pings, and for longer than a pong may take. */
function busyUntil(pings: number): void {
  for (let had = Atomics.load(answered, 0); had < pings; had = Atomics.load(answered, 0)) {
    if (Atomics.wait(answered, 0, had, HUB_HANGS_MS) === 'timed-out') return;
  }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * PONG_MS);
}

it('a service that is busy for longer than a pong may take keeps a link that is alive', async () => {
  const hub = new Worker(HUB, { eval: true, workerData: answered });
  onTestFinished(() => void hub.terminate());
  const [port] = (await once(hub, 'message')) as [number];
  let pings = 0;
  const ping = vi.spyOn(WebSocket.prototype, 'ping').mockImplementation(function (this: WebSocket) {
    realPing.call(this);
    pings += 1;
    // The pong comes now, and is read when this is over: too late, unless the verdict looks for it.
    setImmediate(busyUntil, pings);
  });
  onTestFinished(() => ping.mockRestore());
  const query = overSocket(`ws://127.0.0.1:${port}`, { pingMs: 5, pongMs: PONG_MS });
  let outages = 0;
  query.on('disconnected', () => (outages += 1));
  await query.ready();
  await vi.waitFor(() => expect(ping.mock.calls.length).toBeGreaterThanOrEqual(4), { timeout: 60_000 });
  expect(outages).toBe(0);
});
