import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { KEYS, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const report = (n: number, pad = '') => ({
  event: 'task_status_update',
  service: 'query',
  task_id: 'nothing',
  tenant_id: 'acme',
  timestamp: '2026-01-01T00:00:00Z',
  data: { status: 'on', details: { pad } },
  message_id: `m-${n}`,
});

async function connectedService(options: object): Promise<SocketPeer> {
  const running = await startServer(options);
  const peer = new SocketPeer(`${running.url}/ws/task_updates`, { authorization: `Bearer ${TOKENS.query}` });
  await peer.next();
  return peer;
}

async function acks(peer: SocketPeer, count: number): Promise<string[]> {
  const outcomes: string[] = [];
  while (outcomes.length < count) outcomes.push(String((await peer.event('ack'))['outcome']));
  return outcomes;
}

describe('a service above its rate', () => {
  it('is read later: each frame gets its own ack, none retry_later', async () => {
    const peer = await connectedService({ serviceFramesPerSecond: 200 });
    for (let n = 0; n < 2_200; n += 1) peer.send(report(n));
    expect(new Set(await acks(peer, 2_200))).toEqual(new Set(['unknown_task']));
    expect(peer.frames.filter(({ event }) => event === 'ack').map((frame) => frame['message_id'])).toEqual(
      Array.from({ length: 2_200 }, (_, n) => `m-${n}`),
    );
  });

  it('is read later by bytes too, and TCP backpressure fills its buffers', async () => {
    const peer = await connectedService({ serviceBytesPerSecond: 1024 * 1024 });
    const pad = 'x'.repeat(1_000_000);
    for (let n = 0; n < 20; n += 1) peer.send(report(n, pad));
    await acks(peer, 2);
    // The server has stopped reading with far more than the network holds still to come.
    expect(peer.socket.bufferedAmount).toBeGreaterThan(4_000_000);
    expect(peer.frames.filter(({ event }) => event === 'ack').length).toBeLessThan(20);
  });

  it('has at most an eighth of a second of bytes in flight to the storage before reading pauses', async () => {
    const running = await startServer({ serviceBytesPerSecond: 1024 * 1024 });
    const receive = vi.spyOn(running.orchestrator.intake, 'receive');
    const takenAtPause: number[] = [];
    const pause = vi.spyOn(WebSocket.prototype, 'pause').mockImplementation(function (this: WebSocket) {
      takenAtPause.push(receive.mock.calls.length);
      pause.mockRestore();
      this.pause();
    });
    onTestFinished(() => pause.mockRestore());
    const peer = new SocketPeer(`${running.url}/ws/task_updates`, {
      authorization: `Bearer ${TOKENS.query}`,
    });
    await peer.next();
    for (let n = 0; n < 40; n += 1) peer.send(report(n, 'x'.repeat(60_000)));
    await expect.poll(() => takenAtPause.length, { timeout: 20_000 }).toBe(1);
    expect(takenAtPause[0]).toBeLessThanOrEqual(3);
  });

  it('is not disconnected for missing pongs during a pause', async () => {
    const peer = await connectedService({ heartbeatMs: 100, serviceBytesPerSecond: 512 * 1024 });
    let pings = 0;
    peer.socket.on('ping', () => (pings += 1));
    for (let n = 0; n < 3; n += 1) peer.send(report(n, 'x'.repeat(1_000_000)));
    await expect.poll(() => pings, { timeout: 20_000 }).toBeGreaterThanOrEqual(10);
    expect(await acks(peer, 3)).toHaveLength(3);
    expect(peer.socket.readyState).toBe(peer.socket.OPEN);
  });

  it('can still close during a pause', async () => {
    const running = await startServer({ serviceBytesPerSecond: 1024 });
    const peer = new SocketPeer(`${running.url}/ws/task_updates`, {
      authorization: `Bearer ${TOKENS.query}`,
    });
    await peer.next();
    peer.send(report(0, 'x'.repeat(500_000)));
    await acks(peer, 1);
    const stopped = running.server.stop({ graceMs: 5_000 });
    expect(await peer.closed).toMatchObject({ code: 1001 });
    await stopped;
  });
});

describe('a client above its rate', () => {
  it.each([
    ['frames', 4429, (peer: SocketPeer) => peer.send({ action: 'unsubscribe', id: 'a' })],
    // ws itself cuts off a socket whose pings come faster than it can answer them.
    ['pings', 1006, (peer: SocketPeer) => peer.socket.ping()],
    ['nonsense', 1008, (peer: SocketPeer) => peer.send('{')],
  ])('is closed: %s', async (_, code, send) => {
    const running = await startServer();
    const peer = new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await peer.opened;
    for (let n = 0; n < 150; n += 1) send(peer);
    expect((await peer.closed).code).toBe(code);
  });

  it('is closed for pings that are answered too', async () => {
    const running = await startServer();
    const peer = new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await peer.opened;
    peer.socket.on('pong', () => peer.socket.ping());
    for (let n = 0; n < 5; n += 1) peer.socket.ping();
    expect((await peer.closed).code).toBe(4429);
  });

  it('may send a burst of a hundred frames', async () => {
    const running = await startServer();
    const peer = new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
    await peer.opened;
    for (let n = 0; n < 99; n += 1) peer.send({ action: 'unsubscribe', id: 'a' });
    peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    expect(await peer.next()).toMatchObject({ event: 'subscribed' });
  });
});
