import { randomUUID } from 'node:crypto';
import { ManualClock, settled } from '@agent-orchestrator/core/testing';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { RedisStorage } from '../src/index.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

/** Whether a promise has settled, once everything has run that can. */
async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  let is = false;
  const end = () => (is = true);
  promise.then(end, end);
  await settled();
  return is;
}

function opened(borrowed?: Redis) {
  const timers = new ManualClock();
  const options = { timers, prefix: `timers-${randomUUID().slice(0, 8)}` };
  const storage = borrowed
    ? RedisStorage.using(borrowed, options)
    : RedisStorage.connect(server.url, options);
  onTestFinished(() => storage.close());
  return { storage, timers };
}

describe('the waits of a process', () => {
  it('end a long poll without a task after its time, and not before', async () => {
    const { storage, timers } = opened();
    const params = {
      workerId: 'w-1',
      max: 1,
      runs: [{ type: 'idle', versions: [1] }],
      leaseMs: 30_000,
      waitMs: 20_000,
    };
    const claims = storage.queue.claim({ ...params, claimId: randomUUID() });
    await expect.poll(() => timers.nextAt, { timeout: 30_000 }).toBe(timers.now() + 20_000);
    await timers.advance(19_999);
    expect(await hasSettled(claims)).toBe(false);
    await timers.advance(1);
    expect(await claims).toEqual([]);
    expect(timers.nextAt).toBeUndefined();
  });

  it('end a command of a borrowed client that the server does not answer', async () => {
    const client = new Redis(server.url);
    onTestFinished(() => client.disconnect());
    const { storage, timers } = opened(client);
    await storage.ping();
    server.freeze();
    onTestFinished(() => server.thaw());
    const pinged = storage.ping();
    await timers.advance(14_999);
    expect(await hasSettled(pinged)).toBe(false);
    await timers.advance(1);
    await expect(pinged).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it('are the interval at which system events are read', async () => {
    const { storage, timers } = opened();
    const over = new AbortController();
    onTestFinished(() => over.abort());
    const events = storage.systemEvents.follow({ signal: over.signal })[Symbol.asyncIterator]();
    const next = events.next();
    await expect.poll(() => timers.nextAt, { timeout: 30_000 }).toBe(timers.now() + 500);
    storage.systemEvents.publish({ kind: 'breaker_opened', text: 'opened' });
    await storage.ping();
    expect(await hasSettled(next)).toBe(false);
    await timers.advance(500);
    expect(await next).toMatchObject({ value: { kind: 'breaker_opened', text: 'opened' } });
  });
});
