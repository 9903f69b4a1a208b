import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { EventCollector } from './event-collector.js';

/** A client of a fake hub that sends these frames. */
async function clientOf(frames: readonly object[]): Promise<EventCollector> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => server.close());
  server.on('connection', (socket) => {
    socket.send(JSON.stringify({ event: 'subscribed', id: 'all', cursor: 'e:0', snapshot: {} }));
    for (const frame of [...frames, { event: 'heartbeat', cursor: 'e:9' }])
      socket.send(JSON.stringify(frame));
    socket.send(JSON.stringify(event('last', 1, 99)));
  });
  await once(server, 'listening');
  const client = new EventCollector(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await client.start();
  await client.until(() => client.events.has('last'));
  return client;
}

const event = (task_id: string, rev: number, seq: number, more: object = {}) => ({
  event: 'task_status_update',
  ...{ task_id, tenant_id: 'acme', rev, cursor: `e:${seq}`, data: {} },
  ...more,
});

describe('EventCollector', () => {
  it('accepts a correct order', async () => {
    const frames = [event('a', 1, 1), event('b', 1, 2), event('a', 4, 3, { coalesced_from: 2 })];
    const client = await clientOf([...frames, event('a', 5, 4, { event: 'task_completed' })]);
    expect([client.violations, client.count, client.finals.size]).toEqual([[], 5, 1]);
  });

  it.each([
    ['a repeated event', [event('a', 1, 1), event('a', 1, 1)], 'repeated'],
    ['events in the violations order', [event('a', 1, 2), event('b', 1, 1)], 'repeated or late'],
    ['a missing rev', [event('a', 1, 1), event('a', 3, 2)], 'expected rev 2, got 3'],
    ['a task that does not begin with 1', [event('a', 2, 1)], 'expected rev 1'],
    [
      'two final events',
      [event('a', 1, 1, { event: 'task_completed' }), event('a', 2, 2, { event: 'task_failed' })],
      'after its final event',
    ],
    ["another tenant's event", [event('a', 1, 1, { tenant_id: 'globex' })], 'an event of globex'],
  ])('finds %s', async (_, frames, words) => {
    expect((await clientOf(frames)).violations.join()).toContain(words);
  });
});
