import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { Task } from '../protocol/task.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** More tasks than two steps cancel. */
const MANY = 2 * DEFAULTS.cancelledAtOnce + 30;
const DAY_MS = 24 * 60 * 60_000;
const failure = { code: 'service_error', message: 'down', retryable: false } as const;
/** An aborted signal: only the first step happens, as if the process had died after it. */
const died = AbortSignal.abort();

const inSession = (t: CaseTools) => ({ tenantId: t.tenantId, sessionId: 's' });

async function fillSession(t: CaseTools): Promise<readonly Task[]> {
  return Promise.all(Array.from({ length: MANY }, () => t.submit({ session_id: 's' })));
}

async function counts(t: CaseTools) {
  return (await t.storage.tasks.counts({ tenantId: t.tenantId })).counts;
}

async function submitBatch(t: CaseTools, more: { maxInFlight?: number; failFast?: boolean } = {}) {
  const items = Array.from({ length: MANY }, () => t.submission());
  const batchId = t.id();
  const batch = { batchId, maxInFlight: 1, failFast: false, items, ...more };
  const { tenantId } = t;
  assert.equal(
    (await t.storage.tasks.submitBatch({ tenantId, batch, maxWaiting: 10_000 })).answer,
    'submitted',
  );
  return { tenantId, batchId };
}

/** Runs tasks that were ready before the cancellation began; none behind them may start. */
async function runTheFirst(t: CaseTools): Promise<void> {
  await t.settle(await t.claimOne(), { kind: 'completed', result: 1 });
  assert.deepEqual(await t.claim(), []);
}

/** Bounded steps: what exceeds one step is left to later ones. */
export const portionCases: readonly ConformanceCase[] = [
  {
    part: 'sessions',
    method: 'close',
    name: 'has cancelled every task of the session when it resolves, however many',
    async run(t) {
      await fillSession(t);
      const parallel = await t.submit({ session_id: 's' }, { onBusy: 'parallel' });
      const later = await t.submit({ session_id: 's', runAt: t.now() + 60_000 });
      const other = await t.submit({ session_id: 'other' });
      const { answer } = await t.storage.sessions.close({ ...inSession(t), graceMs: 1_000 });
      assert.equal(answer, 'closed');
      const { pending, cancelled } = await counts(t);
      assert.deepEqual([pending, cancelled], [1, MANY + 2]);
      for (const { task_id } of [parallel, later])
        assert.deepEqual(await t.eventsOf(task_id), ['task_created', 'task_failed']);
      assert.equal((await t.claimOne()).task.task_id, other.task_id);
      assert.deepEqual((await t.storage.sessions.get(inSession(t)))?.tasks, []);
    },
  },
  {
    part: 'sessions',
    method: 'close',
    name: 'admits no task after the first step, and leaves the rest of the cancellation to the sweeper',
    async run(t) {
      const tasks = await fillSession(t);
      const { answer } = await t.storage.sessions.close({ ...inSession(t), graceMs: 0, signal: died });
      assert.equal(answer, 'closed');
      assert.equal((await counts(t)).cancelled, DEFAULTS.cancelledAtOnce);
      const refused = await t.storage.tasks.submit({
        tenantId: t.tenantId,
        submission: t.submission({ session_id: 's' }),
        maxWaiting: 10_000,
      });
      assert.equal(refused.answer, 'session_closed');
      await runTheFirst(t);
      await t.pass(5_000);
      const { pending, completed, cancelled } = await counts(t);
      assert.deepEqual([pending, completed, cancelled], [0, 1, MANY - 1]);
      assert.equal((await t.get(tasks[0]?.task_id ?? '')).status, 'completed');
    },
  },
  {
    part: 'sessions',
    method: 'close',
    name: 'resumes an abandoned cancellation, past tasks that were cancelled meanwhile',
    async run(t) {
      const tasks = await fillSession(t);
      await t.storage.sessions.close({ ...inSession(t), graceMs: 0, signal: died });
      const [, second] = tasks;
      const cancel = { taskId: second?.task_id ?? '', reason: 'enough', graceMs: 0 };
      await t.storage.tasks.cancel({ tenantId: t.tenantId, ...cancel });
      const { answer } = await t.storage.sessions.close({ ...inSession(t), graceMs: 0 });
      assert.equal(answer, 'already_closed');
      assert.deepEqual([(await counts(t)).pending, (await counts(t)).cancelled], [0, MANY]);
      assert.equal((await t.get(second?.task_id ?? '')).error?.message, 'enough');
      const ends = (await t.log()).filter(({ event }) => event === 'task_failed');
      assert.equal(ends.length, MANY);
    },
  },
  {
    part: 'sessions',
    method: 'close',
    name: 'cancels no task redriven into the session meanwhile, and admits it at the end',
    async run(t) {
      const failed = await t.leased({ session_id: 's' });
      await t.settle(failed, { kind: 'failed', error: failure });
      await fillSession(t);
      await t.storage.sessions.close({ ...inSession(t), graceMs: 0, signal: died });
      const newTaskId = t.id();
      await t.storage.tasks.redrive({ maxWaiting: 10_000, ...t.where(failed), newTaskId });
      await t.storage.sessions.close({ ...inSession(t), graceMs: 0 });
      assert.equal((await counts(t)).cancelled, MANY);
      assert.equal((await t.claimOne()).task.task_id, newTaskId);
    },
  },
  {
    part: 'tasks',
    method: 'cancelBatch',
    name: 'has cancelled the whole batch when it resolves; a rest is cancelled by the sweeper or another caller',
    async run(t) {
      const other = await t.submit();
      const whole = await submitBatch(t);
      const cancel = { reason: 'enough', graceMs: 0 };
      const cancelled = await t.storage.tasks.cancelBatch({ ...whole, ...cancel });
      assert.equal(cancelled?.counts.cancelled, MANY);
      await t.settle(await t.claimOne(), { kind: 'completed', result: other.type });
      for (const goesOn of [
        () => t.pass(5_000),
        (about: typeof whole) => t.storage.tasks.cancelBatch({ ...about, ...cancel }),
      ]) {
        const begun = await submitBatch(t);
        const first = await t.storage.tasks.cancelBatch({ ...begun, ...cancel, signal: died });
        assert.equal(first?.counts.cancelled, DEFAULTS.cancelledAtOnce);
        await runTheFirst(t);
        await goesOn(begun);
        const after = await t.storage.tasks.getBatch(begun);
        assert.deepEqual([after?.counts.completed, after?.counts.cancelled], [1, MANY - 1]);
      }
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'fails a batch of any size at its first failure: no waiting task starts, and the sweeper cancels the rest',
    async run(t) {
      const about = await submitBatch(t, { failFast: true, maxInFlight: 2 });
      const [first, second] = await t.claim();
      assert.ok(first && second);
      await t.settle(first, { kind: 'failed', error: failure });
      await t.settle(second, { kind: 'completed', result: 1 });
      assert.deepEqual(await t.claim(), []);
      await t.pass(1);
      const after = await t.storage.tasks.getBatch(about);
      assert.deepEqual(
        [after?.counts.failed, after?.counts.completed, after?.counts.cancelled],
        [1, 1, MANY - 2],
      );
      const reason = `task ${first.task.task_id} of the batch failed`;
      assert.equal(after?.items.at(-1)?.error?.message, reason);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'fires as many timers as requested, in as many steps as needed',
    async run(t) {
      const due = 3 * DEFAULTS.timersAtOnce + 5;
      const submitted = Array.from({ length: due }, () => t.submit({ timeoutMs: 1_000 }));
      await Promise.all(submitted);
      await t.submit({ timeoutMs: 60_000 });
      await t.advance(1_000);
      const { nextDueAt } = await t.storage.queue.sweep({ max: 10_000 });
      assert.equal((await counts(t)).failed, due);
      assert.ok(nextDueAt !== undefined && nextDueAt > t.now());
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'keeps a batch until the last of its tasks is removed, however many items come before it',
    async run(t) {
      const bad = { error: { code: 'workflow_error', message: 'bad', retryable: false } } as const;
      const last = t.submission({ timeoutMs: 1_000 });
      const items = [...Array.from({ length: 1_100 }, () => bad), last];
      const batch = { batchId: t.id(), maxInFlight: 1, failFast: false, items };
      const where = { tenantId: t.tenantId, batchId: batch.batchId };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 10_000 });
      // Its only task is a dead letter, kept for a fortnight.
      for (let day = 1; day < 15; day += 1) {
        await t.pass(DAY_MS);
        if (day % 7 > 0) continue;
        const found = await t.storage.tasks.getBatch(where);
        assert.deepEqual([found?.total, found?.counts.failed], [items.length, items.length]);
        assert.equal(found?.items.at(-1)?.task_id, last.task.task_id);
      }
      for (let day = 0; day < 3; day += 1) await t.pass(DAY_MS);
      assert.equal(await t.storage.tasks.getBatch(where), undefined);
    },
  },
];
