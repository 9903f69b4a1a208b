import assert from 'node:assert/strict';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** A batch of tasks, each in the session that is named, or in none. Their ids, in their order. */
async function submitBatch(t: CaseTools, maxInFlight: number, sessions: readonly (string | undefined)[]) {
  const items = sessions.map((session_id) => t.submission(session_id === undefined ? {} : { session_id }));
  const batch = { batchId: t.id(), maxInFlight, failFast: false, items };
  const submitted = await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 10_000 });
  assert.equal(submitted.answer, 'submitted');
  return items.map(({ task }) => task.task_id);
}

/** Ends one task after the other, the first that is held first; what each makes room for is claimed at once. Their ids. */
async function endOneByOne(t: CaseTools): Promise<readonly string[]> {
  const held = await t.claim();
  const ended: string[] = [];
  for (let next = held.shift(); next; next = held.shift()) {
    await t.settle(next, { kind: 'completed', result: 1 });
    ended.push(next.task.task_id);
    held.push(...(await t.claim()));
  }
  return ended;
}

function cancel(t: CaseTools, taskId: string | undefined) {
  return t.storage.tasks.cancel({ tenantId: t.tenantId, taskId: taskId ?? '', reason: 'enough', graceMs: 0 });
}

/** Tasks that stand in two lines: that of their session, and that of their batch. */
export const sharedGroupCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'settle',
    name: 'lets in the next of the session that a task of a batch belongs to, before what waits for the batch',
    async run(t) {
      const [a1, a2, a3, b1, b2, alone] = await submitBatch(t, 2, ['a', 'a', 'a', 'b', 'b', undefined]);
      assert.deepEqual(await endOneByOne(t), [a1, b1, a2, b2, a3, alone]);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'lets into a batch, once a session has none left, what has waited longest of those whose turn it is',
    async run(t) {
      const [a1, b1, alone, a2, b2, last] = await submitBatch(t, 1, [
        'a',
        'b',
        undefined,
        'a',
        'b',
        undefined,
      ]);
      assert.deepEqual(await endOneByOne(t), [a1, a2, b1, b2, alone, last]);
    },
  },
  {
    part: 'tasks',
    method: 'cancel',
    name: 'gives the turn of a task that waits for its batch to the next one of its session, at its own place',
    async run(t) {
      const [first, b1, b2, alone] = await submitBatch(t, 1, ['a', 'b', 'b', undefined]);
      await cancel(t, b1);
      assert.deepEqual(await endOneByOne(t), [first, b2, alone]);
      const [again, , c2, before] = await submitBatch(t, 1, ['a', 'c', 'c', undefined]);
      await cancel(t, c2);
      await cancel(t, before);
      assert.equal((await endOneByOne(t)).length, 2);
      assert.equal((await t.get(again ?? '')).status, 'completed');
    },
  },
  {
    part: 'sessions',
    method: 'close',
    name: 'keeps up no batch that tasks of the session wait in, and those of other sessions go on',
    async run(t) {
      const [first, , , c1, c2] = await submitBatch(t, 1, ['a', 'b', 'b', 'c', 'c']);
      const { answer } = await t.storage.sessions.close({ tenantId: t.tenantId, sessionId: 'b', graceMs: 0 });
      assert.equal(answer, 'closed');
      assert.deepEqual(await endOneByOne(t), [first, c1, c2]);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'lets tasks of two batches take turns in their session, in the order in which they came',
    async run(t) {
      const [a1, a2] = await submitBatch(t, 1, ['s', 's']);
      const [b1, b2] = await submitBatch(t, 1, ['s', 's']);
      const other = await t.submit({ session_id: 's' });
      assert.deepEqual(await endOneByOne(t), [a1, a2, b1, b2, other.task_id]);
    },
  },
];
