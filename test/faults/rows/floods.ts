import { expect, it } from 'vitest';
import { SocketPeer } from '../../../packages/ws-server/test/socket-peer.js';
import { EventCollector } from '../event-collector.js';
import type { FaultTable } from '../fault-table.js';
import { KEYS, KillableHub, notifierOf, TOKENS, until } from '../killable-hub.js';
import { growth, heldMiB } from '../memory.js';
import { reply, ScriptedService } from '../scripted-service.js';

const BOUND_MIB = 64;

async function flooding(hub: KillableHub): Promise<SocketPeer> {
  const peer = new SocketPeer(`${hub.url}/ws/task_updates`);
  await peer.opened;
  peer.send({ service_token: TOKENS.query, service_name: 'query' });
  await peer.next();
  return peer;
}

const FRAMES = 10_000;
/** Frames that one read of the socket may add. */
const FRAMES_PER_READ = 500;
/** Capacity of a connection's token bucket. */
const BURST = 5_000;

/** Another service of the same tenant reports, and another tenant's tasks run. */
async function workBeside(hub: KillableHub, count: number): Promise<void> {
  const embedding = notifierOf('embedding', hub.url);
  const client = await new EventCollector(hub.url, 'globex').start();
  const tasks: string[] = [];
  for (let n = 0; n < count; n += 1) {
    await hub.track(`beside-${n}`, 'embedding');
    const done = { task_id: `beside-${n}`, tenant_id: 'acme', result: n };
    expect((await embedding.notifyTaskCompletion(done)).outcome).toBe('applied');
    tasks.push(await hub.submit('query', { n }, {}, KEYS.globex));
  }
  for (const id of tasks) expect((await client.final(id)).event).toBe('task_completed');
  expect(client.violations).toEqual([]);
}

async function floodOfService(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start();
  const service = await ScriptedService.start((_, response) => reply(response, 200, { result: 'done' }));
  hub.orchestrator.service('query', { url: service.url() });
  const taskId = await hub.track('flood');
  const peer = await flooding(hub);
  const before = heldMiB();
  const at = performance.now();
  const about = { event: 'task_status_update', service: 'query', task_id: 'flood', tenant_id: 'acme' };
  const flood = (async () => {
    for (let n = 0; n < FRAMES; n += 1) {
      peer.send({ ...about, message_id: `m-${n}`, data: { status: `step ${n}`, details: 'x'.repeat(200) } });
      if (n % 200 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  })();
  await Promise.all([flood, workBeside(hub, 50)]);
  await until(() => peer.frames.length === FRAMES + 1);
  const seconds = (performance.now() - at) / 1000;
  const count = (outcome: string) => peer.frames.filter((ack) => ack['outcome'] === outcome).length;
  const applied = count('applied');
  const grown = heldMiB() - before;
  expect(applied).toBe(FRAMES);
  expect(applied).toBeLessThanOrEqual(BURST + 500 * seconds + FRAMES_PER_READ);
  expect(grown).toBeLessThan(BOUND_MIB);
  expect((await hub.acme.tasks.get(taskId)).status).toBe('processing');
  table.add({
    row: 20,
    fault: `one service sends ${FRAMES} frames at once`,
    expected: 'not read beyond 500/s; another service and tenant are served',
    seen: `${applied} applied; 50 of 50 notifications and 50 of 50 tasks beside it`,
    detail: `${Math.round(FRAMES / seconds)} frames/s, ${growth(grown)}`,
  });
}

/** Waits until all are applied: each is an event of the task, besides its first two. */
async function appliedSteps(hub: KillableHub, taskId: string): Promise<number> {
  const begun = 2;
  while ((await hub.acme.tasks.get(taskId)).rev < FRAMES + begun)
    await new Promise((go) => setTimeout(go, 50));
  return (await hub.acme.tasks.get(taskId)).rev - begun;
}

async function floodWithoutIds(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start();
  const taskId = await hub.track('flood');
  const peer = await flooding(hub);
  const about = { event: 'task_status_update', service: 'query', task_id: 'flood', tenant_id: 'acme' };
  for (let n = 0; n < FRAMES; n += 1) peer.send({ ...about, data: { status: `step ${n}` } });
  const bad = await flooding(hub);
  for (let n = 0; n < 5_000; n += 1) bad.send('nonsense');
  expect((await bad.closed).code).toBe(1008);
  const client = new SocketPeer(`${hub.url}/ws/client`, { authorization: `Bearer ${KEYS.acme}` });
  await client.opened;
  for (let n = 0; n < 5_000; n += 1) client.send({ action: 'unsubscribe', id: 'unknown' });
  expect((await client.closed).code).toBe(4429);
  // Another connection is accepted and served.
  const query = notifierOf('query', hub.url);
  await hub.track('other');
  const done = { task_id: 'other', tenant_id: 'acme', result: 1 };
  expect((await query.notifyTaskCompletion(done)).outcome).toBe('applied');
  const taken = await appliedSteps(hub, taskId);
  table.add({
    row: 20,
    fault: `${FRAMES} frames without message_id; 5,000 bad ones; 5,000 of a client`,
    expected: 'taken as fast as may be; close 1008; 4429',
    seen: `${taken} taken; close ${(await bad.closed).code}; ${(await client.closed).code}`,
    detail: `${bad.frames.filter((frame) => frame['event'] === 'error').length} bad frames answered`,
  });
}

const JOBS = 8_000;
const NOTIFICATIONS = 50_000;
const MORE = 2_000;
/** Progress reports per job: with the results and the refused ones, they make up the total. */
const ROUNDS = (NOTIFICATIONS - JOBS - MORE) / JOBS;

async function outboxFull(table: FaultTable): Promise<void> {
  const hub = await KillableHub.start({ server: { serviceFramesPerSecond: 10_000 } });
  const query = notifierOf('query', hub.url);
  const jobs = Array.from({ length: JOBS }, (_, n) => `job-${n}`);
  for (const job of jobs) await hub.track(job);
  await query.ready();
  const lost = new Promise((resolve) => query.on('disconnected', resolve));
  await Promise.all([hub.kill(), lost]);
  const before = heldMiB();
  let made = 0;
  const about = (job: string) => {
    made += 1;
    return { task_id: job, tenant_id: 'acme' };
  };
  const steps: Promise<unknown>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const job of jobs) steps.push(query.notifyTaskStatus({ ...about(job), status: `step ${round}` }));
  }
  const kept = query.pending;
  const finals = jobs.map((job) => query.notifyTaskCompletion({ ...about(job), result: job }));
  const cap = query.pending;
  const refused = await Promise.allSettled(
    Array.from({ length: MORE }, (_, n) => query.notifyTaskCompletion({ ...about(`more-${n}`), result: n })),
  );
  const grown = heldMiB() - before;
  const codes = new Set(refused.map((each) => (each.status === 'rejected' ? each.reason.code : 'taken')));
  expect([made, kept, cap, [...codes]]).toEqual([NOTIFICATIONS, JOBS, 10_000, ['outbox_full']]);
  expect(grown).toBeLessThan(BOUND_MIB);
  await hub.revive();
  const acks = await Promise.all(finals);
  await Promise.all(steps);
  expect(acks.filter(({ outcome }) => outcome !== 'applied' && outcome !== 'duplicate')).toEqual([]);
  expect(await hub.acme.tasks.counts()).toMatchObject({ completed: JOBS, processing: 0 });
  table.add({
    row: 21,
    fault: `hub away, ${NOTIFICATIONS} notifications`,
    expected: 'progress coalesced, outbox_full at the cap of 10,000, no final one lost',
    seen: `${steps.length} steps of progress kept as ${kept}; ${MORE} refused with outbox_full; ${acks.length} of ${JOBS} results applied`,
    detail: `${cap} in the outbox, ${growth(grown)}`,
  });
}

export function floods(table: FaultTable): void {
  it('20: a flooding service is throttled, and others are served', () => floodOfService(table));
  it('20: a flood that cannot be throttled is disconnected', () => floodWithoutIds(table));
  it('21: a full outbox refuses notifications, and loses no outcome', () => outboxFull(table));
}
