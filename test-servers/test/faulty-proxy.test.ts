import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { askRedis, FaultyProxy, RedisServer } from '@agent-orchestrator/test-servers';
import { eventually } from './eventually.js';

let server: RedisServer;
let proxy: FaultyProxy;
let sockets: Socket[];

beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  proxy = await FaultyProxy.start(server.port);
  sockets = [];
  await server.ask(['FLUSHALL']);
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await proxy.stop();
});

/** A text connection, with its received text and state. */
async function textConnection() {
  const socket = connect(proxy.port, '127.0.0.1');
  sockets.push(socket);
  const received = { text: '', closed: false };
  socket.on('data', (chunk) => {
    received.text += chunk.toString();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    received.closed = true;
  });
  await once(socket, 'connect');
  return { received, send: (text: string) => socket.write(`${text}\r\n`) };
}

const count = () => server.ask(['GET', 'n']).then(Number);

describe('FaultyProxy', () => {
  it('passes on everything, in both directions, and counts it', async () => {
    const value = 'x'.repeat(3_000_000);
    expect(await askRedis(proxy.port, ['SET', 'big', value])).toBe('OK');
    expect(await askRedis(proxy.port, ['GET', 'big'])).toBe(value);
    await eventually(() => proxy.counters.open === 0);
    expect(proxy.counters).toMatchObject({
      connections: 2,
      swallowedBytes: 0,
      cutReplies: 0,
      brokenConnections: 0,
    });
    expect(proxy.counters.bytesToServer).toBeGreaterThan(3_000_000);
    expect(proxy.counters.bytesToClient).toBeGreaterThan(3_000_000);
  });

  it('loses the reply of one request, which had its effect', async () => {
    const { received, send } = await textConnection();
    send('INCR n');
    await eventually(() => received.text === ':1\r\n');
    proxy.loseReply();
    send('INCR n');
    await eventually(() => received.closed);
    expect(received.text).toBe(':1\r\n');
    expect(await count()).toBe(2);
    expect(proxy.counters.cutReplies).toBe(1);
    expect(await askRedis(proxy.port, ['INCR', 'n'])).toBe(3);
  });

  it('loses the reply of the matching request, on any connection', async () => {
    proxy.loseReply({ to: 'Second' });
    const one = await textConnection();
    const other = await textConnection();
    one.send('SET first 1');
    await eventually(() => one.received.text === '+OK\r\n');
    other.send('SET second 1');
    await eventually(() => other.received.closed);
    expect(other.received.text).toBe('');
    one.send('SET third 1');
    await eventually(() => one.received.text === '+OK\r\n+OK\r\n');
    expect(await server.ask(['MGET', 'first', 'second', 'third'])).toEqual(['1', '1', '1']);
  });

  it('cuts a reply in the middle', async () => {
    await server.ask(['SET', 'text', 'hello']);
    const { received, send } = await textConnection();
    proxy.cutReplyAfter(6, { to: 'GET text' });
    send('GET text');
    await eventually(() => received.closed);
    expect(received.text).toBe('$5\r\nhe');
  });

  it('swallows all replies until it is healed, while requests take effect', async () => {
    const { received, send } = await textConnection();
    proxy.swallowReplies();
    send('INCR n');
    send('INCR n');
    await eventually(() => proxy.counters.swallowedBytes === ':1\r\n:2\r\n'.length);
    expect(await count()).toBe(2);
    expect(received).toEqual({ text: '', closed: false });
    proxy.heal();
    await eventually(() => received.closed);
    expect(await askRedis(proxy.port, ['GET', 'n'])).toBe('2');
  });

  it('is a black hole until it is healed: nothing arrives, no connection breaks', async () => {
    const { received, send } = await textConnection();
    send('INCR n');
    await eventually(() => received.text === ':1\r\n');
    proxy.blackHole();
    send('INCR n');
    await expect(askRedis(proxy.port, ['PING'], { timeoutMs: 100 })).rejects.toThrow('no answer');
    expect(received).toEqual({ text: ':1\r\n', closed: false });
    expect(await count()).toBe(1);
    proxy.heal();
    await eventually(() => received.closed);
    expect(await askRedis(proxy.port, ['PING'])).toBe('PONG');
  });

  it('cuts open connections, and refuses new ones', async () => {
    const { received, send } = await textConnection();
    send('PING');
    await eventually(() => received.text === '+PONG\r\n');
    proxy.cut();
    await eventually(() => received.closed);
    expect(proxy.counters.open).toBe(0);
    proxy.refuse();
    await expect(askRedis(proxy.port, ['PING'])).rejects.toThrow(/closed|ECONNRESET/);
    proxy.heal();
    expect(await askRedis(proxy.port, ['PING'])).toBe('PONG');
  });

  it('delays both directions, and keeps the order', async () => {
    proxy.delay(50);
    const { received, send } = await textConnection();
    const before = performance.now();
    for (let number = 1; number <= 20; number += 1) send('INCR n');
    await eventually(() => received.text.endsWith(':20\r\n'));
    // Two directions with the same delay; timers may fire a millisecond early.
    expect(performance.now() - before).toBeGreaterThan(97);
    expect(received.text).toBe(Array.from({ length: 20 }, (_, index) => `:${index + 1}\r\n`).join(''));
  });

  it('ends a connection when the server ends it', async () => {
    const { received, send } = await textConnection();
    send('QUIT');
    await eventually(() => received.closed);
    expect(received.text).toBe('+OK\r\n');
    expect(proxy.counters.brokenConnections).toBe(0);
  });
});
