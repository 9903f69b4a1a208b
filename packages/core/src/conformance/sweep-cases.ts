import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';

const error = { code: 'service_error', message: 'busy', retryable: true } as const;

export const sweepCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'sweep',
    name: 'gives a task whose lease ran out to another worker',
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
    name: 'fails a task that has cost three workers',
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
    name: 'gives a worker at most one task that has lost a lease',
    async run(t) {
      await t.submit();
      await t.submit();
      await t.claim({ workerId: 'dead' });
      await t.pass(31_000);
      assert.equal((await t.claim({ workerId: 'next' })).length, 1);
      assert.equal((await t.claim({ workerId: 'next' })).length, 0);
      assert.equal((await t.claim({ workerId: 'third' })).length, 1);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'ends what is past its deadline, and only that',
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
    name: 'ends sleeps, and signals that did not come, and wakes their task',
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
      await t.settle(claim, { kind: 'parked', seen: claim.seen });
      await t.pass(1_000);
      const first = await t.claimOne();
      assert.deepEqual(first.steps.find(({ key }) => key === 'sleep')?.outcome, { ok: true, value: null });
      await t.settle(first, { kind: 'parked', seen: first.seen });
      await t.pass(1_000);
      const outcome = (await t.claimOne()).steps.find(({ key }) => key === 'signal')?.outcome;
      assert.ok(outcome && !outcome.ok && outcome.error.code === 'timeout');
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'gives a job that is silent a new try, unless it was heard of',
    async run(t) {
      const { claim, step, jobId } = await t.withJob('silent', { silenceMs: 10_000 });
      await t.settle(claim, { kind: 'parked', seen: claim.seen });
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
    name: 'removes a task a day after its end, a failed one after a fortnight',
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
    name: 'does at most what it is told to, and says when there is more',
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
