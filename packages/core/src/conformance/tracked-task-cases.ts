import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';

const error = { code: 'workflow_error', message: 'bad', retryable: false } as const;

export const trackedTaskCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'register',
    name: 'stores a tracked task that no worker claims',
    async run(t) {
      const task = await t.registered();
      assert.equal(task.status, 'processing');
      assert.equal(task.rev, 2);
      assert.deepEqual(await t.claim(), []);
      assert.deepEqual(await t.eventsOf(task.task_id), ['task_created', 'task_started']);
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'returns the same task for the same id',
    async run(t) {
      const task = t.newTask();
      const first = await t.storage.tasks.register({ maxWaiting: 10_000, tenantId: t.tenantId, task });
      const second = await t.storage.tasks.register({ maxWaiting: 10_000, tenantId: t.tenantId, task });
      assert.deepEqual([first.answer, second.answer], ['registered', 'replayed']);
      assert.equal((await t.log()).length, 2);
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'ends a task registered with a call by the outcome of that call',
    async run(t) {
      const call = { callId: t.id(), service: 'query', operation: 'run', jobId: 'j', silenceMs: 60_000 };
      const task = await t.registered({ call });
      assert.deepEqual(await t.report('j', false), { answer: 'applied', taskId: task.task_id });
      const ended = await t.get(task.task_id);
      assert.equal(ended.status, 'completed');
      assert.equal(ended.result, false);
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'fails a task registered with a call past its silence limit',
    async run(t) {
      const call = { callId: t.id(), service: 'query', operation: 'run', jobId: 'j', silenceMs: 5_000 };
      const task = await t.registered({ call });
      await t.pass(5_000);
      assert.equal((await t.get(task.task_id)).error?.code, 'timeout');
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'waits without an end for a call that has no silence limit',
    async run(t) {
      const silenceMs = Number.POSITIVE_INFINITY;
      const call = { callId: t.id(), service: 'query', operation: 'run', silenceMs };
      const task = await t.registered({ call });
      const step = { tenantId: t.tenantId, taskId: task.task_id, journalRev: 0, key: call.callId };
      const answer = { kind: 'accepted', jobId: 'j' } as const;
      const recorded = await t.storage.journal.record({ ...step, callId: call.callId, answer });
      assert.equal(recorded.answer, 'recorded');
      const body = { kind: 'status', status: 'half', details: {} } as const;
      const report = { tenantId: t.tenantId, service: 'query', jobId: 'j', body };
      assert.equal((await t.storage.journal.report(report)).answer, 'applied');
      assert.equal((await t.report('j', 'late')).answer, 'applied');
      assert.equal((await t.get(task.task_id)).result, 'late');
    },
  },
  {
    part: 'tasks',
    method: 'finish',
    name: 'finishes a registered task once',
    async run(t) {
      const task = await t.registered();
      const where = { tenantId: t.tenantId, taskId: task.task_id };
      const first = await t.storage.tasks.finish({ ...where, outcome: { kind: 'completed', result: '' } });
      const second = await t.storage.tasks.finish({ ...where, outcome: { kind: 'failed', error } });
      assert.deepEqual([first.answer, second.answer], ['finished', 'already_final']);
      const ended = await t.get(task.task_id);
      assert.equal(ended.status, 'completed');
      assert.equal(ended.result, '');
      assert.deepEqual(await t.eventsOf(task.task_id), ['task_created', 'task_started', 'task_completed']);
    },
  },
  {
    part: 'tasks',
    method: 'finish',
    name: 'does not finish a task with a workflow, nor one of another tenant',
    async run(t) {
      const task = await t.submit();
      const outcome = { kind: 'completed', result: 1 } as const;
      const finished = await t.storage.tasks.finish({ tenantId: t.tenantId, taskId: task.task_id, outcome });
      assert.equal(finished.answer, 'not_tracked');
      const foreign = await t.storage.tasks.finish({
        tenantId: t.otherTenantId,
        taskId: task.task_id,
        outcome,
      });
      assert.equal(foreign.answer, 'not_found');
      assert.equal((await t.get(task.task_id)).status, 'pending');
    },
  },
  {
    part: 'tasks',
    method: 'finish',
    name: 'fails a registered task with the given error',
    async run(t) {
      const task = await t.registered();
      await t.storage.tasks.finish({
        tenantId: t.tenantId,
        taskId: task.task_id,
        outcome: { kind: 'failed', error },
      });
      const ended = await t.get(task.task_id);
      assert.equal(ended.status, 'failed');
      assert.deepEqual(ended.error, error);
      assert.deepEqual((await t.log()).at(-1)?.data, error);
    },
  },
  {
    part: 'tasks',
    method: 'progress',
    name: 'stores progress, and counts it as an event',
    async run(t) {
      const claim = await t.leased();
      const where = { ...t.where(claim), token: claim.token };
      await t.storage.tasks.progress({ ...where, progress: { percent: 40, message: 'on it' } });
      const task = await t.get(claim.task.task_id);
      assert.deepEqual(task.progress, { percent: 40, message: 'on it' });
      assert.equal(task.rev, 3);
      assert.deepEqual((await t.log()).at(-1)?.data, {
        status: 'progress',
        details: { percent: 40, message: 'on it' },
      });
    },
  },
  {
    part: 'tasks',
    method: 'progress',
    name: "is ghost else's to tell",
    async run(t) {
      const claim = await t.leased();
      const progress = { percent: 1 };
      assert.equal(
        (await t.storage.tasks.progress({ ...t.where(claim), token: 'other', progress })).answer,
        'lease_lost',
      );
      assert.equal(
        (await t.storage.tasks.progress({ tenantId: t.otherTenantId, taskId: claim.task.task_id, progress }))
          .answer,
        'not_found',
      );
      await t.settle(claim, { kind: 'completed', result: 1 });
      assert.equal((await t.storage.tasks.progress({ ...t.where(claim), progress })).answer, 'already_final');
      assert.deepEqual(await t.eventsOf(claim.task.task_id), [
        'task_created',
        'task_started',
        'task_completed',
      ]);
    },
  },
];
