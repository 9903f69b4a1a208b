import assert from 'node:assert/strict';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** A batch of tasks in the named sessions (or none). Returns their ids in order. */
async function submitBatch(t: CaseTools, maxInFlight: number, sessions: readonly (string | undefined)[]) {
  const items = sessions.map((session_id) => t.submission(session_id === undefined ? {} : { session_id }));
  const batch = { batchId: t.id(), maxInFlight, failFast: false, items };
  const submitted = await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 10_000 });
  assert.equal(submitted.answer, 'submitted');
  return items.map(({ task }) => task.task_id);
}

/** Ends the oldest held task, claims what becomes ready, and so on. Returns the ids in order. */
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

/** Tasks in two concurrency groups: their session and their batch. */
export const sharedGroupCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'settle',
    name: 'admits the next task of the session of a batch task before tasks waiting for the batch',
    async run(t) {
      const [a1, a2, a3, b1, b2, alone] = await submitBatch(t, 2, ['a', 'a', 'a', 'b', 'b', undefined]);
      assert.deepEqual(await endOneByOne(t), [a1, b1, a2, b2, a3, alone]);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'admits the longest waiting task to a batch once a session is empty',
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
    name: 'passes the slot of a task waiting for its batch to the next of its session, in its position',
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
    name: 'does not block a batch whose tasks wait for a session, nor other sessions',
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
    name: 'alternates two batches within their session in order of submission',
    async run(t) {
      const [a1, a2] = await submitBatch(t, 1, ['s', 's']);
      const [b1, b2] = await submitBatch(t, 1, ['s', 's']);
      const other = await t.submit({ session_id: 's' });
      assert.deepEqual(await endOneByOne(t), [a1, a2, b1, b2, other.task_id]);
    },
  },
];
