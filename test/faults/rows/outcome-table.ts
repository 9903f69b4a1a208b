import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { SocketPeer } from '../../../packages/ws-server/test/socket-peer.js';
import { EventCollector } from '../event-collector.js';
import type { FaultTable } from '../fault-table.js';
import { given, KillableHub, NO_JITTER, TOKENS, until } from '../killable-hub.js';
import { ReportTap } from '../report-tap.js';
import { reply, ScriptedService } from '../scripted-service.js';

async function prepared() {
  const hub = await KillableHub.start({ orchestrator: { random: NO_JITTER } });
  const tap = new ReportTap(hub.storage);
  const service = await ScriptedService.start(({ nth }, response) =>
    reply(response, 202, { job_id: `job-${nth}` }),
  );
  hub.orchestrator.service('query', { url: service.url() });
  const peer = new SocketPeer(`${hub.url}/ws/task_updates`);
  await peer.opened;
  peer.send({ service_token: TOKENS.query, service_name: 'query' });
  await peer.next();
  const client = await new EventCollector(hub.url).start();
  let sent = 0;
  /** Sends a notification, and returns the outcome in its ack. */
  const send = async (frame: object): Promise<unknown> => {
    sent += 1;
    const about = { service: 'query', tenant_id: 'acme', message_id: `m-${sent}` };
    const whole: { readonly message_id: string } = { ...about, ...frame };
    const already = peer.frames.length;
    peer.send(whole);
    const acked = () => peer.frames.slice(already).find(({ message_id: id }) => id === whole.message_id);
    await until(() => acked() !== undefined);
    return acked()?.['outcome'];
  };
  return { hub, tap, service, peer, client, send };
}

async function jobKnown(hub: KillableHub, taskId: string, job: string): Promise<void> {
  await until(async () => {
    const { delegated_services: calls } = await hub.acme.tasks.get(taskId);
    return calls.some(({ task_id }) => task_id === job);
  });
}

const completed = (task_id: string, data: unknown) => ({ event: 'task_completed', task_id, data });
const failed = (task_id: string, retryable: boolean) => ({
  event: 'task_failed',
  task_id,
  data: { error: 'out of order', error_type: 'Trouble', retryable },
});
const progress = (task_id: string, status: string) => ({
  event: 'task_status_update',
  task_id,
  data: { status },
});

async function everyOutcome(table: FaultTable): Promise<void> {
  const { hub, service, client, send } = await prepared();
  const first = await hub.submit('query', {});
  await jobKnown(hub, first, 'job-1');
  const seen: [string, unknown, string][] = [];
  const expectOutcome = async (what: string, frame: object, outcome: string) => {
    seen.push([what, await send(frame), outcome]);
  };
  await expectOutcome('progress', { ...progress('job-1', 'a'), seq: 5, message_id: 'p' }, 'applied');
  await expectOutcome('the same message', { ...progress('job-1', 'a'), message_id: 'p' }, 'duplicate');
  await expectOutcome('older progress', { ...progress('job-1', 'b'), seq: 4 }, 'duplicate');
  await expectOutcome('a failure, retryable', failed('job-1', true), 'applied');
  await jobKnown(hub, first, 'job-2');
  await expectOutcome('the same failure in the new try', failed('job-1', true), 'duplicate');
  await expectOutcome('a result of the older try', completed('job-1', 1), 'stale');
  await expectOutcome('progress of the older try', progress('job-1', 'c'), 'stale');
  await expectOutcome('a result', completed('job-2', 0), 'applied');
  await expectOutcome('the same result', completed('job-2', 0), 'duplicate');
  await expectOutcome('another result', completed('job-2', 1), 'late');
  await expectOutcome('a failure after the result', failed('job-2', false), 'late');
  await expectOutcome('progress after the result', progress('job-2', 'd'), 'late');
  const cancelled = await hub.submit('query', {});
  await jobKnown(hub, cancelled, 'job-3');
  await hub.ask('POST', `/v1/tasks/${cancelled}/cancel`, {});
  await hub.ended(cancelled);
  await expectOutcome('a result after the cancel', completed('job-3', 1), 'late');
  await expectOutcome('an unknown job', completed('job-9', 1), 'unknown_task');
  await expectOutcome(
    "another tenant's call",
    { ...completed('job-2', 1), tenant_id: 'globex' },
    'unknown_task',
  );
  await expectOutcome(
    'in the name of another',
    { ...completed('job-2', 1), service: 'embedding' },
    'forbidden',
  );
  await expectOutcome('without its data', { event: 'task_completed', task_id: 'job-2' }, 'invalid');
  expect(seen.filter(([, got, want]) => got !== want)).toEqual([]);
  expect(await hub.ended(first)).toMatchObject({ status: 'completed', result: 0 });
  expect(service.requests.map(({ call }) => call.attempt)).toEqual([1, 2, 1]);
  for (const id of [first, cancelled]) await client.final(id);
  expect(client.violations).toEqual([]);
  table.add({
    row: 17,
    fault: 'repeated, late, stale, foreign and broken notifications, one by one',
    expected: 'the table of outcomes',
    seen: `${new Set(seen.map(([, got]) => got)).size} kinds of ack, each as in the table`,
    detail: `${seen.length} cases`,
  });
}

async function before202(table: FaultTable): Promise<void> {
  const { hub, tap, service, client, send } = await prepared();
  const open: ServerResponse[] = [];
  service.script = ({ nth }, response) => {
    if (nth > 2) reply(response, 202, { job_id: `job-${nth}` });
    else open.push(response);
  };
  const taskId = await hub.submit('query', {});
  await until(() => open.length === 1);
  // Three copies and a contradiction: the first one counts.
  const early = [failed('job-1', true), failed('job-1', true), completed('job-1', 'too late')].map(send);
  await until(() => tap.held === 3);
  reply(given(open[0]), 202, { job_id: 'job-1' });
  expect(await Promise.all(early)).toEqual(['applied', 'duplicate', 'late']);
  await until(() => open.length === 2);
  const second = service.requests[1];
  // With a call_id the call is found without the 202.
  expect(await send({ ...completed('job-2', 'early'), call_id: second?.call.call_id })).toBe('applied');
  reply(given(open[1]), 202, { job_id: 'job-2' });
  expect(await hub.ended(taskId)).toMatchObject({ status: 'completed', result: 'early' });
  expect(await send(completed('job-2', 'early'))).toBe('duplicate');
  await client.final(taskId);
  expect(client.violations).toEqual([]);
  expect(client.named(taskId).filter((event) => event === 'task_status_update')).toHaveLength(1);
  table.add({
    row: 18,
    fault: 'notifications before the 202: by job (held), by call_id (at once)',
    expected: 'applied once',
    seen: 'applied, duplicate, late; 1 new try; 1 final event',
    detail: `${tap.held} held, ${service.requests.length} calls`,
  });
}

export function outcomeTable(table: FaultTable): void {
  it('17: each ack has the outcome of the table', () => everyOutcome(table));
  it('18: a notification before the 202 is applied once', () => before202(table));
}
