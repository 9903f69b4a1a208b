import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemoryStorage, Orchestrator } from '@agent-orchestrator/core';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createIdentities, OrchestratorServer } from '../src/index.js';
import { CallWindow } from '../src/metrics/call-window.js';
import { OverviewSampler } from '../src/metrics/overview-sampler.js';
import { ServiceBoard } from '../src/metrics/service-board.js';
import { IDENTITIES, type RunningServer, startServer, TOKENS } from './running-server.js';
import { SseReader } from './sse-reader.js';

const get = async (running: RunningServer, path: string) =>
  running.ask('GET', `/admin/v1${path}`, { token: TOKENS.operator });

async function follow(running: RunningServer): Promise<SseReader> {
  return new SseReader(await running.fetch('GET', '/admin/v1/overview', { token: TOKENS.operator }));
}

describe('GET /admin/v1/overview', () => {
  it('sends the past of this process, then a snapshot at once and every two seconds', async () => {
    const running = await startServer();
    await running.orchestrator.tenants.configure('acme', { maxRunning: 1 });
    await running.ended(await running.submit('echo'));
    await running.ended(await running.submit('broken', {}, { max_attempts: 1 }));
    await running.orchestrator.tenants.pause('globex');
    const stream = await follow(running);
    expect(await stream.next()).toMatchObject({
      event: 'overview_history',
      data: { interval_ms: 10_000, items: expect.any(Array) },
    });
    const first = await stream.next();
    expect(first).toMatchObject({
      event: 'overview',
      data: {
        counts: { pending: 0, processing: 0, completed: 1, failed: 1, cancelled: 0 },
        ...{ ready: 0, running: 0, tenants: { active: 1, paused: 1 }, at_limit: [], workers: 1 },
        partial: false,
        services: [{ name: 'agent_execution' }, { name: 'embedding' }, { name: 'query' }],
      },
    });
    const second = await stream.next();
    expect(second?.data).toMatchObject({ rates: { submitted_per_s: 0, ended_per_s: 0 } });
    expect(Date.parse(String(second?.data['at'])) - Date.parse(String(first?.data['at']))).toBeGreaterThan(
      1_000,
    );
    const later = await follow(running);
    expect((await later.next())?.data['items']).toHaveLength(1);
  });

  it('ends with the server', async () => {
    const running = await startServer();
    const stream = await follow(running);
    await stream.next();
    await stream.next();
    await running.server.stop();
    expect(await stream.next()).toBeUndefined();
  });
});

describe('the sampler of overviews', () => {
  function sampled() {
    const clock = new ManualClock();
    const orchestrator = new Orchestrator({ storage: new MemoryStorage({ clock }), clock });
    const read = vi.spyOn(orchestrator.admin, 'overview');
    const sampler = new OverviewSampler(orchestrator, new ServiceBoard(orchestrator, clock), clock);
    onTestFinished(() => sampler.stop());
    return { clock, sampler, read };
  }

  it('keeps an hour at ten seconds and no more, and reads once however many follow', async () => {
    const { clock, sampler, read } = sampled();
    sampler.start();
    await clock.advance(2 * 3_600_000);
    expect(sampler.history).toHaveLength(360);
    const [first, second] = sampler.history;
    expect(Date.parse(second?.at ?? '') - Date.parse(first?.at ?? '')).toBe(10_000);
    read.mockClear();
    const seen: unknown[] = [];
    const ends = Array.from({ length: 50 }, () => sampler.follow((report) => seen.push(report)));
    await clock.advance(10_000);
    expect(read.mock.calls.length).toBeLessThanOrEqual(6);
    expect(seen.length).toBe(50 * read.mock.calls.length);
    for (const end of ends) end();
    read.mockClear();
    await clock.advance(60_000);
    expect(read.mock.calls.length).toBeLessThanOrEqual(7);
    await sampler.stop();
    read.mockClear();
    await clock.advance(60_000);
    expect(read).not.toHaveBeenCalled();
  });

  it('has no snapshot while the storage does not answer, and goes on afterwards', async () => {
    const { clock, sampler, read } = sampled();
    const seen: unknown[] = [];
    sampler.start();
    read.mockRejectedValueOnce(new Error('away'));
    sampler.follow((report) => seen.push(report));
    await clock.advance(0);
    expect(seen).toEqual([]);
    await clock.advance(2_000);
    expect(seen).toHaveLength(1);
  });
});

describe('GET /admin/v1/services', () => {
  it('shows calls, errors, latency and what is in flight', async () => {
    const running = await startServer();
    running.orchestrator.workflow('asking', (ctx) => ctx.call('query', 'query', {}));
    running.orchestrator.workflow('failing', (ctx) => ctx.call('ticking', 'tick', {}));
    running.orchestrator.service('ticking', { run: () => Promise.reject(new Error('no')) });
    await running.ended(await running.submit('asking'));
    await running.ended(await running.submit('failing', {}, { max_attempts: 1 }));
    const { items } = (await get(running, '/services')).body as { items: Record<string, unknown>[] };
    expect(items.map(({ name }) => name)).toEqual(['agent_execution', 'embedding', 'query', 'ticking']);
    expect(items[2]).toMatchObject({
      ...{ in: 'process', breaker: 'closed', open_tenant_breakers: 0, in_flight: 0 },
      ...{ calls: 1, errors: 0, p95_ms: expect.any(Number), window_s: 300 },
    });
    expect(items[3]).toMatchObject({ errors: expect.any(Number), in_flight: 0 });
    expect(items[3]?.['errors']).toBeGreaterThanOrEqual(1);
    expect((await get(running, '/services?name=query')).body['items']).toHaveLength(1);
    expect((await get(running, '/services?ping=yes')).status).toBe(400);
  });

  it('asks services whether they answer, without their breakers', async () => {
    const running = await startServer();
    const other = createServer((_, response) => response.writeHead(404).end('no'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;
    running.orchestrator.service('up', { url: `http://127.0.0.1:${port}` });
    running.orchestrator.service('down', { url: 'http://127.0.0.1:1' });
    const pinged = (await get(running, '/services?ping=true')).body['items'];
    const pings = new Map((pinged as { name: string; ping: object }[]).map(({ name, ping }) => [name, ping]));
    expect(pings.get('up')).toMatchObject({
      ...{ reachable: true, status: 404, latency_ms: expect.any(Number) },
    });
    expect(pings.get('down')).toMatchObject({
      reachable: false,
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    expect(pings.get('query')).toEqual({ reachable: true, detail: 'runs in this process' });
    expect(running.orchestrator.stats().breakers).toEqual({});
    const unknown = await get(running, '/services?ping=true&name=nothing');
    expect([unknown.status, unknown.body['code']]).toEqual([422, 'unknown_service']);
  });
});

describe('GET /admin/v1/tenants/{tenant_id}/tasks/{task_id}/timeline', () => {
  it('has attempts and steps with their times', async () => {
    const running = await startServer();
    running.orchestrator.workflow('three', async (ctx) => {
      await ctx.call('query', 'query', {});
      await ctx.run('own', () => 1);
      await ctx.run('bad', () => Promise.reject(new Error('no')));
    });
    const id = await running.submit('three', {}, { max_attempts: 1 });
    await running.ended(id);
    const { body } = await get(running, `/tenants/acme/tasks/${id}/timeline`);
    const iso = expect.stringMatching(/Z$/);
    expect(body).toMatchObject({
      task: { task_id: id },
      attempts: [{ attempt: 1, started_at: iso }],
      ...{ wait_ms: expect.any(Number), run_ms: expect.any(Number), partial: false },
      steps: [
        { name: 'query.query', kind: 'call', tries: 1, state: 'completed', began_at: iso, ended_at: iso },
        { name: 'run own', kind: 'run', state: 'completed', duration_ms: expect.any(Number) },
        { name: 'run bad', state: 'failed', error_code: expect.any(String) },
      ],
    });
  });
});

describe('a window of calls', () => {
  it('forgets what is older than five minutes, and knows the latency to a fifth', () => {
    const window = new CallWindow();
    for (let n = 0; n < 100; n += 1) window.add(n * 100, n < 90 ? 10 : 1_000, n % 10 === 0);
    const now = window.sums(20_000);
    expect([now.calls, now.errors]).toEqual([100, 10]);
    expect(now.p95_ms).toBeGreaterThanOrEqual(1_000);
    expect(now.p95_ms).toBeLessThanOrEqual(1_200);
    expect(window.sums(400_000)).toEqual({ calls: 0, errors: 0 });
    window.add(300_000, 1e9, true);
    expect(window.sums(300_000)).toMatchObject({ calls: 1, errors: 1 });
  });
});

it('a stopped server leaves no listener of the orchestrator behind', async () => {
  const storage = new MemoryStorage();
  const orchestrator = new Orchestrator({ storage });
  const on = vi.spyOn(orchestrator, 'on');
  let listening = 0;
  const original = on.getMockImplementation() ?? Orchestrator.prototype.on.bind(orchestrator);
  on.mockImplementation((event, listener) => {
    listening += 1;
    const end = original(event, listener);
    return () => {
      listening -= 1;
      end();
    };
  });
  const servers = [0, 1].map(
    () => new OrchestratorServer(orchestrator, { identities: createIdentities(IDENTITIES) }),
  );
  expect(listening).toBeGreaterThan(0);
  for (const server of servers) await server.stop();
  expect(listening).toBe(0);
  await orchestrator.stop();
});
