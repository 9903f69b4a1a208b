import type { Ack } from '@agent-orchestrator/notifier';
import { expect, it } from 'vitest';
import { TcpRelay } from '../../../packages/notifier/test/tcp-relay.js';
import { EventCollector } from '../event-collector.js';
import type { FaultTable } from '../fault-table.js';
import { KillableHub, notifierOf, turn, until } from '../killable-hub.js';
import { reply, ScriptedService } from '../scripted-service.js';

const HOLE = { toHub: true, fromHub: true };
const WHOLE = { toHub: false, fromHub: false };
const TIMES = { heartbeatMs: 500, pingMs: 100, pongMs: 1_000 } as const;

function outcomes(acks: readonly Ack[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of acks) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
}

async function halfOpenService(table: FaultTable): Promise<void> {
  const { heartbeatMs, pingMs, pongMs } = TIMES;
  const hub = await KillableHub.start({ server: { heartbeatMs } });
  const relay = await TcpRelay.to(hub.port);
  const query = notifierOf('query', relay.url, { pingMs, pongMs });
  const client = await new EventCollector(hub.url).start();
  await query.ready();
  const jobs = Array.from({ length: 50 }, (_, n) => `job-${n}`);
  const tasks: string[] = [];
  for (const job of jobs) tasks.push(await hub.track(job));
  const acks: Promise<Ack>[] = [];
  const report = (job: string) =>
    acks.push(query.notifyTaskCompletion({ task_id: job, tenant_id: 'acme', result: job }));
  for (const job of jobs.slice(0, 20)) report(job);
  await acks[0];
  const lost = new Promise<string>((resolve) => query.on('disconnected', ({ reason }) => resolve(reason)));
  const before = hub.connections;
  relay.swallow = { ...HOLE };
  const at = performance.now();
  for (const job of jobs.slice(20)) report(job);
  expect(await lost).toBe(`no pong in ${pongMs} ms`);
  const foundMs = Math.round(performance.now() - at);
  // The hub detects it too: it closes a silent connection.
  await until(() => hub.connections < before);
  relay.swallow = { ...WHOLE };
  const seen = outcomes(await Promise.all(acks));
  expect(seen).toMatch(/^50 applied$|^\d+ applied, \d+ duplicate$/);
  for (const id of tasks) await client.final(id);
  expect([client.violations, client.finals.size, query.pending]).toEqual([[], 50, 0]);
  table.add({
    row: 14,
    fault: 'half-open link service -> hub',
    expected: `found within ping + pong (${pingMs} + ${pongMs} ms) on both sides, outbox sent again`,
    seen: `${seen}; 0 of 50 lost`,
    detail: `found after ${foundMs} ms`,
  });
}

async function halfOpenClient(table: FaultTable): Promise<void> {
  const { heartbeatMs } = TIMES;
  const hub = await KillableHub.start({ server: { heartbeatMs } });
  const relay = await TcpRelay.to(hub.port);
  const client = await new EventCollector(relay.url.replace('ws', 'http')).start();
  const query = notifierOf('query', hub.url);
  await query.ready();
  const tasks: string[] = [];
  const complete = async (from: number, to: number) => {
    for (let n = from; n < to; n += 1) {
      tasks.push(await hub.track(`job-${n}`));
      await query.notifyTaskCompletion({ task_id: `job-${n}`, tenant_id: 'acme', result: n });
    }
  };
  await complete(0, 10);
  await client.final(tasks[9] ?? '');
  const before = hub.connections;
  relay.swallow = { ...HOLE };
  const at = performance.now();
  await complete(10, 20);
  await until(() => hub.connections < before);
  const foundMs = Math.round(performance.now() - at);
  await complete(20, 30);
  expect(client.finals.size).toBe(10);
  relay.swallow = { ...WHOLE };
  relay.cut();
  for (const id of tasks) await client.final(id);
  expect([client.violations, client.gaps, client.connected]).toEqual([[], 0, 2]);
  table.add({
    row: 14,
    fault: 'half-open link hub -> client',
    expected: `cut off at the second heartbeat (${heartbeatMs} ms each), client resumes by cursor`,
    seen: `${client.finals.size} of 30 final events, each once, ${client.gaps} gaps`,
    detail: `found after ${foundMs} ms`,
  });
}

const KILLS = 10;
const TASKS_PER_ROUND = 40;

async function killedHub(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start();
  const query = notifierOf('query', hub.url);
  const acks: Promise<Ack>[] = [];
  let acknowledged = 0;
  const service = await ScriptedService.start(({ call }, response) => {
    reply(response, 202, { job_id: call.call_id });
    const about = { task_id: call.call_id, tenant_id: call.tenant_id };
    const reports = [
      query.notifyTaskStatus({ ...about, status: 'on it' }),
      query.notifyTaskStatus({ ...about, status: 'almost' }),
      query.notifyTaskCompletion({ ...about, result: call.input }),
    ];
    for (const each of reports) void each.then(() => (acknowledged += 1));
    acks.push(...reports);
  });
  hub.orchestrator.service('query', { url: service.url() });
  const client = await new EventCollector(hub.url).start();
  const tasks: string[] = [];
  const submit = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      const { task_id: id } = await hub.acme.tasks.submit({ type: 'query', payload: tasks.length });
      tasks.push(id);
    }
  };
  for (let round = 0; round < KILLS; round += 1) {
    const [base, lost] = [acknowledged, new Promise((resolve) => query.on('disconnected', resolve))];
    await submit(TASKS_PER_ROUND / 2);
    await until(() => acknowledged >= base + TASKS_PER_ROUND / 4);
    await submit(TASKS_PER_ROUND / 4);
    await turn();
    await Promise.all([hub.kill(), lost]);
    await submit(TASKS_PER_ROUND / 4);
    await hub.revive();
    await query.ready();
  }
  const seen = outcomes(await Promise.all(acks));
  for (const [n, id] of tasks.entries()) expect((await client.final(id)).data).toBe(n);
  expect(client.violations).toEqual([]);
  expect(seen).toMatch(/^\d+ applied(, \d+ duplicate)?$/);
  expect(acks.length).toBe(3 * tasks.length);
  table.add({
    row: 15,
    fault: `hub killed ${KILLS} times under a stream of notifications`,
    expected: 'each event once or a gap frame, nothing acknowledged is lost',
    seen: `${client.count} events each once, ${client.gaps} gaps, ${client.connected} connections`,
    detail: `${acks.length} notifications: ${seen}; 0 lost`,
  });
}

const KEPT = 50;
const MISSED = 100;

/** More events occur during the outage than are kept. */
async function missedTooMuch(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start({ limits: { maxEvents: KEPT } });
  const client = await new EventCollector(hub.url).start();
  const before = await hub.track('before');
  await client.until(() => client.events.has(before));
  await hub.kill();
  for (let n = 0; n < MISSED; n += 1) await hub.track(`missed-${n}`);
  await hub.revive();
  await client.until(() => client.gaps > 0);
  const after = await hub.track('after');
  await client.until(() => client.events.has(after));
  const counts = (client.lastGap?.['snapshot'] as { counts?: Record<string, number> } | undefined)?.counts;
  expect(counts).toMatchObject({ processing: MISSED + 1 });
  expect([client.gaps, client.violations]).toEqual([1, []]);
  table.add({
    row: 15,
    fault: `hub away while ${MISSED} tasks begin, ${KEPT} events are kept`,
    expected: 'a gap frame with the state, then each event once',
    seen: `${client.gaps} gap frame, ${counts?.['processing']} tasks in its snapshot`,
    detail: `${client.count} events beside it`,
  });
}

export function lostLinks(table: FaultTable): void {
  it('14: a half-open link of a service is found, and the outbox sent again', () => halfOpenService(table));
  it('14: a half-open link of a client is found, and the client resumes', () => halfOpenClient(table));
  it('15: a hub killed ten times loses no notification', () => killedHub(table));
  it('15: a client that has missed more than the kept events receives a gap', () => missedTooMuch(table));
}
