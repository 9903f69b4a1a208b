import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import { KEYS, type RunningServer, startServer, TOKENS, text } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const ORIGIN = 'https://app.example.com';

function address(running: RunningServer, query = ''): string {
  return `${running.url}/ws/client${query}`;
}

async function connected(running: RunningServer, key: string = KEYS.acme): Promise<SocketPeer> {
  const peer = new SocketPeer(address(running), { authorization: `Bearer ${key}` });
  await peer.opened;
  return peer;
}

async function following(running: RunningServer, topic: object, after?: string): Promise<SocketPeer> {
  const peer = await connected(running);
  peer.send({ action: 'subscribe', id: 'a', topic, after });
  return peer;
}

describe('the credential of a client', () => {
  it('is accepted in the header, in the first frame, or as a ticket', async () => {
    const running = await startServer({ allowedOrigins: [ORIGIN] });
    const byHeader = await connected(running);
    const byFrame = new SocketPeer(address(running));
    await byFrame.opened;
    byFrame.send({ token: KEYS.acme });
    const { status, body } = await running.ask('POST', '/v1/tickets');
    expect([status, body]).toEqual([201, { ticket: expect.any(String), expires_at: expect.any(String) }]);
    const byTicket = new SocketPeer(address(running, `?ticket=${text(body['ticket'])}`), {
      origin: ORIGIN,
    });
    await byTicket.opened;
    for (const peer of [byHeader, byFrame, byTicket]) {
      peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
      expect(await peer.next()).toMatchObject({ event: 'subscribed', id: 'a', cursor: expect.any(String) });
    }
  });

  it('as a ticket is valid once', async () => {
    const running = await startServer();
    const { body } = await running.ask('POST', '/v1/tickets');
    const query = `?ticket=${text(body['ticket'])}`;
    const first = new SocketPeer(address(running, query));
    await first.opened;
    first.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    await first.event('subscribed');
    expect(await new SocketPeer(address(running, query)).closed).toMatchObject({ code: 4401 });
  });

  it('that is wrong or of another kind closes with 4401 and 4403', async () => {
    const running = await startServer();
    for (const [hello, code] of [
      [{ token: 'ghost' }, 4401],
      [{ action: 'subscribe' }, 4401],
      ['nonsense', 4401],
      [{ token: TOKENS.query }, 4403],
    ] as const) {
      const peer = new SocketPeer(address(running));
      await peer.opened;
      peer.send(hello);
      expect(await peer.closed).toMatchObject({ code });
    }
  });

  it('is refused for a page of a foreign origin', async () => {
    const running = await startServer({ allowedOrigins: [ORIGIN] });
    for (const origin of [
      'https://evil.example.com',
      `${ORIGIN}.evil.com`,
      `${ORIGIN}/`,
      'null',
      'http://app.example.com',
    ]) {
      const peer = new SocketPeer(address(running), { authorization: `Bearer ${KEYS.acme}`, origin });
      await expect(peer.opened).rejects.toThrow('403');
    }
  });

  it('is not required at an unknown path', async () => {
    const running = await startServer();
    await expect(new SocketPeer(`${running.url}/ws/elsewhere`).opened).rejects.toThrow('404');
  });
});

describe('a subscription', () => {
  it('to a task has its snapshot, then each event once, in order', async () => {
    const running = await startServer();
    const id = await running.submit('approval');
    const peer = await following(running, { task_id: id });
    const subscribed = await peer.next();
    expect(subscribed).toMatchObject({ event: 'subscribed', id: 'a', snapshot: { task: { task_id: id } } });
    await running.orchestrator.tenant('acme').tasks.signal(id, 'approve', 'yes');
    const completed = await peer.event('task_completed');
    expect(completed).toMatchObject({
      task_id: id,
      global_task_id: id,
      tenant_id: 'acme',
      data: 'yes',
      cursor: expect.any(String),
    });
    const revs = peer.frames.slice(1).map((frame) => frame['rev'] as number);
    const { rev } = (subscribed['snapshot'] as { task: { rev: number } }).task;
    expect(revs).toEqual(revs.map((_, index) => rev + 1 + index));
  });

  it('to a session and to the tenant has their events, once each', async () => {
    const running = await startServer();
    await running.ask('POST', '/v1/sessions', { body: { session_id: 's-1' } });
    const peer = await connected(running);
    peer.send({ action: 'subscribe', id: 'session', topic: { session_id: 's-1' } });
    const session = peer.until((frame) => frame['id'] === 'session');
    expect(await session).toMatchObject({ snapshot: { session: { session_id: 's-1' }, tasks: [] } });
    peer.send({ action: 'subscribe', id: 'tenant', topic: { tenant: true } });
    expect(await peer.event('subscribed')).toMatchObject({ snapshot: { counts: { completed: 0 } } });
    const inside = await running.submit('echo', 1, { session_id: 's-1' });
    await running.ended(inside);
    const outside = await running.submit('echo', 2);
    await peer.until((frame) => frame['event'] === 'task_completed' && frame['task_id'] === outside);
    const cursors = peer.frames.filter((frame) => frame['rev'] !== undefined).map((frame) => frame['cursor']);
    expect(new Set(cursors).size).toBe(cursors.length);
    expect(peer.frames.filter((frame) => frame['event'] === 'task_completed')).toHaveLength(2);
  });

  it('resumes at any cursor, exactly', async () => {
    const running = await startServer();
    const watcher = await following(running, { tenant: true });
    await watcher.event('subscribed');
    const id = await running.submit('steps', { steps: 6 });
    await watcher.event('task_completed');
    const all = watcher.frames.filter((frame) => frame['task_id'] === id);
    for (const [index, frame] of all.slice(0, -1).entries()) {
      const peer = await following(running, { task_id: id }, text(frame['cursor']));
      const head = all.at(-1)?.['cursor'];
      const snapshot = { task: { task_id: id, status: 'completed' } };
      expect(await peer.next()).toMatchObject({ event: 'subscribed', cursor: head, snapshot });
      await peer.event('task_completed');
      expect(peer.frames.slice(1)).toEqual(all.slice(index + 1));
      peer.socket.terminate();
    }
  });

  it('reports a gap for a cursor of another epoch', async () => {
    const running = await startServer();
    const id = await running.submit('echo', 1);
    await running.ended(id);
    const peer = await following(running, { task_id: id }, 'elsewhere:12');
    expect(await peer.event('gap')).toMatchObject({
      id: 'a',
      from: 'elsewhere:12',
      snapshot: { task: { status: 'completed' } },
    });
  });

  it('ends with unsubscribe, and its id is free again', async () => {
    const running = await startServer();
    const peer = await following(running, { tenant: true });
    await peer.event('subscribed');
    peer.send({ action: 'unsubscribe', id: 'a' });
    await running.ended(await running.submit('echo', 1));
    peer.send({ action: 'subscribe', id: 'a', topic: { tenant: true } });
    expect(await peer.next()).toMatchObject({ event: 'subscribed', snapshot: { counts: { completed: 1 } } });
  });

  it('to a foreign object looks like one to an unknown object', async () => {
    const running = await startServer();
    const id = await running.submit('approval');
    const peer = await connected(running, KEYS.globex);
    peer.send({ action: 'subscribe', id: 'a', topic: { task_id: id } });
    expect(await peer.next()).toMatchObject({ event: 'error', id: 'a', code: 'not_found' });
    peer.send({ action: 'subscribe', id: 'b', topic: { tenant: true } });
    await peer.event('subscribed');
    await running.orchestrator.tenant('acme').tasks.signal(id, 'approve', null);
    await running.ended(id);
    const own = await running.ask('POST', '/v1/tasks', { body: { type: 'echo' }, token: KEYS.globex });
    await peer.event('task_completed');
    expect(
      peer.frames.every(
        (frame) => frame['task_id'] === undefined || frame['task_id'] === own.body['task_id'],
      ),
    ).toBe(true);
  });
});

describe('a connection', () => {
  it('sends the cursor up to which it is complete', async () => {
    const clock = new ManualClock();
    const running = await startServer({ clock });
    const peer = await following(running, { tenant: true });
    await peer.event('subscribed');
    await running.submit('echo', 1);
    const { cursor } = await peer.event('task_completed');
    await clock.advance(15_000);
    expect(await peer.event('heartbeat')).toEqual({ event: 'heartbeat', cursor });
  });

  it('reports invalid frames, and closes with 1008 after ten', async () => {
    const running = await startServer();
    const peer = await connected(running);
    peer.send({ action: 'subscribe', id: 'a', topic: { task_id: 'no uuid' } });
    expect(await peer.next()).toMatchObject({
      event: 'error',
      id: 'a',
      code: 'invalid_message',
      errors: expect.any(Array),
    });
    for (let n = 0; n < 9; n += 1) peer.send({ action: 'dance' });
    expect(await peer.closed).toMatchObject({ code: 1008 });
  });

  it('closes with 4429 after too many frames, 1009 after too large a one, 1003 after binary', async () => {
    const running = await startServer();
    const [many, large, binary] = [
      await connected(running),
      await connected(running),
      await connected(running),
    ];
    for (let n = 0; n < 200; n += 1) many.send({ action: 'unsubscribe', id: 'a' });
    large.send({ action: 'unsubscribe', id: 'x'.repeat(20_000) });
    binary.socket.send(Buffer.from('{}'));
    expect(await many.closed).toMatchObject({ code: 4429 });
    expect(await large.closed).toMatchObject({ code: 1009 });
    expect(await binary.closed).toMatchObject({ code: 1003 });
  });

  it('of a reader that is too slow is closed with 4408, and resumes without loss', async () => {
    // The server waits for the reader's answer to the close frame, however long the tasks take.
    const running = await startServer({ clock: new ManualClock() });
    const peer = await following(running, { tenant: true });
    const { cursor: begin } = await peer.event('subscribed');
    peer.socket.pause();
    const made: string[] = [];
    const large = 'x'.repeat(900_000);
    for (let n = 0; n < 40; n += 1) made.push(await running.submit('echo', large));
    for (const id of made) await running.ended(id);
    peer.socket.resume();
    expect(await peer.closed).toMatchObject({ code: 4408 });
    const seen = peer.frames.filter((frame) => frame['rev'] !== undefined);
    expect(seen.length).toBeLessThan(made.length * 3);
    const again = await following(running, { tenant: true }, String(seen.at(-1)?.['cursor'] ?? begin));
    const finals = () => [...seen, ...again.frames].filter((frame) => frame['event'] === 'task_completed');
    while (finals().length < made.length) await again.next();
    expect(
      finals()
        .map((frame) => text(frame['task_id']))
        .toSorted(),
    ).toEqual(made.toSorted());
  });

  it('above the connection limit is refused with 1013', async () => {
    const running = await startServer({ maxConnections: 1 });
    await connected(running);
    const other = new SocketPeer(address(running), { authorization: `Bearer ${KEYS.acme}` });
    expect(await other.closed).toMatchObject({ code: 1013 });
  });
});
