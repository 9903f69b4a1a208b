import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { about, next, overSocket } from './service.js';
import { acknowledge, admit, type Frame, say, ScriptedHub } from './scripted-hub.js';
import { TcpRelay } from './tcp-relay.js';

const refuse = { status: 'unauthorized', code: 'unauthorized', message: 'the token is not known' };

describe('the handshake', () => {
  it('is the first frame, with token and name, and without compression', async () => {
    const hub = await ScriptedHub.start();
    const query = overSocket(hub.url);
    expect(await next(query, 'connected')).toEqual({ state: 'connected', connectionId: 'c-1' });
    expect(hub.visits[0]?.frames).toEqual([{ service_token: 'token-of-query', service_name: 'query' }]);
    expect(hub.visits[0]?.socket.extensions).toBe('');
  });

  it('times out without an answer, and is repeated', async () => {
    const hub = await ScriptedHub.start({ hello: (visit, index) => void (index > 0 && admit(visit)) });
    const clock = new ManualClock();
    const query = overSocket(hub.url, { helloMs: 10_000, clock });
    const lost = next(query, 'disconnected');
    await hub.until(() => hub.visits[0]?.frames.length === 1);
    await clock.advance(9_999);
    expect(clock.nextAt).toBe(clock.now() + 1);
    await clock.advance(1);
    const { reason, retryInMs = 0 } = await lost;
    expect(reason).toBe('no answer to the hello in 10000 ms');
    await clock.advance(retryInMs);
    await query.ready();
    expect(hub.visits).toHaveLength(2);
  });

  it.each([
    ['in words', (visit: Parameters<typeof say>[0]) => say(visit, refuse), 'unauthorized'],
    ['with 4401', (visit: Parameters<typeof say>[0]) => visit.socket.close(4401, 'no'), 'unauthorized'],
    ['with 4403', (visit: Parameters<typeof say>[0]) => visit.socket.close(4403, 'no'), 'forbidden'],
  ])('reports a refusal %s, keeps reports, and retries slowly', async (_, hello, code) => {
    const hub = await ScriptedHub.start({ hello: (visit, index) => (index === 0 ? hello : admit)(visit) });
    const clock = new ManualClock();
    const query = overSocket(hub.url, { refusedRetryMs: 60_000, clock });
    const acked = query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    const refused = await next(query, 'refused');
    expect(refused).toMatchObject({ state: 'refused', error: { code } });
    const { retryInMs } = refused;
    expect(retryInMs).toBeGreaterThanOrEqual(30_000);
    await expect(query.ready()).rejects.toMatchObject({ code });
    // The only timer is that of the next connection.
    expect(clock.nextAt).toBe(clock.now() + retryInMs);
    await clock.advance(retryInMs);
    expect(await acked).toMatchObject({ outcome: 'applied' });
    expect(hub.visits).toHaveLength(2);
  });
});

describe('a link that ends', () => {
  it.each([
    ['1001 with a time', 1001, '{"retry_after_ms":150000}', 150_000],
    ['1013 with a time', 1013, '{"retry_after_ms":120000}', 120_000],
    ['1013 without', 1013, 'too many connections', 15_000],
  ])('with %s is not repeated before', async (_, code, reason, atLeastMs) => {
    const hub = await ScriptedHub.start();
    const clock = new ManualClock();
    const query = overSocket(hub.url, { reconnectCapMs: 30_000, clock });
    await query.ready();
    hub.visits[0]?.socket.close(code, reason);
    const { retryInMs = 0 } = await next(query, 'disconnected');
    expect(retryInMs).toBeGreaterThanOrEqual(atLeastMs);
    expect(clock.nextAt).toBe(clock.now() + retryInMs);
    await clock.advance(retryInMs);
    await query.ready();
    expect(hub.visits).toHaveLength(2);
  });

  it('reconnects for ever with an increasing delay while the hub is down', async () => {
    const hub = await ScriptedHub.start();
    const line = await TcpRelay.to(1);
    const query = overSocket(line.url, { reconnectBaseMs: 1, reconnectCapMs: 4 });
    for (let n = 0; n < 10; n += 1) {
      const { reason, retryInMs } = await next(query, 'disconnected');
      expect(reason).not.toBe('');
      expect(retryInMs).toBeLessThanOrEqual(4);
    }
    expect(hub.visits).toHaveLength(0);
  });

  it('is replaced soon, however long it took to connect', async () => {
    const hub = await ScriptedHub.start({
      hello: (visit, index) => (index < 6 ? visit.socket.terminate() : admit(visit)),
    });
    const query = overSocket(hub.url, { reconnectBaseMs: 1, reconnectCapMs: 100_000 });
    await query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    const lost = next(query, 'disconnected');
    hub.visits.at(-1)?.socket.terminate();
    expect((await lost).retryInMs).toBeLessThanOrEqual(1);
  });

  it.each([
    ['401', {}, { state: 'refused', error: { code: 'unauthorized' } }],
    ['403', {}, { state: 'refused', error: { code: 'forbidden' } }],
    ['404', {}, { state: 'disconnected', reason: 'expected an upgrade to WebSocket, got HTTP 404' }],
    ['302', { location: '/elsewhere' }, { state: 'disconnected' }],
    ['503', { 'retry-after': '2' }, { state: 'disconnected' }],
  ])('before it began, with HTTP %s, is interpreted', async (status, headers, expected) => {
    const asked: (string | undefined)[] = [];
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    server.on('upgrade', (request, socket) => {
      asked.push(request.url);
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${status} No\r\n${lines.join('')}Content-Length: 0\r\n\r\n`);
    });
    const { port } = server.address() as AddressInfo;
    const query = overSocket(`ws://127.0.0.1:${port}`, { reconnectBaseMs: 50 });
    const received = await Promise.race([next(query, 'refused'), next(query, 'disconnected')]);
    expect(received).toMatchObject(expected);
    if (status === '503') expect(received.retryInMs).toBeGreaterThanOrEqual(2_000);
    expect(asked).toEqual(['/ws/task_updates']);
  });

  it('has everything without an ack resent over the next, in order, with the same ids', async () => {
    const hub = await ScriptedHub.start({
      frame: (frame, visit, index) => void (index > 0 && acknowledge(frame, visit)),
    });
    const query = overSocket(hub.url);
    await query.ready();
    const acks = Array.from({ length: 20 }, (_, n) =>
      query.notifyTaskStatus({ ...about(`job-${n % 3}`), status: `${n}` }),
    );
    await hub.until(() => hub.notifications.length === 20);
    hub.visits[0]?.socket.terminate();
    await Promise.all(acks);
    const [first = [], second = []] = hub.visits.map(({ frames }) => frames.slice(1));
    expect(second).toEqual(first);
    const seqs = first.map(({ seq }) => seq as number);
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
  });

  it('while a listener of its end reports something does not reorder a job', async () => {
    const hub = await ScriptedHub.start({
      frame: (frame, visit, index) => void (index > 0 && acknowledge(frame, visit)),
    });
    const query = overSocket(hub.url);
    await query.ready();
    const first = query.notifyTaskStatus({ ...about('job-1'), status: 'before' });
    await hub.until(() => hub.notifications.length === 1);
    query.on('disconnected', () => query.notifyTaskStatus({ ...about('job-1'), status: 'meanwhile' }));
    query.on('connected', () => query.notifyTaskCompletion({ ...about('job-1'), result: 1 }));
    hub.visits[0]?.socket.terminate();
    await first;
    await query.drain();
    expect(hub.visits[1]?.frames.slice(1).map(({ data }) => data)).toEqual([
      { status: 'before', details: {} },
      { status: 'meanwhile', details: {} },
      1,
    ]);
  });
});

describe('a hub that is slow to acknowledge', () => {
  it('gets a resend after a while, over the same link', async () => {
    let silent = 2;
    const hub = await ScriptedHub.start({
      frame: (frame, visit) => {
        silent -= 1;
        if (silent < 0) acknowledge(frame, visit);
      },
    });
    const clock = new ManualClock();
    const query = overSocket(hub.url, { ackMs: 75_000, pingMs: 1_000_000, clock });
    const acked = query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    for (let sent = 1; sent <= 2; sent += 1) {
      await hub.until(() => hub.notifications.length === sent);
      await clock.advance(75_000);
    }
    expect(await acked).toMatchObject({ outcome: 'applied' });
    expect(hub.visits).toHaveLength(1);
    expect(hub.notifications).toHaveLength(3);
    expect(new Set(hub.notifications.map(({ message_id: id }) => id)).size).toBe(1);
  });

  it('has no more than the window in flight', async () => {
    const held: [Frame, Parameters<typeof acknowledge>[1]][] = [];
    const hub = await ScriptedHub.start({ frame: (frame, visit) => void held.push([frame, visit]) });
    const query = overSocket(hub.url, {}, { window: 3 });
    const acks = Array.from({ length: 10 }, (_, n) =>
      query.notifyTaskCompletion({ ...about(`job-${n}`), result: n }),
    );
    for (let done = 0; done < 10; done += 1) {
      await hub.until(() => held.length > 0);
      expect(hub.notifications.length - done).toBeLessThanOrEqual(3);
      const [frame, visit] = held.shift()!;
      acknowledge(frame, visit);
    }
    await Promise.all(acks);
  });

  it('ignores a repeated ack, an unknown ack, and invalid frames', async () => {
    const hub = await ScriptedHub.start({
      frame: (frame, visit) => {
        visit.socket.send('{"event":');
        visit.socket.send(Buffer.from([1, 2, 3]));
        say(visit, { event: 'ack', message_id: 'ghost', outcome: 'applied' });
        say(visit, { event: 'ack', message_id: frame['message_id'], outcome: 'splendid' });
        say(visit, { event: 'task_cancel', task_id: 7 });
        say(visit, { event: 'something_new' });
        acknowledge(frame, visit);
        acknowledge(frame, visit);
      },
    });
    const query = overSocket(hub.url);
    let cancels = 0;
    query.on('task_cancel', () => (cancels += 1));
    await query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    await query.notifyTaskCompletion({ ...about('job-2'), result: 2 });
    expect([cancels, query.pending, hub.visits.length]).toEqual([0, 0, 1]);
  });
});

describe('limits', () => {
  it('1 MiB for a notification, or less if the hub requires', async () => {
    const hub = await ScriptedHub.start({
      hello: (visit) => say(visit, { status: 'authenticated', connection_id: 'c', max_payload: 1_000 }),
    });
    const query = overSocket(hub.url);
    await query.ready();
    const send = (length: number) =>
      query.notifyTaskCompletion({ ...about('job-1'), result: 'x'.repeat(length) });
    await expect(send(1_048_576)).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(send(1_000)).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(query.pending).toBe(0);
    expect(await send(100)).toMatchObject({ outcome: 'applied' });
    expect(hub.notifications).toHaveLength(1);
  });

  it('disconnects a hub that exceeds its limits', async () => {
    const hub = await ScriptedHub.start();
    const query = overSocket(hub.url);
    await query.ready();
    const lost = next(query, 'disconnected');
    hub.visits[0]?.socket.send('x'.repeat(1_200_000));
    expect((await lost).reason).toMatch(/max payload/i);
    await query.ready();
  });

  it('10,000 notifications while the hub is down: progress is coalesced, no outcome is lost', async () => {
    const hub = await ScriptedHub.start({ hello: () => undefined });
    const query = overSocket(hub.url, { helloMs: 60_000 });
    await hub.until(() => hub.visits[0]?.frames.length === 1);
    const acks: Promise<unknown>[] = [];
    const refused: Promise<unknown>[] = [];
    for (let n = 0; n < 45_000; n += 1) {
      acks.push(query.notifyTaskStatus({ ...about(`job-${n % 5_000}`), status: `${n}` }));
    }
    expect(query.pending).toBe(5_000);
    for (let n = 0; n < 5_000; n += 1) {
      acks.push(query.notifyTaskCompletion({ ...about(`job-${n}`), result: n }));
    }
    expect(query.pending).toBe(10_000);
    for (let n = 0; n < 100; n += 1) {
      refused.push(query.notifyTaskCompletion({ ...about(`late-${n}`), result: n }));
    }
    for (const late of refused) await expect(late).rejects.toMatchObject({ code: 'outbox_full' });
    hub.visits.forEach(admit);
    await Promise.all(acks);
    expect(query.pending).toBe(0);
    const finals = hub.notifications.filter(({ event }) => event === 'task_completed');
    expect(finals).toHaveLength(5_000);
    expect(new Set(finals.map(({ task_id: id }) => id)).size).toBe(5_000);
    expect(hub.notifications).toHaveLength(10_000);
  });
});

describe('the end', () => {
  it('closes gracefully, and rejects reports without an ack', async () => {
    const hub = await ScriptedHub.start({ frame: () => undefined });
    const query = overSocket(hub.url);
    await query.ready();
    const left = query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    await hub.until(() => hub.notifications.length === 1);
    await query.drain({ signal: AbortSignal.timeout(20) });
    expect(query.pending).toBe(1);
    const closed = new Promise((resolve) => hub.visits[0]?.socket.once('close', resolve));
    await query.close();
    expect(await closed).toBe(1000);
    await expect(left).rejects.toMatchObject({ code: 'not_running' });
    await expect(query.ready()).rejects.toMatchObject({ code: 'not_running' });
  });

  it.each(['dialling', 'waiting to be let in', 'waiting to dial again'])('comes while %s', async (when) => {
    const hub = await ScriptedHub.start({ hello: () => undefined });
    const dead = await TcpRelay.to(1);
    const query = overSocket(when === 'waiting to dial again' ? dead.url : hub.url, {
      reconnectBaseMs: 60_000,
      reconnectCapMs: 60_000,
    });
    if (when === 'waiting to be let in') await hub.until(() => hub.visits[0]?.frames.length === 1);
    if (when === 'waiting to dial again') await next(query, 'disconnected');
    await query.close();
    await query.close();
    expect(query.pending).toBe(0);
  });

  it('completes two seconds after a close that the hub does not answer', async () => {
    const hub = await ScriptedHub.start();
    const clock = new ManualClock();
    const query = overSocket(hub.url, { clock });
    await query.ready();
    hub.visits[0]?.socket.pause();
    const closed = query.close();
    await clock.advance(1_999);
    expect(clock.nextAt).toBe(clock.now() + 1);
    await clock.advance(1);
    await closed;
    expect(clock.nextAt).toBeUndefined();
  });
});
