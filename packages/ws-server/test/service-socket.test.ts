import { describe, expect, it } from 'vitest';
import { type RunningServer, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

/** The address that services connect to. */
function address(running: RunningServer): string {
  return `${running.url}/ws/task_updates`;
}

async function connected(
  running: RunningServer,
  token: string = TOKENS.query,
  name = 'query',
): Promise<SocketPeer> {
  const peer = new SocketPeer(address(running));
  await peer.opened;
  peer.send({ service_token: token, service_name: name });
  expect(await peer.next()).toMatchObject({ status: 'authenticated' });
  return peer;
}

/** A task whose call to the service `query` is under way as `jobId`. */
async function openCall(running: RunningServer, jobId: string, index = 0) {
  const taskId = await running.submit('query', { later: jobId });
  const call = await running.call(index);
  for (;;) {
    const task = await running.orchestrator.tenant('acme').tasks.get(taskId);
    if (task.delegated_services[0]?.task_id === jobId) return { taskId, callId: call.call_id };
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

describe('the handshake', () => {
  it('sends a service the connection parameters', async () => {
    const running = await startServer();
    const peer = new SocketPeer(address(running));
    await peer.opened;
    peer.send({ service_token: TOKENS.query, service_name: 'query' });
    expect(await peer.next()).toEqual({
      status: 'authenticated',
      connection_id: expect.any(String),
      heartbeat_ms: 15_000,
      max_payload: 1_048_576,
    });
  });

  it('accepts the token in the upgrade too', async () => {
    const running = await startServer();
    const peer = new SocketPeer(address(running), { authorization: `Bearer ${TOKENS.query}` });
    expect(await peer.next()).toMatchObject({ status: 'authenticated' });
  });

  it.each([
    ['an unknown token', { service_token: 'ghost', service_name: 'query' }],
    ["another service's token", { service_token: TOKENS.query, service_name: 'embedding' }],
    ['an API key', { service_token: 'key-of-acme', service_name: 'query' }],
    ['no token', { service_name: 'query' }],
    ['no JSON', 'hello'],
    ['a notification', { event: 'task_completed' }],
    ['more than 4 KiB', { service_token: 'x'.repeat(5_000), service_name: 'query' }],
    ['far more than 4 KiB', { service_token: 'x'.repeat(500_000), service_name: 'query' }],
  ])('refuses %s with 4401', async (_, hello) => {
    const running = await startServer();
    const peer = new SocketPeer(address(running));
    await peer.opened;
    peer.send(hello);
    expect(await peer.next()).toMatchObject({
      status: 'unauthorized',
      code: 'unauthorized',
      message: expect.any(String),
    });
    expect(await peer.closed).toMatchObject({ code: 4401 });
  });

  it('keeps frames sent right after the first', async () => {
    const running = await startServer();
    const peer = new SocketPeer(address(running));
    await peer.opened;
    peer.send({ service_token: TOKENS.query, service_name: 'query' });
    peer.send({
      event: 'task_completed',
      service: 'query',
      task_id: 'x',
      tenant_id: 'acme',
      data: 'x'.repeat(9_000),
      message_id: 'm-1',
    });
    expect(await peer.next()).toMatchObject({ status: 'authenticated' });
    expect(await peer.next()).toMatchObject({ event: 'ack', message_id: 'm-1', outcome: 'unknown_task' });
  });
});

describe('notifications', () => {
  it('of the contract complete a task: its notifier, verbatim', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const { taskId } = await openCall(running, 'job-7');
    peer.send({
      event: 'task_status_update',
      service: 'query',
      task_id: 'job-7',
      global_task_id: null,
      tenant_id: 'acme',
      timestamp: '2026-01-31T10:00:01.123456',
      data: { status: 'searching', details: {} },
    });
    peer.send({
      event: 'task_completed',
      service: 'query',
      task_id: 'job-7',
      global_task_id: null,
      tenant_id: 'acme',
      timestamp: '2026-01-31T10:00:02.123456',
      data: { answer: 42 },
    });
    expect(await running.ended(taskId)).toMatchObject({ status: 'completed', result: { answer: 42 } });
  });

  it('of the legacy form do so as well', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const { taskId } = await openCall(running, 'job-8');
    peer.send({
      event: 'job_completed',
      service: 'query',
      job_id: 'job-8',
      tenant_id: 'acme',
      agent_id: 'agent-id-opcional',
      result: { answer: 43 },
    });
    expect(await running.ended(taskId)).toMatchObject({ status: 'completed', result: { answer: 43 } });
  });

  it('of a failure fail it', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const { taskId } = await openCall(running, 'job-9');
    peer.send({
      event: 'task_failed',
      service: 'query',
      task_id: 'job-9',
      global_task_id: taskId,
      tenant_id: 'acme',
      timestamp: '2026-01-31T10:00:02.123456',
      data: { error: 'no such collection', error_type: 'KeyError' },
    });
    expect(await running.ended(taskId)).toMatchObject({
      status: 'failed',
      error: { message: expect.stringContaining('no such collection') },
    });
  });

  it('with a message_id get acks: applied, duplicate, late, unknown_task, invalid, forbidden', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const { taskId, callId } = await openCall(running, 'job-1');
    const frame = {
      event: 'task_completed',
      service: 'query',
      task_id: 'job-1',
      tenant_id: 'acme',
      call_id: callId,
      data: 1,
    };
    const outcomeOf = async (message_id: string, more: object = {}) => {
      peer.send({ ...frame, message_id, ...more });
      const ack = await peer.event('ack');
      expect(ack['message_id']).toBe(message_id);
      return ack;
    };
    expect(await outcomeOf('m-1')).toEqual({
      event: 'ack',
      message_id: 'm-1',
      outcome: 'applied',
      global_task_id: taskId,
    });
    expect(await outcomeOf('m-1')).toMatchObject({ outcome: 'duplicate' });
    expect(await outcomeOf('m-2', { data: 2 })).toMatchObject({ outcome: 'late' });
    expect(await outcomeOf('m-3', { call_id: undefined, task_id: 'ghost' })).toEqual({
      event: 'ack',
      message_id: 'm-3',
      outcome: 'unknown_task',
    });
    expect(await outcomeOf('m-4', { tenant_id: 'globex' })).toEqual({
      event: 'ack',
      message_id: 'm-4',
      outcome: 'unknown_task',
    });
    expect(await outcomeOf('m-5', { event: 'task_failed', data: {} })).toMatchObject({
      outcome: 'invalid',
      errors: [{ path: 'data.error', expected: expect.any(String), got: 'nothing' }],
    });
    expect(await outcomeOf('m-6', { service: 'embedding' })).toMatchObject({ outcome: 'forbidden' });
    expect(await running.ended(taskId)).toMatchObject({ result: 1 });
  });

  it('ahead of the response that names their job are held, and block no others', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const taskId = await running.submit('query', { later: 'job-2', gated: true });
    await running.call(0);
    const frame = { event: 'task_completed', service: 'query', task_id: 'job-2', tenant_id: 'acme', data: 1 };
    peer.send({ ...frame, message_id: 'early' });
    peer.send({ ...frame, message_id: 'behind', tenant_id: 'globex' });
    expect(await peer.event('ack')).toMatchObject({ message_id: 'behind', outcome: 'unknown_task' });
    running.open();
    expect(await peer.event('ack')).toMatchObject({
      message_id: 'early',
      outcome: 'applied',
      global_task_id: taskId,
    });
    expect(await running.ended(taskId)).toMatchObject({ result: 1 });
  });

  it('without a message_id get no ack, unless they are invalid', async () => {
    const running = await startServer();
    const peer = await connected(running);
    peer.send({ event: 'task_completed', service: 'query', task_id: 'ghost', tenant_id: 'acme', data: 1 });
    peer.send({ event: 'task_exploded', service: 'query', task_id: 'ghost', tenant_id: 'acme', data: 1 });
    expect(await peer.next()).toMatchObject({
      event: 'error',
      code: 'invalid_message',
      errors: expect.any(Array),
    });
    peer.send('{"event":');
    expect(await peer.next()).toMatchObject({ event: 'error', code: 'invalid_message' });
  });
});

describe('close codes', () => {
  it('1008 after ten invalid frames in a minute', async () => {
    const running = await startServer();
    const peer = await connected(running);
    for (let n = 0; n < 10; n += 1) peer.send('nonsense');
    expect(await peer.closed).toMatchObject({ code: 1008 });
    expect(peer.frames.filter((frame) => frame['event'] === 'error')).toHaveLength(10);
  });

  it('4403 after three forbidden frames in a minute', async () => {
    const running = await startServer();
    const peer = await connected(running, TOKENS.acmeOnly, 'ingestion');
    const frame = {
      event: 'task_completed',
      service: 'ingestion',
      task_id: 'x',
      tenant_id: 'globex',
      data: 1,
    };
    for (let n = 0; n < 3; n += 1) peer.send({ ...frame, message_id: `m-${n}` });
    expect(await peer.closed).toMatchObject({ code: 4403 });
    expect(peer.frames.filter((answer) => answer['outcome'] === 'forbidden')).toHaveLength(3);
  });

  it('1003 for binary, 1009 for too large', async () => {
    const running = await startServer();
    const [binary, large] = [await connected(running), await connected(running)];
    binary.socket.send(Buffer.from('{}'));
    large.send('x'.repeat(1_048_577));
    expect(await binary.closed).toMatchObject({ code: 1003 });
    expect(await large.closed).toMatchObject({ code: 1009 });
  });

  it('1007 for invalid UTF-8', async () => {
    const running = await startServer();
    const peer = await connected(running);
    peer.socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false });
    expect(await peer.closed).toMatchObject({ code: 1007 });
  });
});

describe('hub to service', () => {
  it('sends a cancel', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const { taskId, callId } = await openCall(running, 'job-5');
    await running.ask('POST', `/v1/tasks/${taskId}/cancel`, { body: { reason: 'changed my mind' } });
    expect(await peer.event('task_cancel')).toEqual({
      event: 'task_cancel',
      task_id: 'job-5',
      call_id: callId,
      global_task_id: taskId,
      tenant_id: 'acme',
      reason: 'changed my mind',
    });
  });

  it("sends the outcome of the service's gateway call", async () => {
    const running = await startServer();
    const [query, embedding] = [
      await connected(running),
      await connected(running, TOKENS.embedding, 'embedding'),
    ];
    const { body } = await running.ask('POST', '/internal/v1/services/query/query', {
      token: TOKENS.embedding,
      headers: { 'x-tenant-id': 'acme' },
      body: { input: { later: 'job-6' } },
    });
    query.send({
      event: 'task_completed',
      service: 'query',
      task_id: 'job-6',
      tenant_id: 'acme',
      data: { answer: 6 },
    });
    expect(await embedding.event('task_completed')).toMatchObject({
      task_id: body['job_id'],
      tenant_id: 'acme',
      data: { answer: 6 },
    });
  });
});
