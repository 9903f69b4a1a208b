import assert from 'node:assert/strict';
import type { LogGap, TaskEnd } from '../storage/event-log.js';
import type { Settlement } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** Reads `count` completions after `after` while `meanwhile` runs. */
async function takeCompletions(
  t: CaseTools,
  after: string,
  count: number,
  meanwhile: () => Promise<unknown> = async () => undefined,
) {
  const { signal } = new AbortController();
  const taken: (TaskEnd | LogGap)[] = [];
  const following = (async () => {
    for await (const end of t.storage.events.followCompletions({ tenantId: t.tenantId, after, signal })) {
      taken.push(end);
      if (taken.length === count) break;
    }
  })();
  await meanwhile();
  await following;
  return taken;
}

const HOW: Readonly<Record<'completed' | 'failed', Settlement>> = {
  completed: { kind: 'completed', result: ['done'] },
  failed: { kind: 'failed', error: { code: 'workflow_error', message: 'broken', retryable: false } },
};

async function endOne(t: CaseTools, how: keyof typeof HOW | 'cancelled'): Promise<string> {
  const { task_id: taskId } = await t.submit({ payload: { how } });
  if (how !== 'cancelled') await t.settle(await t.claimOne(), HOW[how]);
  else await t.storage.tasks.cancel({ tenantId: t.tenantId, taskId, reason: 'enough', graceMs: 1 });
  return taskId;
}

export const completionCases: readonly ConformanceCase[] = [
  {
    part: 'events',
    method: 'followCompletions',
    name: 'delivers each completion once, past and future ones, and no other event',
    async run(t) {
      const after = await t.beginning();
      const ids = [await endOne(t, 'completed'), await endOne(t, 'failed')];
      const ends = await takeCompletions(t, after, 5, async () => {
        for (const how of ['completed', 'failed', 'cancelled'] as const) ids.push(await endOne(t, how));
      });
      assert.deepEqual(
        ends.map((end) => (end.event === 'ended' ? end.task_id : 'gap')),
        ids,
      );
      for (const end of ends)
        if (end.event === 'ended' && end.task) assert.deepEqual(end.task(), await t.get(end.task_id));
    },
  },
  {
    part: 'events',
    method: 'followCompletions',
    name: 'begins with a gap for a cursor of another log, and continues with the stored completions',
    async run(t) {
      const taskId = await endOne(t, 'completed');
      const [gap, end] = await takeCompletions(t, 'elsewhere:7', 2);
      assert.equal(gap?.event, 'gap');
      assert.ok(end?.event === 'ended');
      assert.equal(end.task_id, taskId);
      assert.equal(end.cursor, await t.storage.events.head({ tenantId: t.tenantId }));
    },
  },
  {
    part: 'events',
    method: 'followCompletions',
    name: 'ends with its signal, and delivers no events of other tenants',
    async run(t) {
      const over = new AbortController();
      const received: unknown[] = [];
      const tenantId = t.otherTenantId;
      const after = await t.storage.events.head({ tenantId });
      const following = (async () => {
        const { signal } = over;
        for await (const end of t.storage.events.followCompletions({ tenantId, after, signal }))
          received.push(end);
      })();
      await endOne(t, 'completed');
      over.abort();
      await following;
      assert.deepEqual(received, []);
    },
  },
];
