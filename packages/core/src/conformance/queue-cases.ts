import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';

const error = { code: 'service_error', message: 'busy', retryable: true } as const;

export const queueCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'leases by priority, 9 first, FIFO within a priority',
    async run(t) {
      const submitted: { id: string; priority: number }[] = [];
      for (const priority of [0, 9, 4, 9, 4])
        submitted.push({ id: (await t.submit({ priority })).task_id, priority });
      const expected = submitted.toSorted((a, b) => b.priority - a.priority).map(({ id }) => id);
      assert.deepEqual(
        (await t.claim()).map(({ task }) => task.task_id),
        expected,
      );
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'leases each task once, also concurrently',
    async run(t) {
      for (let n = 0; n < 10; n += 1) await t.submit();
      const claims = await Promise.all(['a', 'b', 'c'].map((workerId) => t.claim({ workerId, max: 4 })));
      const ids = claims.flat().map(({ task }) => task.task_id);
      assert.equal(ids.length, 10);
      assert.equal(new Set(ids).size, 10);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'starts an attempt, and emits its event',
    async run(t) {
      const claim = await t.leased();
      assert.equal(claim.task.status, 'processing');
      assert.equal(claim.task.attempt, 1);
      assert.equal(claim.version, 1);
      assert.equal(claim.startedAt, t.now());
      assert.deepEqual(await t.eventsOf(claim.task.task_id), ['task_created', 'task_started']);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'returns the same claim for a repeated claim id',
    async run(t) {
      await t.submit();
      await t.submit();
      const claimId = t.id();
      const first = await t.claim({ claimId, max: 1 });
      const second = await t.claim({ claimId, max: 1 });
      assert.deepEqual(
        second.map(({ task, token }) => [task.task_id, token]),
        first.map(({ task, token }) => [task.task_id, token]),
      );
      assert.equal((await t.claim({ max: 10 })).length, 1);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'remembers the last claim of each claim slot of a worker',
    async run(t) {
      for (let at = 0; at < 4; at += 1) await t.submit();
      const idsOf = async (claimSlot: string, claimId: string) =>
        (await t.claim({ claimSlot, claimId, max: 1 })).map(({ task }) => task.task_id);
      const [a, b, c, d] = [t.id(), t.id(), t.id(), t.id()];
      const first = await idsOf('0', a);
      const second = await idsOf('1', b);
      assert.deepEqual([await idsOf('0', a), await idsOf('1', b)], [first, second]);
      const third = await idsOf('1', c);
      assert.deepEqual(await idsOf('0', a), first, 'what another claimSlot did since changes nothing');
      assert.deepEqual(await idsOf('1', c), third);
      const fourth = await idsOf('0', d);
      assert.equal(new Set([...first, ...second, ...third, ...fourth]).size, 4);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'skips tasks that the worker cannot run',
    async run(t) {
      await t.submit({ type: t.otherType });
      const mine = await t.submit();
      assert.deepEqual(
        (await t.claim()).map(({ task }) => task.task_id),
        [mine.task_id],
      );
      const others = await t.claim({ runs: [{ type: t.otherType, versions: [1] }] });
      assert.equal(others.length, 1);
      assert.equal(others[0]?.task.attempt, 1);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'leases a task only to workers with its pinned version',
    async run(t) {
      const claim = await t.leased();
      await t.settle(claim, { kind: 'retry', error, delayMs: 0 });
      await t.pass(1);
      assert.deepEqual(await t.claim({ runs: t.runs(2) }), []);
      const again = await t.claimOne({ runs: t.runs(2, 1) });
      assert.equal(again.version, 1);
      const fresh = await t.submit();
      const [newest] = await t.claim({ runs: t.runs(2, 1) });
      assert.equal(newest?.task.task_id, fresh.task_id);
      assert.equal(newest?.version, 2);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'leases the oldest task every tenth time',
    async run(t) {
      const old = await t.submit({ priority: 0 });
      for (let n = 0; n < 20; n += 1) await t.submit({ priority: 9 });
      const order = (await t.claim({ max: 10 })).map(({ task }) => task.task_id);
      assert.ok(order.includes(old.task_id), 'the oldest is among the first ten');
      assert.ok(order.indexOf(old.task_id) >= 8, 'but not among the first eight');
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'includes the journal, and the revision that an earlier run had replayed',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      await t.report(jobId, { n: 1 });
      const again = await t.claimOne();
      assert.equal(again.task.attempt, 1);
      assert.equal(again.replayedTo, claim.journalRev);
      assert.notEqual(again.token, claim.token);
      assert.deepEqual(
        again.steps.map(({ key, kind, name, outcome, tries }) => ({ key, kind, name, outcome, tries })),
        [
          {
            key: step.key,
            kind: 'call',
            name: 'query.query',
            outcome: { ok: true, value: { n: 1 } },
            tries: 1,
          },
        ],
      );
      assert.ok(again.journalRev > claim.journalRev);
    },
  },
  {
    part: 'queue',
    method: 'renew',
    name: 'renews leases, and returns the lost ones',
    async run(t) {
      await t.submit();
      await t.submit();
      const [kept, lost] = await t.claim();
      assert.ok(kept && lost);
      const lease = (claim: typeof kept) => ({ ...t.where(claim), token: claim.token });
      for (let n = 0; n < 3; n += 1) {
        await t.pass(20_000);
        assert.deepEqual(await t.storage.queue.renew({ leases: [lease(kept)], leaseMs: 30_000 }), []);
      }
      assert.equal((await t.get(kept.task.task_id)).attempt, 1);
      const renewed = await t.storage.queue.renew({ leases: [lease(kept), lease(lost)], leaseMs: 30_000 });
      assert.deepEqual(
        renewed.map(({ taskId }) => taskId),
        [lost.task.task_id],
      );
    },
  },
  {
    part: 'queue',
    method: 'renew',
    name: 'refuses a renewal with another token',
    async run(t) {
      const claim = await t.leased();
      const leases = [
        { ...t.where(claim), token: 'other' },
        { tenantId: t.otherTenantId, taskId: claim.task.task_id, token: claim.token },
      ];
      assert.equal((await t.storage.queue.renew({ leases, leaseMs: 600_000 })).length, 2);
      await t.pass(31_000);
      assert.equal((await t.claim()).length, 1);
    },
  },
  {
    part: 'queue',
    method: 'renew',
    name: 'sets each lease to its new expiry, also to one earlier than those of others',
    async run(t) {
      for (let n = 0; n < 3; n += 1) await t.submit();
      const ends = [60_000, 40_000, 10_000];
      for (const [at, claim] of (await t.claim({ leaseMs: 5_000 })).entries()) {
        const lease = { ...t.where(claim), token: claim.token };
        await t.storage.queue.renew({ leases: [lease], leaseMs: ends[at] ?? 0 });
        if (at === 1) {
          await t.submit();
          await t.claimOne({ leaseMs: 90_000 });
        }
      }
      let past = 0;
      for (const end of ends.toSorted((a, b) => a - b)) {
        await t.pass(end - past - 1);
        assert.deepEqual(await t.claim({ workerId: `early${end}` }), []);
        await t.pass(1);
        past = end;
        const again = await t.claim({ workerId: `late${end}`, leaseMs: 600_000 });
        assert.deepEqual(
          again.map(({ task }) => task.attempt),
          [2],
        );
      }
    },
  },
  {
    part: 'queue',
    method: 'wake',
    name: 'makes a parked task claimable in the same attempt, and no other task',
    async run(t) {
      const claim = await t.leased();
      const wake = (tenantId = t.tenantId) => t.storage.queue.wake({ tenantId, taskId: claim.task.task_id });
      assert.equal(await wake(), 'not_parked');
      assert.deepEqual(await t.claim(), []);
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      assert.equal(await wake(t.otherTenantId), 'not_parked');
      assert.deepEqual(await t.claim(), []);
      assert.equal(await wake(), 'woken');
      assert.equal(await wake(), 'not_parked');
      const [again, ...more] = await t.claim();
      assert.deepEqual([again?.task.task_id, again?.task.attempt, more], [claim.task.task_id, 1, []]);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'stores result, event and answer in one step',
    async run(t) {
      const claim = await t.leased({ session_id: 's' });
      const answer = { message_id: 'a', content: 'said' };
      assert.equal(await t.settle(claim, { kind: 'completed', result: [0], answer }), 'settled');
      const task = await t.get(claim.task.task_id);
      assert.deepEqual([task.status, task.result, task.rev], ['completed', [0], 3]);
      assert.equal(task.finished_at, new Date(t.now()).toISOString());
      assert.deepEqual((await t.log()).at(-1)?.data, [0]);
      const messages = await t.storage.sessions.messages({ tenantId: t.tenantId, sessionId: 's', limit: 5 });
      assert.deepEqual(
        messages?.map(({ role, content }) => [role, content]),
        [['assistant', 'said']],
      );
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'settles once, and only with the lease',
    async run(t) {
      const claim = await t.leased();
      assert.equal(
        await t.settle({ ...claim, token: 'other' }, { kind: 'completed', result: 1 }),
        'lease_lost',
      );
      assert.equal(await t.settle(claim, { kind: 'completed', result: 2 }), 'settled');
      assert.equal(await t.settle(claim, { kind: 'completed', result: 3 }), 'lease_lost');
      assert.equal((await t.get(claim.task.task_id)).result, 2);
      assert.deepEqual(await t.eventsOf(claim.task.task_id), [
        'task_created',
        'task_started',
        'task_completed',
      ]);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'makes a retried task ready after its delay, until no attempt is left',
    async run(t) {
      const first = await t.leased({ maxAttempts: 2 });
      await t.settle(first, { kind: 'retry', error, delayMs: 5_000 });
      assert.equal((await t.get(first.task.task_id)).status, 'pending');
      await t.pass(4_000);
      assert.deepEqual(await t.claim(), []);
      await t.pass(1_000);
      const second = await t.claimOne();
      assert.equal(second.task.attempt, 2);
      await t.settle(second, { kind: 'retry', error, delayMs: 5_000 });
      const task = await t.get(first.task.task_id);
      assert.deepEqual([task.status, task.error?.code], ['failed', 'attempts_exhausted']);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'does not count a lost worker as a failed attempt',
    async run(t) {
      await t.submit({ maxAttempts: 2 });
      await t.claimOne({ leaseMs: 1_000 });
      await t.pass(1_001);
      const first = await t.claimOne();
      await t.settle(first, { kind: 'retry', error, delayMs: 0 });
      await t.pass(1);
      const second = await t.claimOne();
      assert.equal((await t.get(second.task.task_id)).status, 'processing');
      await t.settle(second, { kind: 'retry', error, delayMs: 0 });
      assert.equal((await t.get(second.task.task_id)).error?.code, 'attempts_exhausted');
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'keeps successes over a retry, and drops failed calls',
    async run(t) {
      const claim = await t.leased();
      const [good, caught, bad] = [t.callStep(), t.callStep(), t.callStep()];
      for (const [step, answer] of [
        [good, t.result(1)],
        [caught, t.failure('caught')],
        [bad, t.failure('last')],
      ] as const) {
        await t.begin(claim, step);
        await t.record(claim, step, answer);
      }
      await t.settle(claim, { kind: 'retry', error, delayMs: 0, drop: bad.key });
      await t.pass(1);
      const next = await t.claimOne();
      assert.deepEqual(
        next.steps.map(({ key, inherited }) => [key, inherited]),
        [[good.key, true]],
      );
      assert.equal(next.inherited, 3);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'parks only when the worker has seen every change of the journal',
    async run(t) {
      const { claim, jobId } = await t.withJob();
      await t.report(jobId, 1);
      assert.equal(await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev }), 'newer_outcome');
      const page = await t.storage.journal.changesSince({
        ...t.where(claim),
        token: claim.token,
        journalRev: claim.journalRev,
      });
      assert.ok('journalRev' in page);
      assert.equal(await t.settle(claim, { kind: 'parked', journalRev: page.journalRev }), 'settled');
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'releases a task at no cost of an attempt, in its position',
    async run(t) {
      const claim = await t.leased();
      await t.submit();
      await t.settle(claim, { kind: 'released' });
      const again = await t.claimOne({ max: 1 });
      assert.equal(again.task.task_id, claim.task.task_id);
      assert.equal(again.task.attempt, 1);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'cancels a task whose cancellation is pending, unless it is completed',
    async run(t) {
      for (const [settlement, status] of [
        [{ kind: 'retry', error, delayMs: 0 }, 'cancelled'],
        [{ kind: 'parked', journalRev: 0 }, 'cancelled'],
        [{ kind: 'released' }, 'cancelled'],
        [{ kind: 'failed', error }, 'cancelled'],
        [{ kind: 'completed', result: 1 }, 'completed'],
      ] as const) {
        const claim = await t.leased();
        await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 60_000 });
        assert.equal(await t.settle(claim, settlement), 'settled');
        assert.equal((await t.get(claim.task.task_id)).status, status);
      }
    },
  },
];
