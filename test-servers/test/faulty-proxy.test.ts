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

/** A text connection that reports received data and whether it was reset. */
async function line() {
  const socket = connect(proxy.port, '127.0.0.1');
  sockets.push(socket);
  const heard = { text: '', closed: false };
  socket.on('data', (chunk) => {
    heard.text += chunk.toString();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    heard.closed = true;
  });
  await once(socket, 'connect');
  return { heard, say: (text: string) => socket.write(`${text}\r\n`) };
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
    const { heard, say } = await line();
    say('INCR n');
    await eventually(() => heard.text === ':1\r\n');
    proxy.loseReply();
    say('INCR n');
    await eventually(() => heard.closed);
    expect(heard.text).toBe(':1\r\n');
    expect(await count()).toBe(2);
    expect(proxy.counters.cutReplies).toBe(1);
    expect(await askRedis(proxy.port, ['INCR', 'n'])).toBe(3);
  });

  it('loses the reply of the request that is named, whichever connection it comes on', async () => {
    proxy.loseReply({ to: 'Second' });
    const one = await line();
    const other = await line();
    one.say('SET first 1');
    await eventually(() => one.heard.text === '+OK\r\n');
    other.say('SET second 1');
    await eventually(() => other.heard.closed);
    expect(other.heard.text).toBe('');
    one.say('SET third 1');
    await eventually(() => one.heard.text === '+OK\r\n+OK\r\n');
    expect(await server.ask(['MGET', 'first', 'second', 'third'])).toEqual(['1', '1', '1']);
  });

  it('cuts in the middle of a reply', async () => {
    await server.ask(['SET', 'text', 'hello']);
    const { heard, say } = await line();
    proxy.cutReplyAfter(6, { to: 'GET text' });
    say('GET text');
    await eventually(() => heard.closed);
    expect(heard.text).toBe('$5\r\nhe');
  });

  it('swallows all replies until it is healed; what is told the server is done', async () => {
    const { heard, say } = await line();
    proxy.swallowReplies();
    say('INCR n');
    say('INCR n');
    await eventually(() => proxy.counters.swallowedBytes === ':1\r\n:2\r\n'.length);
    expect(await count()).toBe(2);
    expect(heard).toEqual({ text: '', closed: false });
    proxy.heal();
    await eventually(() => heard.closed);
    expect(await askRedis(proxy.port, ['GET', 'n'])).toBe('2');
  });

  it('drops all data until healed, without closing a connection', async () => {
    const { heard, say } = await line();
    say('INCR n');
    await eventually(() => heard.text === ':1\r\n');
    proxy.blackHole();
    say('INCR n');
    await expect(askRedis(proxy.port, ['PING'], { timeoutMs: 100 })).rejects.toThrow('no answer');
    expect(heard).toEqual({ text: ':1\r\n', closed: false });
    expect(await count()).toBe(1);
    proxy.heal();
    await eventually(() => heard.closed);
    expect(await askRedis(proxy.port, ['PING'])).toBe('PONG');
  });

  it('cuts what is there, and refuses what comes', async () => {
    const { heard, say } = await line();
    say('PING');
    await eventually(() => heard.text === '+PONG\r\n');
    proxy.cut();
    await eventually(() => heard.closed);
    expect(proxy.counters.open).toBe(0);
    proxy.refuse();
    await expect(askRedis(proxy.port, ['PING'])).rejects.toThrow(/closed|ECONNRESET/);
    proxy.heal();
    expect(await askRedis(proxy.port, ['PING'])).toBe('PONG');
  });

  it('delays both ways, and keeps the order', async () => {
    proxy.delay(50);
    const { heard, say } = await line();
    const before = performance.now();
    for (let number = 1; number <= 20; number += 1) say('INCR n');
    await eventually(() => heard.text.endsWith(':20\r\n'));
    // Two ways, each as late; timers may fire a millisecond early.
    expect(performance.now() - before).toBeGreaterThan(97);
    expect(heard.text).toBe(Array.from({ length: 20 }, (_, index) => `:${index + 1}\r\n`).join(''));
  });

  it('ends a connection when the server ends it', async () => {
    const { heard, say } = await line();
    say('QUIT');
    await eventually(() => heard.closed);
    expect(heard.text).toBe('+OK\r\n');
    expect(proxy.counters.brokenConnections).toBe(0);
  });
});
