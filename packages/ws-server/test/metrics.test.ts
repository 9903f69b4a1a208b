import { Orchestrator } from '@agent-orchestrator/core';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createIdentities, OrchestratorServer } from '../src/index.js';
import { IDENTITIES, KEYS, type RunningServer, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$/;

/** The samples of a text for Prometheus, by name and labels as they stand there; each metric has its type first. */
async function metricsOf(url: string): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`);
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of (await response.text()).split('\n')) {
    if (line.startsWith('# TYPE ')) {
      const [, , name = '', type = ''] = line.split(' ');
      types.set(name, type);
    }
    if (line === '' || line.startsWith('#')) continue;
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
    expect(Number.isFinite(Number(value)) || value === 'Nan', `a sample: ${line}`).toBe(true);
    const family = name.replace(/_(bucket|sum|count)$/, '');
    expect(
      types.has(name) || types.get(family) === 'histogram' || types.get(family) === 'summary',
      line,
    ).toBe(true);
    if (types.get(name) === 'counter') expect(name).toMatch(/_total$/);
    samples.set(name + labels, Number(value));
  }
  return samples;
}

async function connected(url: string, token: string): Promise<SocketPeer> {
  const peer = new SocketPeer(url, { authorization: `Bearer ${token}` });
  await peer.opened;
  return peer;
}

async function eventually(running: RunningServer, name: string, value: number): Promise<void> {
  await expect.poll(async () => (await metricsOf(running.url)).get(name)).toBe(value);
}

describe('GET /metrics', () => {
  it('reports progress without any tenant data', async () => {
    const clock = new ManualClock();
    const running = await startServer({}, { concurrency: 9, clock });
    await running.ended(await running.submit('echo', { secret: 'hush' }, { session_id: 'talk' }));
    await running.ended(await running.submit('broken'));
    await running.submit('workflow', { workflow: 'ghost' }).catch(() => undefined);
    const runAt = new Date(clock.now() + 10_000).toISOString();
    const later = await running.submit('echo', {}, { run_at: runAt });
    await clock.advance(11_000);
    await running.ended(later);
    const samples = await metricsOf(running.url);
    const info = [...samples.keys()].find((name) => name.startsWith('orchestrator_info'));
    expect(info).toMatch(/^orchestrator_info\{role="all",version="\d+\.\d+\.\d+"\}$/);
    const ended = (labels: string) => samples.get(`orchestrator_tasks_ended_total{${labels}}`);
    expect(ended('type="echo",outcome="completed",code=""')).toBe(2);
    expect(ended('type="broken",outcome="failed",code="workflow_error"')).toBe(1);
    expect(samples.get('orchestrator_task_wait_seconds_count{type="echo"}')).toBe(2);
    expect(samples.get('orchestrator_run_duration_seconds_count{type="broken"}')).toBe(1);
    expect(samples.get('orchestrator_queue_tasks{status="failed"}')).toBeGreaterThanOrEqual(1);
    expect(samples.get('orchestrator_queue_oldest_ready_seconds')).toBe(0);
    expect(samples.get('orchestrator_tenants{state="active"}')).toBe(1);
    expect(samples.get('orchestrator_storage_up')).toBe(1);
    expect(samples.get('orchestrator_storage_ping_seconds')).toBeGreaterThanOrEqual(0);
    expect(samples.get('orchestrator_worker_slots')).toBe(9);
    expect(samples.get('orchestrator_tasks_claimed_total')).toBeGreaterThanOrEqual(2);
    expect(samples.get('orchestrator_claims_total')).toBeGreaterThan(0);
    expect(samples.get('orchestrator_runs_total{end="completed"}')).toBe(2);
    expect(samples.get('orchestrator_timers_fired_total{kind="start"}')).toBe(1);
    expect(samples.get('orchestrator_runs_total{end="failed"}')).toBeGreaterThanOrEqual(1);
    expect(samples.get('orchestrator_worker_claim_age_seconds')).toBeLessThan(15);
    expect(samples.get('orchestrator_sweep_age_seconds')).toBeLessThan(15);
    expect(samples.get('process_cpu_seconds_total')).toBeGreaterThan(0);
    const text = await (await fetch(`${running.url}/metrics`)).text();
    for (const secret of ['acme', 'hush', 'talk', KEYS.acme]) expect(text).not.toContain(secret);
  });

  it('counts requests by route and status, for any path', async () => {
    const running = await startServer();
    await running.ask('GET', '/v1/tasks');
    await running.ask('GET', '/v1/tasks', { token: 'ghost' });
    await running.ask('GET', '/v1/tasks/not-an-id');
    await running.ask('DELETE', '/v1/tasks');
    for (const n of [1, 2, 3]) await running.ask('GET', `/nothing/${n}`);
    const samples = await metricsOf(running.url);
    const requests = (labels: string) => samples.get(`orchestrator_http_requests_total{${labels}}`);
    expect(requests('method="GET",route="/v1/tasks",status="200"')).toBe(1);
    expect(requests('method="GET",route="/v1/tasks",status="401"')).toBe(1);
    expect(requests('method="GET",route="/v1/tasks/{task_id}",status="400"')).toBe(1);
    expect(requests('method="other",route="/v1/tasks",status="405"')).toBe(1);
    expect(requests('method="any",route="none",status="404"')).toBe(3);
    const duration = 'orchestrator_http_request_duration_seconds';
    const labels = 'method="GET",route="/v1/tasks"';
    expect(samples.get(`${duration}_count{${labels}}`)).toBe(2);
    expect(samples.get(`${duration}_bucket{le="+Inf",${labels}}`)).toBe(2);
  });

  it('counts sockets, frames, events and acks', async () => {
    const running = await startServer();
    const service = await connected(`${running.url}/ws/task_updates`, TOKENS.query);
    const client = await connected(`${running.url}/ws/client`, KEYS.acme);
    await eventually(running, 'orchestrator_sockets{kind="client"}', 1);
    await eventually(running, 'orchestrator_sockets{kind="service"}', 1);
    client.send({ action: 'subscribe', id: 'all', topic: { tenant: true } });
    await client.event('subscribed');
    await running.ended(await running.submit('echo'));
    await client.event('task_completed');
    service.send({ event: 'nonsense', message_id: 'one' });
    await service.event('ack');
    const samples = await metricsOf(running.url);
    expect(samples.get('orchestrator_socket_frames_total{kind="client"}')).toBe(1);
    expect(samples.get('orchestrator_socket_frames_total{kind="service"}')).toBe(1);
    expect(samples.get('orchestrator_socket_events_total')).toBe(3);
    expect(samples.get('orchestrator_socket_acks_total{outcome="invalid"}')).toBe(1);
    expect(samples.get('orchestrator_notifications_total{outcome="invalid"}')).toBe(1);
    client.socket.close();
    service.socket.close();
    await eventually(running, 'orchestrator_sockets{kind="client"}', 0);
    await eventually(running, 'orchestrator_sockets{kind="service"}', 0);
  });

  it('is of one server: another in the same process has its own', async () => {
    const [one, other] = [await startServer(), await startServer()];
    await one.ask('GET', '/v1/tasks');
    const name = 'orchestrator_http_requests_total{method="GET",route="/v1/tasks",status="200"}';
    expect((await metricsOf(one.url)).get(name)).toBe(1);
    expect((await metricsOf(other.url)).get(name)).toBeUndefined();
  });
});

describe('a server with serves: health', () => {
  it('serves those three routes, without identities, and no sockets', async () => {
    const orchestrator = new Orchestrator({ role: 'worker' });
    const server = new OrchestratorServer(orchestrator, { serves: 'health' });
    onTestFinished(() => server.stop());
    const { url } = await server.listen(0);
    for (const path of ['/health/live', '/health/ready', '/metrics']) {
      expect([path, (await fetch(url + path)).status]).toEqual([path, 200]);
    }
    expect([...(await metricsOf(url)).keys()].join(' ')).toContain('orchestrator_info{role="worker"');
    for (const path of ['/v1/tasks', '/v1/chat', '/ws/client', '/internal/v1/notifications']) {
      const response = await fetch(url + path, { headers: { authorization: `Bearer ${KEYS.acme}` } });
      expect([path, response.status]).toEqual([path, 404]);
      expect(await response.json()).toMatchObject({ code: 'not_found' });
    }
    await expect(connected(`${url}/ws/client`, KEYS.acme)).rejects.toThrow('404');
  });

  it('has no worker metrics without a worker', async () => {
    const server = new OrchestratorServer(new Orchestrator({ role: 'api' }), {
      identities: createIdentities(IDENTITIES),
    });
    onTestFinished(() => server.stop());
    const { url } = await server.listen(0);
    const names = [...(await metricsOf(url)).keys()];
    expect(names.some((name) => name.startsWith('orchestrator_worker'))).toBe(false);
    expect(names).toContain('orchestrator_sweeps_total');
  });

  it('is identified by its role', () => {
    expect(() => new OrchestratorServer(new Orchestrator(), {})).toThrow('identities');
    expect(() => new OrchestratorServer(new Orchestrator(), { serves: 'some' as 'health' })).toThrow(
      'serves',
    );
  });
});
