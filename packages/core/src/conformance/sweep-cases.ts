import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';

const error = { code: 'service_error', message: 'busy', retryable: true } as const;
/** A result above the inline size of the log. */
const LARGE = 'x'.repeat(10_000);

export const sweepCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'sweep',
    name: 'reassigns a task whose lease has expired to another worker',
    async run(t) {
      const claim = await t.leased();
      await t.pass(29_000);
      assert.deepEqual(await t.claim(), []);
      await t.pass(2_000);
      const again = await t.claimOne({ workerId: 'other' });
      assert.equal(again.task.task_id, claim.task.task_id);
      assert.equal(again.task.attempt, 2);
      assert.equal(await t.settle(claim, { kind: 'completed', result: 'late' }), 'lease_lost');
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'fails a task as worker_lost after it has cost three workers',
    async run(t) {
      const { task_id } = await t.submit();
      for (let n = 0; n < 3; n += 1) {
        await t.claimOne({ workerId: `w${n}` });
        await t.pass(31_000);
      }
      const task = await t.get(task_id);
      assert.deepEqual([task.status, task.error?.code], ['failed', 'worker_lost']);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'leases at most one task with two lost leases to a worker',
    async run(t) {
      await t.submit();
      await t.submit();
      await t.loseLeases(2, 2);
      assert.equal((await t.claim({ workerId: 'next' })).length, 1);
      assert.equal((await t.claim({ workerId: 'next' })).length, 0);
      assert.equal((await t.claim({ workerId: 'third' })).length, 1);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'fails tasks past their deadline, and no others',
    async run(t) {
      const short = await t.submit({ timeoutMs: 5_000 });
      const long = await t.submit({ timeoutMs: 50_000 });
      await t.pass(5_000);
      const task = await t.get(short.task_id);
      assert.deepEqual([task.status, task.error?.code], ['failed', 'timeout']);
      assert.equal((await t.get(long.task_id)).status, 'pending');
      assert.deepEqual(
        (await t.claim()).map(({ task: { task_id } }) => task_id),
        [long.task_id],
      );
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'ends sleeps and timed-out signal waits, and wakes their tasks',
    async run(t) {
      const claim = await t.leased();
      await t.begin(claim, { key: 'sleep', kind: 'sleep', name: 'sleep', dueInMs: 1_000 });
      await t.begin(claim, {
        key: 'signal',
        kind: 'signal',
        name: 'signal go',
        signal: 'go',
        dueInMs: 2_000,
      });
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      await t.pass(1_000);
      const first = await t.claimOne();
      assert.deepEqual(first.steps.find(({ key }) => key === 'sleep')?.outcome, { ok: true, value: null });
      await t.settle(first, { kind: 'parked', journalRev: first.journalRev });
      await t.pass(1_000);
      const outcome = (await t.claimOne()).steps.find(({ key }) => key === 'signal')?.outcome;
      assert.ok(outcome && !outcome.ok && outcome.error.code === 'timeout');
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'starts a new try of a job past its silence limit, unless the service has reported',
    async run(t) {
      const { claim, step, jobId } = await t.withJob('silent', { silenceMs: 10_000 });
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      await t.pass(9_000);
      await t.report(jobId, null, { body: { kind: 'status', status: 'here', details: {} } });
      await t.pass(9_000);
      assert.deepEqual(await t.claim(), []);
      await t.pass(1_000);
      await t.pass(1_000);
      const again = await t.claimOne();
      const known = again.steps.find(({ key }) => key === step.key);
      assert.equal(known?.outcome, undefined);
      assert.equal(known?.call, undefined);
      assert.equal(known?.backingOff, false);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'removes a completed task after a day, a failed one after a fortnight',
    async run(t) {
      const [done, failed] = [await t.leased(), await t.leased()];
      await t.settle(done, { kind: 'completed', result: 1 });
      await t.settle(failed, { kind: 'failed', error: { ...error, retryable: false } });
      await t.pass(86_400_000 - 1_000);
      assert.equal((await t.get(done.task.task_id)).status, 'completed');
      await t.pass(2_000);
      assert.equal(await t.storage.tasks.get(t.where(done)), undefined);
      assert.equal((await t.get(failed.task.task_id)).status, 'failed');
      await t.pass(13 * 86_400_000);
      assert.equal(await t.storage.tasks.get(t.where(failed)), undefined);
      const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      assert.deepEqual(counts, { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 });
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'keeps due timers beyond max for the next sweep',
    async run(t) {
      await Promise.all([0, 1, 2].map(() => t.submit({ timeoutMs: 9 * 86_400_000 })));
      const sweepBySteps = async (isDone: () => Promise<boolean>) => {
        for (let n = 0; n < 1_000 && !(await isDone()); n += 1) await t.storage.queue.sweep({ max: 1 });
      };
      assert.equal((await t.claim({ leaseMs: 1_000 })).length, 3);
      await t.advance(1_000);
      const stats = () => t.storage.tenants.get({ tenantId: t.tenantId });
      await sweepBySteps(async () => (await stats()).ready === 3);
      const again = [];
      for (const workerId of ['a', 'b', 'c']) again.push(await t.claimOne({ workerId, max: 1 }));
      assert.equal(new Set(again.map(({ task }) => task.task_id)).size, 3);
      await Promise.all(again.map((claim) => t.settle(claim, { kind: 'completed', result: 1 })));
      await t.advance(86_400_000);
      await sweepBySteps(async () => (await stats()).counts.completed === 0);
      assert.equal((await stats()).counts.completed, 0);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'keeps tasks that are still listed, however old, and fires the timers behind them',
    async run(t) {
      const ids: string[] = [];
      const failed = { kind: 'failed', error: { ...error, retryable: false } } as const;
      for (let n = 0; n < 3; n += 1) {
        const claim = await t.leased();
        ids.unshift(claim.task.task_id);
        await t.settle(claim, n === 1 ? { kind: 'completed', result: 1 } : failed);
      }
      const [last, gone, first] = ids;
      for (let day = 0; day < 5; day += 1) await t.pass(86_400_000);
      const newer = await t.submit({ timeoutMs: 60_000 });
      const listed = async () => {
        const { tasks } = await t.storage.tasks.list({ tenantId: t.tenantId, filter: {}, limit: 9 });
        return tasks.map(({ task_id }) => task_id);
      };
      assert.deepEqual(await listed(), [newer.task_id, last, first]);
      assert.equal(await t.storage.tasks.get({ tenantId: t.tenantId, taskId: gone ?? '' }), undefined);
      await t.pass(60_000);
      assert.equal((await t.get(newer.task_id)).status, 'failed');
      for (let day = 0; day < 9; day += 1) await t.pass(86_400_000);
      assert.deepEqual(await listed(), [newer.task_id]);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'removes a task with its calls, jobs and journal, whatever its final state',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      await t.report(jobId, 1);
      const dropped = t.callStep();
      await t.begin(claim, dropped);
      await t.record(claim, dropped, { kind: 'accepted', jobId: 'dropped' });
      await t.report('dropped', null, { body: t.failure('last') });
      await t.settle(claim, { kind: 'retry', error, delayMs: 0, drop: dropped.key });
      await t.pass(1);
      await t.settle(await t.claimOne(), { kind: 'completed', result: LARGE });
      const late = await Promise.all([
        t.report('dropped', 1),
        t.report('any', 1, { callId: step.call.callId }),
        t.report('other', 1, { callId: dropped.call.callId }),
      ]);
      assert.deepEqual(
        late.map(({ answer }) => answer),
        ['stale', 'duplicate', 'stale'],
      );
      const failed = await t.leased({ session_id: 's' });
      await t.settle(failed, { kind: 'failed', error: { ...error, retryable: false } });
      const cancelled = await t.submit({ session_id: 's' });
      await t.storage.tasks.cancel({
        tenantId: t.tenantId,
        taskId: cancelled.task_id,
        reason: 'enough',
        graceMs: 0,
      });
      const left = async () => {
        const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
        return [counts.completed, counts.cancelled, counts.failed];
      };
      await t.pass(86_400_000 - 1_000);
      assert.deepEqual(await left(), [1, 1, 1]);
      await t.pass(2_000);
      assert.deepEqual(await left(), [0, 0, 1]);
      const unknown = await Promise.all([
        t.report(jobId, 1),
        t.report('any', 1, { callId: step.call.callId }),
      ]);
      assert.deepEqual(
        unknown.map(({ answer }) => answer),
        ['unknown_task', 'unknown_task'],
      );
      await t.pass(13 * 86_400_000);
      assert.deepEqual(await left(), [0, 0, 0]);
      // The id is free again.
      for (const { task } of [claim, failed]) {
        const again = await t.submit({ task_id: task.task_id });
        assert.deepEqual(await t.get(task.task_id), again);
        assert.deepEqual([again.status, again.rev, again.attempt], ['pending', 1, 0]);
      }
      assert.deepEqual(
        (await t.claim()).map(({ task, steps }) => [task.task_id, steps]),
        [claim, failed].map(({ task }) => [task.task_id, []]),
      );
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'fires at most max timers, and reports that more are due',
    async run(t) {
      for (let n = 0; n < 3; n += 1) await t.submit({ timeoutMs: 1_000 });
      await t.advance(1_000);
      await t.storage.queue.sweep({ max: 0 });
      const failed = async () => (await t.storage.tasks.counts({ tenantId: t.tenantId })).counts.failed;
      assert.equal(await failed(), 0);
      let sweeps = 0;
      for (; (await failed()) < 3 && sweeps < 1_000; sweeps += 1) {
        const { nextDueAt } = await t.storage.queue.sweep({ max: 1 });
        assert.ok((await failed()) === 3 || (nextDueAt !== undefined && nextDueAt <= t.now()));
      }
      assert.ok(sweeps >= 3);
    },
  },
];
