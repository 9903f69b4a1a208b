import assert from 'node:assert/strict';
import type { BatchSubmission, NewTask, Submission } from '../storage/task-records.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const MANY = 2_500;
const error = { code: 'workflow_error', message: 'bad', retryable: false } as const;
const badItem = { error: { code: 'invalid_request', message: 'bad', retryable: false } } as const;

/** Submits a batch; without `maxInFlight` all items may run at once. */
async function submit(t: CaseTools, items: BatchSubmission['items'], more: Partial<BatchSubmission> = {}) {
  const batch = { batchId: t.id(), maxInFlight: items.length, failFast: false, items, ...more };
  const answer = await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 1_000_000 });
  assert.ok('batch' in answer, `expected the batch to be stored, got ${answer.answer}`);
  return answer.batch;
}

type More = Partial<NewTask>;
type NewItem = (t: CaseTools, more?: More) => Submission;

const simpleItem: NewItem = (t, more) => t.submission(more);
/** Item in a session of its own. */
const itemInSession: NewItem = (t, more) => t.submission({ session_id: t.name('session'), ...more });

function itemsOf(t: CaseTools, count: number, newItem: NewItem = simpleItem, more: More = {}) {
  return Array.from({ length: count }, () => newItem(t, more));
}

const idsOf = (items: readonly Submission[]) => items.map(({ task }) => task.task_id);

async function claimedIds(t: CaseTools, max = 100) {
  return (await t.claim({ max })).map(({ task }) => task.task_id);
}

/** Claims, and expects exactly one task. */
async function onlyClaim(t: CaseTools) {
  const [claim, ...more] = await t.claim();
  assert.ok(claim, 'expected a task to be claimed');
  assert.deepEqual(more, []);
  return claim;
}

async function countsOf(t: CaseTools, batchId: string) {
  return (await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId }))?.counts;
}

async function failedInOrder(t: CaseTools) {
  return (await t.log()).filter(({ event }) => event === 'task_failed').map(({ task_id }) => task_id);
}

const CASE_OF_MANY: ConformanceCase = {
  part: 'tasks',
  method: 'submitBatch',
  name: 'stores thousands of items in one step, in order, without a gap in the log',
  async run(t) {
    const before = await t.submit();
    const items = itemsOf(t, MANY);
    const batch = await submit(t, [...items.slice(0, 10), badItem, ...items.slice(10)]);
    assert.deepEqual(batch.counts, { pending: MANY, processing: 0, completed: 0, failed: 1, cancelled: 0 });
    assert.deepEqual(
      batch.items.map(({ task_id }) => task_id),
      [...idsOf(items.slice(0, 10)), undefined, ...idsOf(items.slice(10))],
    );
    const order = [before.task_id, ...idsOf(items)];
    const log = await t.log();
    assert.deepEqual(
      log.map(({ event, task_id, cursor }) => [event, task_id, Number(cursor.split(':')[1])]),
      order.map((id, at) => ['task_created', id, at + 1]),
    );
    const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
    assert.equal(counts.pending, MANY + 1);
    const claimed: string[] = [];
    while (claimed.length <= MANY) {
      const next = await claimedIds(t, 500);
      assert.notDeepEqual(next, []);
      claimed.push(...next);
    }
    assert.deepEqual(claimed, order);
  },
};

/** Cases for every kind of item. */
const CASES: readonly {
  readonly name: string;
  readonly run: (t: CaseTools, newItem: NewItem) => Promise<void>;
}[] = [
  {
    name: 'returns the batch as getBatch does',
    async run(t, newItem) {
      const batch = await submit(t, [badItem, newItem(t, { payload: { a: [1, ''] } }), newItem(t)]);
      assert.deepEqual(
        await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId: batch.batch_id }),
        batch,
      );
      const task = await t.get(batch.items[1]?.task_id ?? '');
      assert.deepEqual(
        [task.batch_id, task.payload, task.created_at],
        [batch.batch_id, { a: [1, ''] }, batch.created_at],
      );
    },
  },
  {
    name: 'queues each item with its own priority',
    async run(t, newItem) {
      const items = [1, 9, 4, 9, 0].map((priority) => newItem(t, { priority }));
      await submit(t, items);
      const [one, nine, four, nineToo, none] = idsOf(items);
      assert.deepEqual(await claimedIds(t), [nine, nineToo, four, one, none]);
    },
  },
  {
    name: 'leases each item only to workers of its type',
    async run(t, newItem) {
      await t.submit();
      const items = [t.type, t.otherType, t.type].map((type) => newItem(t, { type }));
      await submit(t, items);
      const [first, other, last] = idsOf(items);
      assert.deepEqual((await claimedIds(t)).slice(1), [first, last]);
      const others = await t.claim({ runs: [{ type: t.otherType, versions: [1] }] });
      assert.deepEqual(
        others.map(({ task }) => task.task_id),
        [other],
      );
    },
  },
  {
    name: 'gives each item its own deadline',
    async run(t, newItem) {
      await t.lookedOver();
      const items = [30_000, 10_000, 20_000, 10_000].map((timeoutMs) => newItem(t, { timeoutMs }));
      const batch = await submit(t, items);
      const [last, first, next, firstToo] = idsOf(items);
      await t.pass(9_999);
      assert.deepEqual(await failedInOrder(t), []);
      await t.pass(1);
      assert.deepEqual(await failedInOrder(t), [first, firstToo]);
      await t.pass(10_000);
      assert.deepEqual(await failedInOrder(t), [first, firstToo, next]);
      assert.deepEqual(await claimedIds(t), [last]);
      await t.pass(10_000);
      assert.deepEqual(await failedInOrder(t), [first, firstToo, next, last]);
      assert.equal((await countsOf(t, batch.batch_id))?.failed, 4);
    },
  },
  {
    name: 'stores nothing of a batch beyond the queue limit',
    async run(t, newItem) {
      const batch = { batchId: t.id(), maxInFlight: 9, failFast: false, items: itemsOf(t, 3, newItem) };
      await t.submit();
      const refused = await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 3 });
      assert.equal(refused.answer, 'queue_full');
      assert.equal(await countsOf(t, batch.batchId), undefined);
      assert.equal((await t.log()).length, 1);
      const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      assert.equal(counts.pending, 1);
      assert.equal((await t.claim()).length, 1);
      const { tenantId } = t;
      for (const taskId of idsOf(batch.items))
        assert.equal(await t.storage.tasks.get({ tenantId, taskId }), undefined);
      const stored = await submit(t, batch.items, batch);
      assert.equal(stored.counts.pending, 3, 'their ids are free');
    },
  },
  {
    name: 'refuses an item with the id of another task, and no other item',
    async run(t, newItem) {
      const before = await t.submit({ payload: 'before' });
      const again = newItem(t, { task_id: before.task_id, payload: 'again' });
      const batch = await submit(t, [newItem(t), again]);
      const twice = newItem(t);
      const other = await submit(t, [twice, twice]);
      assert.deepEqual(
        [...batch.items, ...other.items].map(({ status, error: why }) => [status, why?.code]),
        [
          ['pending', undefined],
          ['failed', 'conflict'],
          ['pending', undefined],
          ['failed', 'conflict'],
        ],
      );
      assert.deepEqual(await t.get(before.task_id), before);
      assert.equal((await t.log()).filter(({ event }) => event === 'task_created').length, 3);
      assert.equal((await t.claim()).length, 3);
    },
  },
  {
    name: 'admits the next task when one ends, whatever its final state',
    async run(t, newItem) {
      const items = itemsOf(t, 6, newItem);
      const batch = await submit(t, items, { maxInFlight: 1 });
      const [first, second, third, fourth, fifth, sixth] = idsOf(items);
      assert.equal((await t.get(second ?? '')).status, 'pending');
      const completed = await onlyClaim(t);
      assert.equal(completed.task.task_id, first);
      await t.settle(completed, { kind: 'completed', result: 1 });
      const failed = await onlyClaim(t);
      assert.equal(failed.task.task_id, second);
      await t.settle(failed, { kind: 'failed', error });
      const where = { tenantId: t.tenantId, reason: 'enough', graceMs: 0 };
      await t.storage.tasks.cancel({ ...where, taskId: third ?? '' });
      const retried = await onlyClaim(t);
      assert.equal(retried.task.task_id, fourth);
      await t.settle(retried, { kind: 'retry', error, delayMs: 1_000 });
      assert.deepEqual(await t.claim(), []);
      await t.pass(1_000);
      assert.deepEqual(await claimedIds(t), [fourth]);
      // A waiting task may end as well.
      await t.storage.tasks.cancel({ ...where, taskId: fifth ?? '' });
      await t.storage.tasks.cancel({ ...where, taskId: fourth ?? '' });
      await t.pass(1);
      assert.deepEqual(await claimedIds(t), [sixth]);
      assert.deepEqual(await countsOf(t, batch.batch_id), {
        pending: 0,
        processing: 1,
        completed: 1,
        failed: 1,
        cancelled: 3,
      });
    },
  },
  {
    name: 'retries a task while the others run',
    async run(t, newItem) {
      const items = itemsOf(t, 3, newItem);
      const batch = await submit(t, items);
      const [first, ...others] = await t.claim();
      assert.ok(first);
      await t.settle(first, { kind: 'retry', error, delayMs: 1_000 });
      await t.pass(1_000);
      const again = await t.claimOne();
      assert.deepEqual([again.task.task_id, again.task.attempt], [first.task.task_id, 2]);
      for (const claim of [again, ...others]) {
        assert.equal(await t.settle(claim, { kind: 'completed', result: null }), 'settled');
      }
      assert.equal((await countsOf(t, batch.batch_id))?.completed, 3);
    },
  },
  {
    name: 'cancels running tasks with fail_fast, and none without it',
    async run(t, newItem) {
      const careless = await submit(t, itemsOf(t, 3, newItem, { priority: 9 }));
      await t.settle(await t.claimOne({ max: 1 }), { kind: 'failed', error });
      assert.deepEqual(await countsOf(t, careless.batch_id), {
        pending: 2,
        processing: 0,
        completed: 0,
        failed: 1,
        cancelled: 0,
      });
      await t.claim();
      const batch = await submit(t, itemsOf(t, 4, newItem), { failFast: true });
      const [failing, running] = await t.claim({ max: 2 });
      assert.ok(failing && running);
      await t.settle(failing, { kind: 'failed', error });
      assert.deepEqual(await countsOf(t, batch.batch_id), {
        pending: 0,
        processing: 1,
        completed: 0,
        failed: 1,
        cancelled: 2,
      });
      await t.settle(running, { kind: 'cancelled' });
      const after = await t.get(running.task.task_id);
      assert.deepEqual(
        [after.status, after.error?.message.includes(failing.task.task_id)],
        ['cancelled', true],
      );
      assert.deepEqual(await t.claim(), []);
    },
  },
];

export const batchCases: readonly ConformanceCase[] = [
  CASE_OF_MANY,
  ...CASES.flatMap(({ name, run }): ConformanceCase[] => [
    { part: 'tasks', method: 'submitBatch', name, run: (t) => run(t, simpleItem) },
    {
      part: 'tasks',
      method: 'submitBatch',
      name: `${name}, with sessions`,
      run: (t) => run(t, itemInSession),
    },
  ]),
];
