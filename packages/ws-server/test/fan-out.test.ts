import { describe, expect, it, vi } from 'vitest';
import { KEYS, startServer } from './running-server.js';
import { SocketPeer } from './socket-peer.js';
import { SseReader } from './sse-reader.js';

describe('an event', () => {
  it('is serialised once for all sockets and streams of a process, which share one reader of the log', async () => {
    const running = await startServer();
    const tenant = running.orchestrator.tenant('acme');
    await tenant.sessions.create({ session_id: 'talk' });
    const sockets = Array.from(
      { length: 10 },
      () => new SocketPeer(`${running.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` }),
    );
    for (const peer of sockets) {
      await peer.opened;
      peer.send({ action: 'subscribe', id: 'a', topic: { session_id: 'talk' } });
      await peer.event('subscribed');
    }
    const streams = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const reader = new SseReader(await running.fetch('GET', '/v1/sessions/talk/events'));
        expect((await reader.next())?.event).toBe('snapshot');
        return reader;
      }),
    );
    const written = vi.spyOn(JSON, 'stringify');
    const id = await running.submit('echo', { n: 1 }, { session_id: 'talk' });
    const isFinal = (event: unknown) => event === 'task_completed';
    const cursors = new Set<unknown>();
    for (const peer of sockets) cursors.add((await peer.until(({ event }) => isFinal(event)))['cursor']);
    for (const reader of streams) {
      let received = await reader.next();
      while (received && !isFinal(received.event)) received = await reader.next();
      expect(received).toMatchObject({ data: { task_id: id, data: { n: 1 } } });
      cursors.add(received?.id);
    }
    const times = written.mock.calls.filter(([value]) => {
      const frame = value as { event?: unknown; cursor?: unknown } | null;
      return typeof frame === 'object' && isFinal(frame?.event) && cursors.has(frame?.cursor);
    });
    written.mockRestore();
    expect([cursors.size, times.length]).toEqual([1, 1]);
  });
});
