import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { Claim } from '../storage/task-queue.js';
import type { NewTask, TaskFilter } from '../storage/task-records.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const { deadLetterRetentionMs } = DEFAULTS;
const down = { code: 'service_error', message: 'down', retryable: true } as const;
const late = { code: 'timeout', message: 'late', retryable: false } as const;

async function failed(
  t: CaseTools,
  error: typeof down | typeof late = down,
  more: Partial<NewTask> = {},
): Promise<Claim> {
  const claim = await t.leased(more);
  await t.settle(claim, { kind: 'failed', error });
  return claim;
}

async function listed(t: CaseTools, filter: TaskFilter, tenantId = t.tenantId): Promise<string[]> {
  const { tasks } = await t.storage.tasks.list({ tenantId, filter, limit: 10 });
  return tasks.map(({ task_id }) => task_id);
}

const discard = (t: CaseTools, claim: Claim) => t.storage.tasks.discard(t.where(claim));
const idOf = ({ task }: Claim) => task.task_id;

/** Dead letters are found by what they failed of, discarded, and redriven with another payload. */
export const deadLetterCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'list',
    name: 'filters by the code of an error, whatever its size and however the task ended',
    async run(t) {
      const [first, second] = [await failed(t), await failed(t, late)];
      const message = '"code":"timeout"'.repeat(500);
      const large = await t.leased();
      await t.settle(large, { kind: 'failed', error: { ...down, message } });
      const tracked = await t.registered();
      const error = { message: 'a', retryable: false, code: late.code } as const;
      const outcome = { kind: 'failed', error } as const;
      await t.storage.tasks.finish({ tenantId: t.tenantId, taskId: tracked.task_id, outcome });
      const { task_id: taskId } = await t.submit();
      await t.storage.tasks.cancel({ tenantId: t.tenantId, taskId, reason: 'r', graceMs: 0 });
      const done = await t.leased();
      await t.settle(done, { kind: 'completed', result: { code: 'timeout' } });
      await t.submit();
      assert.deepEqual(await listed(t, { code: 'service_error' }), [idOf(large), idOf(first)]);
      assert.deepEqual(await listed(t, { code: 'timeout' }), [tracked.task_id, idOf(second)]);
      assert.deepEqual(await listed(t, { code: 'timeou' }), []);
      assert.deepEqual(await listed(t, { code: 'cancelled', status: 'failed' }), []);
      assert.deepEqual(await listed(t, { code: 'cancelled' }), [taskId]);
      assert.deepEqual(await listed(t, { code: 'timeout' }, t.otherTenantId), []);
    },
  },
  {
    part: 'tasks',
    method: 'list',
    name: 'filters by the time of the last change, inclusive, and by the beginning of the id',
    async run(t) {
      const waiting = await t.submit({ type: t.otherType });
      const claim = await t.leased();
      await t.advance(1_000);
      const since = t.now();
      assert.deepEqual(await listed(t, { since }), []);
      await t.settle(claim, { kind: 'completed', result: 1 });
      const fresh = await t.submit({ type: t.otherType });
      assert.deepEqual(await listed(t, { since }), [fresh.task_id, idOf(claim)]);
      assert.deepEqual(await listed(t, { since, status: 'completed' }), [idOf(claim)]);
      assert.deepEqual(await listed(t, { since: t.now() + 1 }), []);
      assert.deepEqual(await listed(t, { since: 0, type: t.otherType }), [fresh.task_id, waiting.task_id]);
      const idPrefix = waiting.task_id.slice(0, 13);
      assert.deepEqual(await listed(t, { idPrefix }), [waiting.task_id]);
      assert.deepEqual(await listed(t, { idPrefix, status: 'completed' }), []);
      assert.deepEqual(await listed(t, { idPrefix: waiting.task_id.slice(1) }), []);
    },
  },
  {
    part: 'tasks',
    method: 'list',
    name: 'scans a bounded number of tasks for a code, and continues at next',
    limits: { scannedAtOnce: 5 },
    async run(t) {
      const old = await failed(t);
      for (let n = 0; n < 6; n += 1) await failed(t, late);
      const filter = { code: 'service_error' };
      const first = await t.storage.tasks.list({ tenantId: t.tenantId, filter, limit: 10 });
      assert.deepEqual([first.tasks, first.next === undefined], [[], false]);
      const after = first.next ?? '';
      const second = await t.storage.tasks.list({ tenantId: t.tenantId, filter, limit: 10, after });
      assert.deepEqual([second.tasks.map(({ task_id }) => task_id), second.next], [[idOf(old)], undefined]);
    },
  },
  {
    part: 'tasks',
    method: 'discard',
    name: 'removes a dead letter with its journal and its stored bytes, and nothing else; its events stay',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      await t.report(jobId, 'x'.repeat(2_000));
      await t.settle(claim, { kind: 'failed', error: { ...down, message: 'y'.repeat(6_000) } });
      const other = await failed(t);
      const before = await t.eventsOf(idOf(claim));
      assert.deepEqual(await discard(t, claim), { answer: 'discarded' });
      assert.equal(await t.storage.tasks.get(t.where(claim)), undefined);
      assert.equal(await t.storage.tasks.explain(t.where(claim)), undefined);
      const journal = await t.storage.journal.read({ ...t.where(claim), after: 0 });
      assert.notEqual(journal.answer, 'page');
      assert.deepEqual(await t.eventsOf(idOf(claim)), before);
      assert.deepEqual(await listed(t, { status: 'failed' }), [idOf(other)]);
      const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      assert.equal(counts.failed, 1);
      await t.pass(0);
      const again = await t.report(jobId, 1, { callId: step.call.callId });
      assert.equal(again.answer, 'unknown_task');
    },
  },
  {
    part: 'tasks',
    method: 'discard',
    name: 'refuses tasks that have not failed, and finds none when repeated, by others too',
    async run(t) {
      const dead = await failed(t);
      const done = await t.leased();
      await t.settle(done, { kind: 'completed', result: 1 });
      const running = await t.leased();
      for (const claim of [done, running]) {
        assert.deepEqual(await discard(t, claim), { answer: 'not_failed' });
        assert.equal((await t.get(idOf(claim))).task_id, idOf(claim));
      }
      const foreign = { tenantId: t.otherTenantId, taskId: idOf(dead) };
      assert.deepEqual(await t.storage.tasks.discard(foreign), { answer: 'not_found' });
      const answers = await Promise.all([discard(t, dead), discard(t, dead), discard(t, dead)]);
      assert.deepEqual(answers.map(({ answer }) => answer).toSorted(), [
        'discarded',
        'not_found',
        'not_found',
      ]);
      const redrive = { ...t.where(dead), newTaskId: t.id(), maxWaiting: 10 };
      assert.equal((await t.storage.tasks.redrive(redrive)).answer, 'not_found');
    },
  },
  {
    part: 'tasks',
    method: 'discard',
    name: 'leaves its item in the batch as failed',
    async run(t) {
      const batchId = t.id();
      const items = [t.submission(), t.submission()];
      const batch = { batchId, maxInFlight: 2, failFast: false, items };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 10 });
      for (const claim of await t.claim()) {
        await t.settle(claim, { kind: 'failed', error: down });
        await discard(t, claim);
      }
      const found = await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId });
      assert.deepEqual([found?.total, found?.counts.failed], [2, 2]);
    },
  },
  {
    part: 'tasks',
    method: 'discard',
    name: 'frees the id and the idempotency key for a new task, which old timers do not end',
    limits: { deadLetterRetentionMs },
    async run(t) {
      const idempotency = { key: t.id(), fingerprint: 'f' };
      const submission = t.submission({ timeoutMs: 60_000 });
      const submit = () =>
        t.storage.tasks.submit({ tenantId: t.tenantId, submission, idempotency, maxWaiting: 10 });
      await submit();
      const first = await t.claimOne();
      await t.settle(first, { kind: 'failed', error: down });
      await discard(t, first);
      await t.advance(30_000);
      assert.equal((await submit()).answer, 'submitted');
      await t.pass(40_000);
      assert.equal((await t.get(idOf(first))).status, 'pending');
      const second = await t.claimOne();
      await t.settle(second, { kind: 'failed', error: late });
      await t.pass(deadLetterRetentionMs - 60_000);
      assert.deepEqual(await listed(t, { status: 'failed' }), [idOf(first)]);
      await t.pass(60_000);
      assert.equal((await t.storage.tasks.counts({ tenantId: t.tenantId })).counts.failed, 0);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'begins anew with a payload: no step, seed or version of the old task; the same payload again is a repeat',
    async run(t) {
      const claim = await t.leased({ payload: { n: 1 } });
      const step = { key: 's', kind: 'run', name: 'run' } as const;
      await t.begin(claim, step);
      await t.record(claim, step, t.result('done'));
      await t.settle(claim, { kind: 'failed', error: down });
      const payload = { n: 2, text: 'x'.repeat(3_000) };
      const newTaskId = t.id();
      const redrive = (id: string, more: object) =>
        t.storage.tasks.redrive({ ...t.where(claim), newTaskId: id, maxWaiting: 10, ...more });
      assert.equal((await redrive(newTaskId, { payload })).answer, 'redriven');
      const next = await t.claimOne();
      assert.deepEqual(
        [next.task.task_id, next.task.payload, next.task.redriven_from, next.seed, next.steps],
        [newTaskId, payload, idOf(claim), newTaskId, []],
      );
      for (const more of [{ payload }, {}]) {
        const repeated = await redrive(t.id(), more);
        assert.equal('task' in repeated && repeated.task.task_id, newTaskId);
      }
      assert.equal((await redrive(t.id(), { payload: { n: 3 } })).answer, 'other_payload');
      const empty = await failed(t, down, { payload: { n: 1 } });
      const none = { ...t.where(empty), newTaskId: t.id(), payload: null, maxWaiting: 10 };
      assert.equal((await t.storage.tasks.redrive(none)).answer, 'redriven');
      assert.equal((await t.claimOne()).task.payload, null);
    },
  },
];
