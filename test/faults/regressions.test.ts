import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { harness } from '../../packages/core/test/harness.js';
import { EventCollector } from './event-collector.js';
import { given, KillableHub, NO_JITTER, notifierOf, TOKENS, until } from './killable-hub.js';
import { heldMiB } from './memory.js';
import { frame, RawSocket } from './raw-socket.js';
import { ReportTap } from './report-tap.js';
import { reply, ScriptedService } from './scripted-service.js';

/** Regressions of errors found earlier. */
describe('a regression between services and the hub', () => {
  it('a service that does not read its acks: bounded memory in the hub', async () => {
    const hub = await KillableHub.start();
    const service = new RawSocket(hub.url, '/ws/task_updates', [`Authorization: Bearer ${TOKENS.query}`]);
    await service.open;
    service.socket.pause();
    const before = heldMiB();
    const id = 'm'.repeat(190);
    const text = (n: number) => JSON.stringify({ message_id: `${id}${n}` });
    const frames = Array.from({ length: 1_000 }, (_, n) => frame(0x81, text(n)));
    for (let sent = 0; sent < 120; sent += 1) await service.write(Buffer.concat(frames));
    // 4 MiB of unread data is the limit for further frames to a service.
    // What the sockets have just read is collected first.
    await until(() => heldMiB() - before < 32);
  });

  it('more than ten notifications held for a 202: no process warning', async () => {
    const warnings: string[] = [];
    const listener = (warning: Error) => warnings.push(warning.name);
    process.on('warning', listener);
    onTestFinished(() => void process.off('warning', listener));
    const hub = await KillableHub.start();
    const tap = new ReportTap(hub.storage);
    const open: ServerResponse[] = [];
    const service = await ScriptedService.start((_, response) => open.push(response));
    hub.orchestrator.service('query', { url: service.url() });
    const query = notifierOf('query', hub.url);
    await query.ready();
    const taskId = await hub.submit('query', {});
    await until(() => open.length === 1);
    const about = { task_id: 'job-1', tenant_id: 'acme' };
    for (let step = 0; step < 20; step += 1) {
      void query.notifyTaskStatus({ ...about, status: `step ${step}` });
      await until(() => tap.held === step + 1);
    }
    reply(given(open[0]), 202, { job_id: 'job-1' });
    await query.notifyTaskCompletion({ ...about, result: 1 });
    await hub.ended(taskId);
    expect(warnings).toEqual([]);
  });

  it('metadata of a notification: clients receive it', async () => {
    const hub = await KillableHub.start();
    const taskId = await hub.track('job-1');
    const client = await new EventCollector(hub.url).start();
    const query = notifierOf('query', hub.url);
    const about = { task_id: 'job-1', tenant_id: 'acme', metadata: { model: 'tiny' } };
    await query.notifyTaskStatus({ ...about, status: 'searching' });
    await query.notifyTaskCompletion({ ...about, result: 1 });
    await client.final(taskId);
    const seen = client.events.get(taskId)?.find(({ event }) => event === 'task_status_update');
    expect(seen?.metadata).toMatchObject({ model: 'tiny' });
  });

  it('notifications held for a 202: bounded memory in the hub', async () => {
    const hub = await KillableHub.start();
    const tap = new ReportTap(hub.storage);
    const open: ServerResponse[] = [];
    const slow = await ScriptedService.start((_, response) => open.push(response));
    hub.orchestrator.service('query', { url: slow.url() });
    await hub.submit('query', {});
    await until(() => open.length === 1);
    const service = new RawSocket(hub.url, '/ws/task_updates', [`Authorization: Bearer ${TOKENS.query}`]);
    await service.open;
    const before = heldMiB();
    const about = { event: 'task_completed', service: 'query', tenant_id: 'acme' };
    const data = 'x'.repeat(2 ** 20 - 1_000);
    for (let sent = 1; sent <= 50; sent += 1) {
      const id = { task_id: `unknown-${sent}`, message_id: `m-${sent}` };
      await service.write(frame(0x81, JSON.stringify({ ...about, ...id, data })));
    }
    // Held, or answered with retry_later.
    await until(() => tap.held + service.counts.text > 50);
    // What the sockets have just read is collected first.
    await until(() => heldMiB() - before < 32);
  });

  it('a reused job id: names the newest call', async () => {
    const hub = await KillableHub.start({ orchestrator: { random: NO_JITTER } });
    // Like a service that derives job ids from the request, or counts them from 1 after each start.
    const service = await ScriptedService.start((_, response) => reply(response, 202, { job_id: 'job-1' }));
    hub.orchestrator.service('query', { url: service.url(), silenceMs: 1_000 });
    const query = notifierOf('query', hub.url);
    const taskId = await hub.submit('query', {}, { max_attempts: 1 });
    const accepted = async () => {
      const { delegated_services: calls } = await hub.acme.tasks.get(taskId);
      return calls.filter(({ task_id }) => task_id !== undefined).length;
    };
    // The first try is silent for too long; the second one reports.
    await until(async () => (await accepted()) === 2);
    const done = { task_id: 'job-1', tenant_id: 'acme', result: 1 };
    expect((await query.notifyTaskCompletion(done)).outcome).toBe('applied');
  });

  it('notifications held for a 202: later ones are sent', async () => {
    const { hub, tap, query } = await withheld202();
    const taskId = await hub.track('known');
    // As after a restart that has lost its tasks: unknown jobs, while a call is in flight.
    for (let n = 0; n < 300; n += 1) {
      void query.notifyTaskCompletion({ task_id: `unknown-${n}`, tenant_id: 'acme', result: n });
    }
    await until(() => tap.held >= 256);
    const acked = query.notifyTaskCompletion({ task_id: 'known', tenant_id: 'acme', result: 1 });
    expect(await soon(acked)).toMatchObject({ outcome: 'applied', global_task_id: taskId });
  });

  it('a notification held for a 202: answered once no 202 can come any more', async () => {
    const { hub, tap, query, waiting } = await withheld202();
    const acked = query.notifyTaskCompletion({ task_id: 'job-1', tenant_id: 'acme', result: 1 });
    await until(() => tap.held === 1);
    await hub.ask('POST', `/v1/tasks/${waiting}/cancel`, {});
    await hub.ended(waiting);
    expect(await soon(acked)).toMatchObject({ outcome: 'unknown_task' });
  });

  it('a notification held for a minute: unknown_task, and not sent again', async () => {
    const calls: unknown[] = [];
    const silent = { timeoutMs: 600_000, run: (call: unknown) => (calls.push(call), new Promise(() => {})) };
    const world = harness({ services: { silent } });
    onTestFinished(() => world.stop());
    world.orchestrator.workflow('silent', (ctx) => ctx.call('silent', 'work', {}));
    await world.orchestrator.start();
    await world.acme.tasks.submit({ type: 'silent' });
    await until(() => calls.length === 1);
    const frame = {
      event: 'task_completed',
      service: 'silent',
      task_id: 'unknown',
      tenant_id: 'acme',
      data: 1,
    };
    const { signal } = new AbortController();
    const received = world.orchestrator.intake.receive(frame, { service: 'silent' }, { signal });
    await world.clock.advance(61_000);
    expect(await received).toEqual({ outcome: 'unknown_task' });
  });
});

/** A hub with one call in flight, whose 202 does not come; and the task that waits for it. */
async function withheld202() {
  const hub = await KillableHub.start();
  const tap = new ReportTap(hub.storage);
  const service = await ScriptedService.start(() => undefined);
  hub.orchestrator.service('query', { url: service.url() });
  const query = notifierOf('query', hub.url);
  await query.ready();
  const waiting = await hub.submit('query', {});
  await until(() => service.requests.length === 1);
  return { hub, tap, query, waiting };
}

/** The result of a promise within the minute for which such a notification may be held. */
function soon<T>(promise: Promise<T>): Promise<T | 'not yet'> {
  return Promise.race([
    promise,
    new Promise<'not yet'>((resolve) => setTimeout(() => resolve('not yet'), 30_000)),
  ]);
}
