import assert from 'node:assert/strict';
import type { Claim, Settlement } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const error = { code: 'service_unavailable', message: 'down', retryable: true } as const;
const final = { code: 'workflow_error', message: 'broken', retryable: false } as const;
const diagnostic = { message: 'broken', causes: ['the cause'], stack: 'Error: broken' };

/** Progress: a successful own step. */
async function progress(t: CaseTools, claim: Claim): Promise<void> {
  const step = { key: t.name('own'), kind: 'run', name: 'run own' } as const;
  await t.begin(claim, step);
  await t.record(claim, step, t.result(1));
}

/** Loses the lease; returns whether the task is still live. */
async function survivesLoss(t: CaseTools, taskId: string): Promise<boolean> {
  await t.pass(31_000);
  return (await t.get(taskId)).status !== 'failed';
}

/** State after the loss of a worker, a service or an attempt. */
export const recoveryCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'sweep',
    name: 'releases the tasks of a dead worker to run concurrently',
    async run(t) {
      for (let n = 0; n < 5; n += 1) await t.submit();
      await t.loseLeases(1, 5);
      assert.equal((await t.claim({ workerId: 'next' })).length, 5);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'counts no loss for a prefetched task',
    async run(t) {
      const { task_id } = await t.submit();
      await t.loseLeases(5, 1, { begins: 0 });
      assert.equal((await t.get(task_id)).status, 'pending');
      await t.loseLeases(3, 1);
      assert.equal((await t.get(task_id)).error?.code, 'worker_lost');
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'marks prefetched tasks, also retried ones and those of a repeated claim',
    async run(t) {
      for (let n = 0; n < 3; n += 1) await t.submit();
      const [back, ...others] = await t.claim();
      await t.settle(back as Claim, { kind: 'retry', error, delayMs: 0 });
      for (const claim of others) await t.settle(claim, { kind: 'released' });
      await t.pass(1);
      const claimId = t.id();
      const flags = async () => (await t.claim({ claimId, begins: 2 })).map(({ prefetched }) => prefetched);
      assert.deepEqual(await flags(), [false, false, true]);
      assert.deepEqual(await flags(), [false, false, true]);
    },
  },
  {
    part: 'queue',
    method: 'renew',
    name: 'counts the loss of a prefetched task whose run has begun',
    async run(t) {
      const { task_id } = await t.submit();
      for (let n = 0; n < 3; n += 1) {
        const claim = await t.claimOne({ begins: 0, workerId: `w${n}` });
        const leases = [{ ...t.where(claim), token: claim.token, begun: n !== 1 }];
        assert.deepEqual(await t.storage.queue.renew({ leases, leaseMs: 30_000 }), []);
        await t.pass(31_000);
      }
      assert.equal((await t.get(task_id)).status, 'pending');
      await t.loseLeases(1, 1);
      assert.equal((await t.get(task_id)).error?.code, 'worker_lost');
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'resets the lost leases of a task at a recorded outcome',
    async run(t) {
      const { task_id } = await t.submit();
      await t.loseLeases(2, 1);
      await progress(t, await t.claimOne());
      assert.ok(await survivesLoss(t, task_id));
      await t.claimOne();
      assert.ok(await survivesLoss(t, task_id));
      await t.claimOne();
      assert.ok(!(await survivesLoss(t, task_id)));
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'resets the lost leases of a task when it parks and at a new attempt',
    async run(t) {
      for (const kind of ['parked', 'retry'] as const) {
        const { task_id } = await t.submit();
        await t.loseLeases(2, 1);
        const claim = await t.claimOne();
        const settlement: Settlement =
          kind === 'parked' ? { kind, journalRev: claim.journalRev } : { kind, error, delayMs: 0 };
        await t.settle(claim, settlement);
        await t.pass(1);
        await t.storage.queue.wake(t.where(claim));
        for (const isAlive of [true, true, false]) {
          await t.claimOne();
          assert.equal(await survivesLoss(t, task_id), isAlive);
        }
      }
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'answers exhausted for the last retry, and keeps the diagnostic for operators',
    async run(t) {
      const retry = { kind: 'retry', error, diagnostic, delayMs: 0 } as const;
      await t.submit({ maxAttempts: 2 });
      const first = await t.claimOne();
      assert.equal(await t.settle(first, retry), 'settled');
      await t.pass(1);
      assert.equal(await t.settle(await t.claimOne(), retry), 'exhausted');
      const second = await t.leased();
      await t.settle(second, { kind: 'failed', error: final, diagnostic });
      const third = await t.leased();
      await t.settle(third, { kind: 'failed', error: final });
      for (const [claim, expected] of [
        [first, diagnostic],
        [second, diagnostic],
        [third, undefined],
      ] as const) {
        const explanation = await t.storage.tasks.explain(t.where(claim));
        assert.deepEqual(explanation?.diagnostic, expected);
        assert.ok(!JSON.stringify(await t.get(claim.task.task_id)).includes('the cause'));
      }
      assert.ok(!JSON.stringify(await t.log()).includes('the cause'));
      assert.deepEqual((await t.get(second.task.task_id)).error, final);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'keeps a finished wait over a retry, unless it ended the attempt',
    async run(t) {
      const late = {
        key: 'late',
        kind: 'signal',
        name: 'signal late',
        signal: 'late',
        dueInMs: 1_000,
      } as const;
      const claim = await t.leased();
      await t.begin(claim, late);
      await t.pass(1_000);
      const keysAfter = async (before: Claim, drop?: string) => {
        await t.settle(before, { kind: 'retry', error, delayMs: 0, ...(drop !== undefined && { drop }) });
        await t.pass(1);
        const next = await t.claimOne();
        return [next, next.steps.map(({ key }) => key)] as const;
      };
      const [next, kept] = await keysAfter(claim);
      assert.deepEqual(kept, [late.key]);
      const [, left] = await keysAfter(next, late.key);
      assert.deepEqual(left, []);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'marks successes of the attempt before as inherited, and drops failures',
    async run(t) {
      const claim = await t.leased();
      const [good, bad] = [t.callStep(), t.callStep()];
      for (const step of [good, bad]) await t.begin(claim, step);
      await t.record(claim, bad, t.failure('caught'));
      await t.record(claim, good, t.result('kept'));
      await t.settle(claim, { kind: 'failed', error: final });
      const redriven = await t.storage.tasks.redrive({
        maxWaiting: 10_000,
        ...t.where(claim),
        newTaskId: t.id(),
      });
      assert.equal(redriven.answer, 'redriven');
      const next = await t.claimOne();
      assert.deepEqual(
        next.steps.map(({ key, inherited, outcome }) => [key, inherited, outcome]),
        [[good.key, true, { ok: true, value: 'kept' }]],
      );
      assert.equal(next.inherited, 2);
      const own = t.callStep();
      await t.begin(next, own);
      await t.record(next, own, t.result(1));
      const page = await t.storage.journal.changesSince({
        ...t.where(next),
        token: next.token,
        journalRev: next.journalRev,
      });
      assert.ok('changes' in page);
      assert.deepEqual(
        page.changes.map(({ key, inherited }) => [key, inherited]),
        [[own.key, false]],
      );
    },
  },
  {
    part: 'journal',
    method: 'changesSince',
    name: 'inherits the late outcome of a call of an earlier attempt',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      await t.settle(claim, { kind: 'retry', error, delayMs: 0 });
      await t.pass(1);
      const next = await t.claimOne();
      assert.deepEqual(
        next.steps.map(({ key, inherited, call }) => [key, inherited, call?.job_id]),
        [[step.key, true, jobId]],
      );
      await t.report(jobId, 'late');
      const page = await t.storage.journal.changesSince({
        ...t.where(next),
        token: next.token,
        journalRev: next.journalRev,
      });
      assert.ok('changes' in page);
      assert.deepEqual(
        page.changes.map(({ key, inherited, outcome }) => [key, inherited, outcome?.ok]),
        [[step.key, true, true]],
      );
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'leases tasks of a tenant below its limit again, whatever freed the slot and whichever worker claims',
    async run(t) {
      const other = { workerId: 'b', runs: [{ type: t.otherType, versions: [1] }] };
      const ends: readonly Settlement[] = [
        { kind: 'completed', result: 1 },
        { kind: 'failed', error: final, diagnostic },
        { kind: 'released' },
      ];
      await t.storage.tenants.configure({ tenantId: t.tenantId, maxRunning: 1 });
      for (const settlement of ends) {
        assert.deepEqual(await t.claim(other), []);
        await t.submit({ type: t.otherType });
        await t.submit();
        const claim = await t.claimOne({ max: 1 });
        assert.deepEqual(await t.claim(other), []);
        await t.settle(claim, settlement);
        const waited = await t.claimOne({ ...other, max: 1 });
        assert.equal(waited.task.type, t.otherType);
        await t.settle(waited, { kind: 'completed', result: 1 });
      }
    },
  },
  {
    part: 'tasks',
    method: 'getBatch',
    name: 'returns the final status of a task that is no longer kept',
    async run(t) {
      const items = [t.submission(), t.submission(), t.submission()];
      const batchId = t.id();
      await t.storage.tasks.submitBatch({
        tenantId: t.tenantId,
        batch: { batchId, maxInFlight: 3, failFast: false, items },
        maxWaiting: 10,
      });
      const claims = await t.claim();
      await t.settle(claims[0] as Claim, { kind: 'completed', result: 'once' });
      await t.settle(claims[1] as Claim, { kind: 'cancelled' });
      await t.settle(claims[2] as Claim, { kind: 'failed', error: final });
      await t.pass(86_400_000 + 1_000);
      const batch = await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId });
      assert.deepEqual(
        batch?.items.map(({ status, result, error: why }) => [status, result, why?.code]),
        [
          ['completed', undefined, undefined],
          ['cancelled', undefined, undefined],
          ['failed', undefined, 'workflow_error'],
        ],
      );
      assert.deepEqual(batch.counts, { pending: 0, processing: 0, completed: 1, failed: 1, cancelled: 1 });
    },
  },
  {
    part: 'workers',
    method: 'list',
    name: 'drops a worker whose heartbeat has expired',
    async run(t) {
      const [short, long] = [t.id(), t.id()];
      await t.storage.workers.announce({ workerId: short, runs: t.runs(), leaseMs: 5_000 });
      await t.storage.workers.announce({ workerId: long, runs: [], leaseMs: 50_000 });
      const alive = async () => {
        const ids = (await t.storage.workers.list()).map(({ workerId }) => workerId);
        return [ids.includes(short), ids.includes(long)];
      };
      await t.pass(4_999);
      assert.deepEqual(await alive(), [true, true]);
      await t.pass(1);
      assert.deepEqual(await alive(), [false, true]);
      await t.storage.workers.announce({ workerId: short, runs: t.runs(), leaseMs: 5_000 });
      assert.deepEqual(await alive(), [true, true]);
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'refuses a type without a live worker, whatever is queued before it',
    async run(t) {
      for (let n = 0; n < 3; n += 1) await t.submit();
      const { task_id: taskId } = await t.submit();
      await t.storage.workers.announce({ workerId: t.id(), runs: t.runs(), leaseMs: 30_000 });
      const reason = async () =>
        (await t.storage.tasks.explain({ tenantId: t.tenantId, taskId }))?.reason ?? '';
      assert.match(await reason(), /^3 tasks of this tenant go first$/);
      await t.pass(30_000);
      assert.match(await reason(), /no live worker runs this type/);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'keeps a timer that is not due beside one due in the same millisecond',
    async run(t) {
      const other = await t.submit({ timeoutMs: 100 });
      await t.submit();
      const claims = await t.claim();
      const claim = claims.find(({ task }) => task.task_id !== other.task_id) as Claim;
      await t.begin(claim, { key: 'sleep', kind: 'sleep', name: 'sleep', dueInMs: 100.5 });
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      const state = async () => (await t.storage.tasks.explain(t.where(claim)))?.state;
      await t.pass(100);
      assert.deepEqual([(await t.get(other.task_id)).status, await state()], ['failed', 'parked']);
      await t.pass(1);
      assert.equal(await state(), 'woken');
    },
  },
  {
    part: 'tasks',
    method: 'signal',
    name: 'is no progress of a task that waits for its next worker: its lost workers still count',
    async run(t) {
      const claim = await t.leased();
      await t.begin(claim, { key: 'go', kind: 'signal', name: 'signal go', signal: 'go' });
      await t.pass(31_000);
      await t.storage.tasks.signal({ ...t.where(claim), name: 'go', payload: 1, signalId: t.id() });
      await t.loseLeases(2, 1);
      assert.equal((await t.get(claim.task.task_id)).error?.code, 'worker_lost');
    },
  },
];
