import { accepted, InProcessTransport } from '@agent-orchestrator/core';
import { describe, expect, it } from 'vitest';
import { type Ack, HttpTransport } from '../src/index.js';
import { RealHub, TOKEN } from './real-hub.js';
import { about, next, overSocket, service } from './service.js';
import { TcpRelay } from './tcp-relay.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function count(acks: readonly Ack[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of acks) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

describe('a service at the real hub', () => {
  it('reports progress, results and failures', async () => {
    const hub = await RealHub.start();
    const query = overSocket(hub.url);
    await query.ready();
    const [done, failed] = [await hub.track('job-1'), await hub.track('job-2')];
    const acks = await Promise.all([
      query.notifyTaskStatus({ ...about('job-1'), status: 'on it', details: { percent: 5 } }),
      query.notifyTaskCompletion({ ...about('job-1'), result: null }),
      query.notifyTaskFailure({ ...about('job-2'), error: new RangeError('too far') }),
      query.notifyTaskCompletion({ ...about('ghost'), result: 1 }),
    ]);
    expect(acks.map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'applied', 'unknown_task']);
    expect(acks[0]?.global_task_id).toBe(done);
    expect(await hub.acme.tasks.get(done)).toMatchObject({ status: 'completed', result: null });
    expect(await hub.acme.tasks.get(failed)).toMatchObject({
      status: 'failed',
      error: { message: expect.stringContaining('too far') },
    });
    expect((await hub.events(done)).map(({ event }) => event)).toContain('task_status_update');
  });

  it('receives a cancel, whatever its listeners throw', async () => {
    const hub = await RealHub.start();
    const query = overSocket(hub.url);
    query.on('task_cancel', () => {
      throw new Error('a listener with a mistake');
    });
    query.on('task_cancel', () => Promise.reject(new Error('another')));
    await query.ready();
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const taskId = await hub.track('job-1');
    const heard = next(query, 'task_cancel');
    await hub.acme.tasks.cancel(taskId, { reason: 'changed my mind' });
    expect(await heard).toMatchObject({ task_id: 'job-1', reason: 'changed my mind' });
    expect(await warned).toMatchObject({ name: 'TaskNotifierWarning' });
    expect(await query.notifyTaskCompletion({ ...about('ghost'), result: 1 })).toMatchObject({
      outcome: 'unknown_task',
    });
  });

  it('receives the outcomes of its gateway calls on its connection', async () => {
    const hub = await RealHub.start();
    const query = overSocket(hub.url);
    const { connectionId = '' } = await next(query, 'connected');
    const { orchestrator } = hub;
    orchestrator.service('embedding', { run: () => accepted('job-9') });
    const embedding = service(new InProcessTransport(orchestrator.hub('embedding')), {
      serviceName: 'embedding',
    });
    const to = { service: 'embedding', operation: 'embed', input: {}, reply_to: connectionId };
    const asked = await orchestrator.gateway.request(
      { from: { service: 'query' }, tenant_id: 'acme', ...to },
      { signal: new AbortController().signal },
    );
    const outcome = next(query, 'outcome');
    await embedding.notifyTaskCompletion({ ...about('job-9'), result: [1] });
    if (asked.answer !== 'job') throw new Error('expected a job, got a result');
    expect(await outcome).toMatchObject({ event: 'task_completed', task_id: asked.job_id, data: [1] });
  });

  it('reports a refused token, and is admitted once it is accepted', async () => {
    const hub = await RealHub.start();
    const query = overSocket(hub.url, { token: 'token-of-tomorrow', refusedRetryMs: 200 });
    const acked = query.notifyTaskCompletion({ ...about('ghost'), result: 1 });
    let refusals = 0;
    query.on('refused', () => (refusals += 1));
    const { error, retryInMs } = await next(query, 'refused');
    expect(error).toMatchObject({ code: 'unauthorized', message: 'the service token is not known' });
    expect(retryInMs).toBeGreaterThanOrEqual(100);
    hub.identities.replace({ serviceTokens: [{ service: 'query', token: 'token-of-tomorrow' }] });
    expect(await acked).toMatchObject({ outcome: 'unknown_task' });
    expect(refusals).toBe(1);
  });

  it('is refused when its token is revoked while it is connected', async () => {
    const hub = await RealHub.start({ heartbeatMs: 300 });
    const query = overSocket(hub.url);
    await query.ready();
    hub.identities.replace({ serviceTokens: [{ service: 'query', token: 'token-of-tomorrow' }] });
    expect((await next(query, 'refused')).error).toMatchObject({ code: 'unauthorized' });
  });

  it('delivers more than the hub accepts in a second, without a disconnect', async () => {
    const hub = await RealHub.start();
    const query = overSocket(hub.url);
    const jobs = Array.from({ length: 1_600 }, (_, n) => `job-${n}`);
    for (const job of jobs) await hub.track(job);
    await query.ready();
    let outages = 0;
    query.on('disconnected', () => (outages += 1));
    const acks = jobs.map((job) => query.notifyTaskCompletion({ ...about(job), result: job }));
    expect(count(await Promise.all(acks))).toEqual({ applied: 1_600 });
    expect(outages).toBe(0);
  });

  it('loses nothing when the hub is killed repeatedly, and keeps each job in order', async () => {
    const hub = await RealHub.start();
    const query = overSocket(hub.url);
    const jobs = Array.from({ length: 100 }, (_, n) => `job-${n}`);
    const tasks: string[] = [];
    for (const job of jobs) tasks.push(await hub.track(job));
    const acks: Promise<Ack>[] = [];
    const report = (job: string, round: number) =>
      acks.push(
        round < 9
          ? query.notifyTaskStatus({ ...about(job), status: `step ${round}` })
          : query.notifyTaskCompletion({ ...about(job), result: job }),
      );
    for (let round = 0; round < 10; round += 1) {
      for (const job of jobs.slice(0, 50)) {
        report(job, round);
        if (acks.length % 10 === 0) await turn();
      }
      await query.ready();
      // The hub has no turn before it is killed: these are lost on their way.
      for (const job of jobs.slice(50)) report(job, round);
      if (round % 2 === 1) continue;
      const lost = next(query, 'disconnected');
      const killed = hub.kill();
      expect(query.pending).toBeGreaterThanOrEqual(50);
      await Promise.all([lost, killed]);
      await hub.start();
    }
    const counts = count(await Promise.all(acks));
    expect(acks).toHaveLength(1_000);
    expect(query.pending).toBe(0);
    expect(Object.keys(counts).toSorted().join()).toMatch(/^applied(,duplicate)?$/);
    for (const [n, taskId] of tasks.entries()) {
      const events = await hub.events(taskId);
      const steps = events
        .filter(({ event }) => event === 'task_status_update')
        .map(({ data }) => (data as { status: string }).status);
      expect(steps).toEqual([...new Set(steps)].toSorted());
      expect(steps.length).toBeGreaterThan(0);
      expect(events.at(-1)).toMatchObject({ event: 'task_completed', data: `job-${n}` });
    }
  });

  it('resends what was accepted but not acknowledged, and the hub counts it once', async () => {
    const hub = await RealHub.start();
    const line = await TcpRelay.to(hub.port);
    const query = overSocket(line.url, {}, { window: 1_000 });
    const jobs = Array.from({ length: 1_000 }, (_, n) => `job-${n}`);
    for (const job of jobs) await hub.track(job);
    await query.ready();
    line.swallow.fromHub = true;
    const acks = jobs.map((job) => query.notifyTaskCompletion({ ...about(job), result: job }));
    const { registry } = hub.orchestrator;
    while ((await registry.counts({ tenantId: 'acme' })).completed < 500) await turn();
    line.swallow.fromHub = false;
    line.cut();
    const counts = count(await Promise.all(acks));
    expect(counts['duplicate']).toBeGreaterThanOrEqual(500);
    expect((counts['duplicate'] ?? 0) + (counts['applied'] ?? 0)).toBe(1_000);
    expect(await registry.counts({ tenantId: 'acme' })).toMatchObject({ completed: 1_000, processing: 0 });
  });

  it('reconnects when the stopped hub has requested', async () => {
    const hub = await RealHub.start();
    const query = overSocket(hub.url);
    await query.ready();
    const lost = next(query, 'disconnected');
    await hub.stop();
    const { reason, retryInMs } = await lost;
    const { retry_after_ms: asked } = JSON.parse(reason) as { retry_after_ms: number };
    expect(retryInMs).toBeGreaterThanOrEqual(asked);
    await hub.start();
    await query.ready();
  });
});

describe('a half-open link', () => {
  it('is detected by a missing pong, and replaced', async () => {
    const hub = await RealHub.start();
    const line = await TcpRelay.to(hub.port);
    const query = overSocket(line.url, { pingMs: 30, pongMs: 1_500 });
    await query.ready();
    const taskId = await hub.track('job-1');
    line.swallow = { toHub: true, fromHub: true };
    const lost = next(query, 'disconnected');
    const acked = query.notifyTaskCompletion({ ...about('job-1'), result: 42 });
    expect((await lost).reason).toBe('no pong in 1500 ms');
    expect(line.swallowed).toBeGreaterThan(0);
    expect(query.pending).toBe(1);
    line.swallow = { toHub: false, fromHub: false };
    expect(await acked).toMatchObject({ outcome: 'applied', global_task_id: taskId });
  });

  it('is detected while connecting', async () => {
    const hub = await RealHub.start();
    const line = await TcpRelay.to(hub.port);
    line.swallow = { toHub: true, fromHub: true };
    const query = overSocket(line.url, { helloMs: 500 });
    expect((await next(query, 'disconnected')).reason).toBe('no answer to the hello in 500 ms');
    line.swallow = { toHub: false, fromHub: false };
    await query.ready();
    expect(line.dialled).toBeGreaterThanOrEqual(2);
  });
});

describe('HttpTransport at the real hub', () => {
  it('gets the ack as the response', async () => {
    const hub = await RealHub.start();
    const query = service(new HttpTransport({ url: hub.url, token: TOKEN }));
    await query.ready();
    const taskId = await hub.track('job-1');
    const steps = ['a', 'b', 'c'].map((status) => query.notifyTaskStatus({ ...about('job-1'), status }));
    const done = query.notifyTaskCompletion({ ...about('job-1'), result: { answer: 42 } });
    expect(await done).toEqual({
      event: 'ack',
      message_id: expect.any(String),
      outcome: 'applied',
      global_task_id: taskId,
      errors: undefined,
      retry_after_ms: undefined,
    });
    expect(count(await Promise.all(steps))).toEqual({ applied: 3 });
    expect(await hub.acme.tasks.get(taskId)).toMatchObject({ status: 'completed', result: { answer: 42 } });
  });

  it('survives a killed hub', async () => {
    const hub = await RealHub.start();
    const query = service(new HttpTransport({ url: hub.url, token: TOKEN }));
    const jobs = Array.from({ length: 200 }, (_, n) => `job-${n}`);
    for (const job of jobs) await hub.track(job);
    const acks = jobs.map((job) => query.notifyTaskCompletion({ ...about(job), result: job }));
    const lost = next(query, 'disconnected');
    await hub.kill();
    await lost;
    await hub.start();
    const counts = count(await Promise.all(acks));
    expect((counts['applied'] ?? 0) + (counts['duplicate'] ?? 0)).toBe(200);
    const { registry } = hub.orchestrator;
    expect(await registry.counts({ tenantId: 'acme' })).toMatchObject({ completed: 200 });
  });

  it('reports a refused token', async () => {
    const hub = await RealHub.start();
    const query = service(new HttpTransport({ url: hub.url, token: 'ghost' }));
    const refused = next(query, 'refused');
    void query.notifyTaskCompletion({ ...about('job-1'), result: 1 });
    expect((await refused).error).toMatchObject({ code: 'unauthorized' });
    expect((await refused).retryInMs).toBeGreaterThanOrEqual(30_000);
    await expect(query.ready()).rejects.toMatchObject({ code: 'unauthorized' });
    expect(query.pending).toBe(1);
  });
});
