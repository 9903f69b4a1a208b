import type { ListTasksParams } from '../storage/task-records.js';
import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';

const error = { code: 'workflow_error', message: 'bad', retryable: false } as const;

export const taskCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'get',
    name: 'returns the task at exactly the cursor, and the start of its events',
    async run(t) {
      await t.submit();
      const task = await t.submit();
      await t.submit();
      const found = await t.storage.tasks.get({ tenantId: t.tenantId, taskId: task.task_id });
      assert.equal(found?.cursor, await t.storage.events.head({ tenantId: t.tenantId }));
      const { events } = await t.storage.events.read({
        tenantId: t.tenantId,
        after: found?.startCursor ?? '',
        limit: 10,
      });
      assert.equal(events[0]?.task_id, task.task_id);
      assert.equal(events[0]?.event, 'task_created');
    },
  },
  {
    part: 'tasks',
    method: 'get',
    name: 'finds no task of another tenant',
    async run(t) {
      const task = await t.submit();
      assert.equal(await t.storage.tasks.get({ tenantId: t.otherTenantId, taskId: task.task_id }), undefined);
      assert.equal(await t.storage.tasks.get({ tenantId: t.tenantId, taskId: t.id() }), undefined);
    },
  },
  {
    part: 'tasks',
    method: 'get',
    name: 'includes the calls of a task',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      assert.deepEqual((await t.get(claim.task.task_id)).delegated_services, [
        {
          service: 'query',
          operation: 'query',
          task_id: jobId,
          call_id: step.call.callId,
          status: 'processing',
        },
      ]);
      await t.report(jobId, 1);
      assert.equal((await t.get(claim.task.task_id)).delegated_services[0]?.status, 'completed');
    },
  },
  {
    part: 'tasks',
    method: 'list',
    name: 'pages from the newest to the oldest, each task once',
    async run(t) {
      const ids: string[] = [];
      for (let n = 0; n < 5; n += 1) ids.unshift((await t.submit()).task_id);
      const journalRev: string[] = [];
      let after: string | undefined;
      do {
        const page = await t.storage.tasks.list({
          tenantId: t.tenantId,
          filter: {},
          limit: 2,
          ...(after !== undefined && { after }),
        });
        assert.ok(page.tasks.length <= 2);
        journalRev.push(...page.tasks.map(({ task_id }) => task_id));
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(journalRev, ids);
    },
  },
  {
    part: 'tasks',
    method: 'list',
    name: 'filters by status, type and session, within the tenant',
    async run(t) {
      const [plain, other, inSession] = [
        await t.submit(),
        await t.submit({ type: 'other' }),
        await t.submit({ session_id: 's' }),
      ];
      await t.settle(await t.claimOne({ max: 1 }), { kind: 'completed', result: 1 });
      const list = async (filter: ListTasksParams['filter'], tenantId = t.tenantId) =>
        (await t.storage.tasks.list({ tenantId, filter, limit: 10 })).tasks.map(({ task_id }) => task_id);
      assert.deepEqual(await list({ status: 'completed' }), [plain.task_id]);
      assert.deepEqual(await list({ status: 'pending' }), [inSession.task_id, other.task_id]);
      assert.deepEqual(await list({ type: 'other' }), [other.task_id]);
      assert.deepEqual(await list({ sessionId: 's', status: 'pending' }), [inSession.task_id]);
      assert.deepEqual(await list({}, t.otherTenantId), []);
    },
  },
  {
    part: 'tasks',
    method: 'counts',
    name: 'counts tasks by status',
    async run(t) {
      for (let n = 0; n < 4; n += 1) await t.submit();
      await t.submit({ runAt: t.now() + 60_000 });
      const [first, second] = await t.claim({ max: 3 });
      assert.ok(first && second);
      await t.settle(first, { kind: 'completed', result: 1 });
      await t.settle(second, { kind: 'failed', error });
      const { counts, cursor } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      assert.deepEqual(counts, { pending: 2, processing: 1, completed: 1, failed: 1, cancelled: 0 });
      assert.equal(cursor, await t.storage.events.head({ tenantId: t.tenantId }));
      const empty = await t.storage.tasks.counts({ tenantId: t.otherTenantId });
      assert.deepEqual(empty.counts, { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 });
    },
  },
  {
    part: 'tasks',
    method: 'cancel',
    name: 'cancels a task without a lease at once',
    async run(t) {
      const waiting = await t.submit();
      const where = { tenantId: t.tenantId, taskId: waiting.task_id, reason: 'enough', graceMs: 30_000 };
      const cancelled = await t.storage.tasks.cancel(where);
      assert.equal(cancelled.answer, 'cancelled');
      assert.deepEqual(await t.claim(), []);
      assert.equal((await t.storage.tasks.cancel(where)).answer, 'already_final');
      const task = await t.get(waiting.task_id);
      assert.deepEqual(
        [task.status, task.error?.code, task.error?.message],
        ['cancelled', 'cancelled', 'enough'],
      );
      assert.deepEqual(await t.eventsOf(waiting.task_id), ['task_created', 'task_failed']);
      assert.equal(
        (await t.storage.tasks.cancel({ ...where, tenantId: t.otherTenantId })).answer,
        'not_found',
      );
    },
  },
  {
    part: 'tasks',
    method: 'cancel',
    name: 'cancels a parked task at once, and notifies its service',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      const received: unknown[] = [];
      const unsubscribe = t.storage.wakeups.subscribe(
        (wakeup) => wakeup.kind === 'call_cancelled' && received.push(wakeup),
      );
      await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 30_000 });
      await t.advance(0);
      unsubscribe();
      assert.equal((await t.get(claim.task.task_id)).status, 'cancelled');
      assert.deepEqual(received, [
        {
          kind: 'call_cancelled',
          service: 'query',
          frame: {
            event: 'task_cancel',
            task_id: jobId,
            call_id: step.call.callId,
            global_task_id: claim.task.task_id,
            tenant_id: t.tenantId,
            reason: 'enough',
          },
        },
      ]);
    },
  },
  {
    part: 'tasks',
    method: 'cancel',
    name: 'leaves a leased task to its worker until the end of the grace',
    async run(t) {
      const claim = await t.leased();
      const cancel = () => t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 5_000 });
      assert.equal((await cancel()).answer, 'cancelling');
      assert.equal((await cancel()).answer, 'cancelling');
      await t.pass(4_000);
      assert.equal((await t.get(claim.task.task_id)).status, 'processing');
      await t.pass(1_000);
      assert.equal((await t.get(claim.task.task_id)).status, 'cancelled');
      assert.equal(await t.settle(claim, { kind: 'completed', result: 1 }), 'lease_lost');
    },
  },
  {
    part: 'tasks',
    method: 'signal',
    name: 'ends the step that waits for the signal, and wakes the task',
    async run(t) {
      const claim = await t.leased();
      await t.begin(claim, { key: 's', kind: 'signal', name: 'signal go', signal: 'go' });
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      const signal = (name: string, payload: number) =>
        t.storage.tasks.signal({ ...t.where(claim), name, payload, signalId: t.id() });
      assert.equal((await signal('stop', 0)).answer, 'kept');
      assert.deepEqual(await t.claim(), []);
      assert.equal((await signal('go', 0)).answer, 'delivered');
      const again = await t.claimOne();
      assert.deepEqual(again.steps.find(({ key }) => key === 's')?.outcome, { ok: true, value: 0 });
    },
  },
  {
    part: 'tasks',
    method: 'signal',
    name: 'keeps signals until a step waits for them, in order, each delivered once',
    async run(t) {
      const claim = await t.leased();
      for (const payload of [1, 2]) {
        await t.storage.tasks.signal({ ...t.where(claim), name: 'go', payload, signalId: t.id() });
      }
      const values: unknown[] = [];
      for (const key of ['a', 'b', 'c']) {
        const begun = await t.begin(claim, { key, kind: 'signal', name: 'signal go', signal: 'go' });
        values.push('step' in begun && begun.step.outcome?.ok ? begun.step.outcome.value : 'open');
      }
      assert.deepEqual(values, [1, 2, 'open']);
    },
  },
  {
    part: 'tasks',
    method: 'signal',
    name: 'refuses a signal beyond a hundred, to an ended task, and to a foreign one',
    async run(t) {
      const claim = await t.leased();
      const about = { taskId: claim.task.task_id, name: 'go', payload: null };
      const signal = (tenantId = t.tenantId) =>
        t.storage.tasks.signal({ ...about, tenantId, signalId: t.id() });
      for (let n = 0; n < 100; n += 1) assert.equal((await signal()).answer, 'kept');
      assert.equal((await signal()).answer, 'too_many');
      assert.equal((await signal(t.otherTenantId)).answer, 'not_found');
      await t.settle(claim, { kind: 'completed', result: 1 });
      assert.equal((await signal()).answer, 'already_final');
    },
  },
  {
    part: 'tasks',
    method: 'signal',
    name: 'does not deliver a repeated signal id again, whether the first was kept or delivered',
    async run(t) {
      const claim = await t.leased();
      const signal = (signalId: string) =>
        t.storage.tasks.signal({ ...t.where(claim), name: 'go', payload: 1, signalId });
      const [kept, delivered] = [t.id(), t.id()];
      assert.equal((await signal(kept)).answer, 'kept');
      assert.equal((await signal(kept)).answer, 'repeated');
      const ask = (key: string) => t.begin(claim, { key, kind: 'signal', name: 'signal go', signal: 'go' });
      await ask('a');
      await ask('b');
      assert.equal((await signal(kept)).answer, 'repeated');
      assert.equal((await signal(delivered)).answer, 'delivered');
      const third = await ask('c');
      assert.equal((await signal(delivered)).answer, 'repeated');
      assert.ok('step' in third && third.step.outcome === undefined);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'returns the same new task when repeated',
    async run(t) {
      const claim = await t.leased();
      await t.settle(claim, { kind: 'failed', error });
      const [first, second] = [t.id(), t.id()];
      const redrive = (newTaskId: string) =>
        t.storage.tasks.redrive({ maxWaiting: 10_000, ...t.where(claim), newTaskId });
      await redrive(first);
      for (const again of [await redrive(second), await redrive(first)]) {
        assert.ok('task' in again);
        assert.equal(again.task.task_id, first);
      }
      assert.equal(await t.storage.tasks.get({ tenantId: t.tenantId, taskId: second }), undefined);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'creates a task with the successes of the old journal',
    async run(t) {
      const claim = await t.leased({ payload: { a: 1 } });
      const [good, bad] = [t.callStep(), t.callStep()];
      await t.begin(claim, good);
      await t.record(claim, good, t.result('kept'));
      await t.begin(claim, bad);
      await t.record(claim, bad, t.failure('lost'));
      await t.settle(claim, { kind: 'failed', error });
      const newTaskId = t.id();
      const redriven = await t.storage.tasks.redrive({ maxWaiting: 10_000, ...t.where(claim), newTaskId });
      assert.ok('task' in redriven);
      assert.equal(redriven.task.redriven_from, claim.task.task_id);
      const next = await t.claimOne();
      assert.equal(next.task.task_id, newTaskId);
      assert.equal(next.seed, claim.seed);
      assert.deepEqual(
        next.steps.map(({ key, outcome }) => [key, outcome]),
        [[good.key, { ok: true, value: 'kept' }]],
      );
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'keeps the version, and blocks no other task where no worker runs it',
    async run(t) {
      await t.submit();
      const [old] = await t.claim({ runs: t.runs(2) });
      assert.ok(old);
      await t.settle(old, {
        kind: 'failed',
        error: { code: 'workflow_error', message: 'x', retryable: false },
      });
      const newTaskId = t.id();
      await t.storage.tasks.redrive({ maxWaiting: 10_000, ...t.where(old), newTaskId });
      const fresh = await t.submit();
      assert.deepEqual(
        (await t.claim({ runs: t.runs(1) })).map(({ task }) => task.task_id),
        [fresh.task_id],
      );
      const again = await t.claimOne({ runs: t.runs(3, 2) });
      assert.deepEqual([again.task.task_id, again.version], [newTaskId, 2]);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'accepts failed tasks of the tenant only',
    async run(t) {
      const task = await t.submit();
      const redrive = (tenantId: string) =>
        t.storage.tasks.redrive({ maxWaiting: 10_000, tenantId, taskId: task.task_id, newTaskId: t.id() });
      assert.equal((await redrive(t.tenantId)).answer, 'not_failed');
      assert.equal((await redrive(t.otherTenantId)).answer, 'not_found');
      assert.equal((await t.claim()).length, 1);
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'returns the position of a task in its queue',
    async run(t) {
      await t.submit({ priority: 9 });
      const last = await t.submit({ priority: 0 });
      await t.submit({ priority: 5 });
      await t.storage.workers.announce({ workerId: t.id(), runs: t.runs() });
      const explained = await t.storage.tasks.explain({ tenantId: t.tenantId, taskId: last.task_id });
      assert.equal(explained?.position, 2);
      assert.equal(explained?.state, 'ready');
      assert.equal(
        await t.storage.tasks.explain({ tenantId: t.otherTenantId, taskId: last.task_id }),
        undefined,
      );
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'counts all tasks of the tenant before it, of every type',
    async run(t) {
      const other = `${t.type}-other`;
      await t.submit({ priority: 9, type: other });
      await t.submit({ priority: 4 });
      await t.submit({ priority: 4, type: other });
      const task = await t.submit({ priority: 4 });
      await t.submit({ priority: 4, type: other });
      await t.submit({ priority: 3 });
      await t.storage.workers.announce({ workerId: t.id(), runs: t.runs() });
      const explained = await t.storage.tasks.explain({ tenantId: t.tenantId, taskId: task.task_id });
      assert.equal(explained?.position, 3);
      assert.match(explained?.reason ?? '', /^3 tasks/);
    },
  },
  {
    part: 'tasks',
    method: 'explain',
    name: 'names the job that a parked task waits for, and since when',
    async run(t) {
      const { claim, jobId } = await t.withJob();
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      const since = new Date(t.now()).toISOString();
      await t.advance(5_000);
      const explained = await t.storage.tasks.explain(t.where(claim));
      assert.match(explained?.reason ?? '', new RegExp(jobId));
      assert.equal(explained?.since, since);
    },
  },
];
