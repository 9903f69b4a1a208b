import { expect, it } from 'vitest';
import { EventCollector } from '../event-collector.js';
import type { FaultTable } from '../fault-table.js';
import { KillableHub, until } from '../killable-hub.js';
import { ServiceChild } from '../service-child.js';

const SILENCE_MS = 1_500;
/** Longest back-off: a restarted service is back before the last resend. */
const LONGEST_WAIT = { uuid: () => crypto.randomUUID(), fraction: () => 0.999 };

async function prepared() {
  const hub = await KillableHub.start({ orchestrator: { random: LONGEST_WAIT } });
  const child = await ServiceChild.start(0, hub.url);
  const url = `http://127.0.0.1:${child.port}`;
  hub.orchestrator.service('query', { url, silenceMs: SILENCE_MS });
  const client = await new EventCollector(hub.url).start();
  return { hub, child, client };
}

/** Resolves once the hub has the 202 of this many tries. */
async function accepted(hub: KillableHub, taskId: string, tries: number): Promise<void> {
  await until(async () => {
    const { delegated_services: calls } = await hub.acme.tasks.get(taskId);
    return calls.filter(({ task_id }) => task_id !== undefined).length >= tries;
  });
}

export function killedService(table: FaultTable): void {
  it('3: a service killed after each 202 gets three tries, then its call fails', async () => {
    const { hub, child: first, client } = await prepared();
    const taskId = await hub.submit('query', {}, { max_attempts: 1 });
    const calls: { readonly callId: string; readonly attempt: number }[] = [];
    let child = first;
    for (let tried = 1; tried <= 3; tried += 1) {
      calls.push(await child.answered());
      await accepted(hub, taskId, tried);
      await child.kill();
      child = await ServiceChild.start(first.port, hub.url);
    }
    const task = await hub.ended(taskId);
    expect(task.error?.message).toContain(`has not reported on job job-${calls[2]?.callId}`);
    expect(task).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'timeout' } });
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(calls.map(({ callId }) => callId)).size).toBe(3);
    await client.final(taskId);
    expect(client.named(taskId).filter((event) => event === 'task_status_update')).toHaveLength(2);
    expect(client.violations).toEqual([]);
    table.add({
      row: 3,
      fault: 'service killed after each 202',
      expected: 'silent -> new try, new call_id, at most 3, then failed',
      seen: `${task.status}, ${task.error?.code}`,
      detail: `${calls.length} tries, ${new Set(calls.map(({ callId }) => callId)).size} call_ids`,
    });
  });

  it('3: a service restarted after a kill completes the task', async () => {
    const { hub, child, client } = await prepared();
    const taskId = await hub.submit('query', {});
    const { callId } = await child.answered();
    await accepted(hub, taskId, 1);
    await child.kill();
    const killedAt = performance.now();
    await client.until(() => client.named(taskId).includes('task_status_update'));
    const again = await ServiceChild.start(child.port, hub.url, { reports: true });
    const second = await again.answered();
    const task = await hub.ended(taskId);
    expect(task).toMatchObject({ status: 'completed', result: { by: expect.any(Number) } });
    expect(second.callId).not.toBe(callId);
    await client.final(taskId);
    expect(client.violations).toEqual([]);
    table.add({
      row: 3,
      fault: 'service killed after its 202, restarted',
      expected: 'completes in a new try',
      seen: `${task.status} in try ${second.attempt} with a new call_id`,
      detail: `${Math.round(performance.now() - killedAt)} ms from kill to result (silence ${SILENCE_MS} ms)`,
    });
  });
}
