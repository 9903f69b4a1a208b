import assert from 'node:assert/strict';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

export const journalCases: readonly ConformanceCase[] = [
  {
    part: 'journal',
    method: 'begin',
    name: 'stores a call once, before it is sent',
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      const first = await t.begin(claim, step);
      const second = await t.begin(claim, { ...step, call: { ...step.call, callId: t.id() } });
      assert.deepEqual([first.answer, second.answer], ['begun', 'known']);
      assert.equal('step' in second && second.step.call?.call_id, step.call.callId);
      assert.equal((await t.get(claim.task.task_id)).delegated_services.length, 1);
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'refuses a caller without the lease',
    async run(t) {
      const claim = await t.leased();
      assert.equal((await t.begin({ ...claim, token: 'other' }, t.callStep())).answer, 'lease_lost');
      await t.settle(claim, { kind: 'released' });
      assert.equal((await t.begin(claim, t.callStep())).answer, 'lease_lost');
      assert.deepEqual((await t.claimOne()).steps, []);
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'refuses steps beyond the limit, but answers for steps that exist',
    async run(t) {
      const claim = await t.leased();
      const steps = [t.callStep(), t.callStep(), t.callStep()] as const;
      assert.equal((await t.begin(claim, steps[0], 2)).answer, 'begun');
      assert.equal((await t.begin(claim, steps[1], 2)).answer, 'begun');
      assert.equal((await t.begin(claim, steps[2], 2)).answer, 'too_many_steps');
      assert.equal((await t.begin(claim, steps[0], 2)).answer, 'known');
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'gives the next try its own call id after the back-off',
    async run(t) {
      const { claim, step, jobId } = await t.withJob('busy', { retryDelayMs: 1_000 });
      await t.report(jobId, null, { body: t.failure('busy', true) });
      const next = { ...step, call: { ...step.call, callId: t.id() } };
      const early = await t.begin(claim, next);
      assert.ok(early.answer === 'known' && early.step.backingOff);
      await t.pass(1_000);
      const begun = await t.begin(claim, next);
      assert.ok(begun.answer === 'begun');
      assert.equal(begun.step.tries, 2);
      assert.equal(begun.step.call?.call_id, next.call.callId);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'numbers outcomes in the order of recording, and returns those recorded before',
    async run(t) {
      const { claim, step: first, jobId } = await t.withJob();
      const second = t.callStep();
      await t.begin(claim, second);
      await t.report(jobId, 'one');
      const recorded = await t.record(claim, second, t.result('two'));
      assert.ok('changes' in recorded);
      assert.deepEqual(
        recorded.changes.map(({ key }) => key),
        [first.key, second.key],
      );
      const [a, b] = recorded.changes;
      assert.ok(a && b && a.rev < b.rev && b.rev === recorded.journalRev);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'keeps the first outcome, and refuses a caller without the lease',
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      assert.equal(
        (await t.record({ ...claim, token: 'other' }, step, t.result('foreign'))).answer,
        'lease_lost',
      );
      assert.equal((await t.record(claim, step, t.result('first'))).answer, 'recorded');
      assert.equal((await t.record(claim, step, t.result('second'))).answer, 'known');
      const page = await t.storage.journal.changesSince({
        ...t.where(claim),
        token: claim.token,
        journalRev: 0,
      });
      assert.ok('changes' in page);
      assert.deepEqual(
        page.changes.map(({ outcome }) => outcome),
        [{ ok: true, value: 'first' }],
      );
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'counts the usage of a call once',
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      const answer = { ...t.result(1), usage: { tokens: 5, model: 'm' } };
      await t.record(claim, step, answer);
      await t.record(claim, step, answer);
      assert.deepEqual((await t.get(claim.task.task_id)).usage, { tokens: 5 });
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const rows = await t.storage.usage.sum({ tenantId: t.tenantId, from: day, to: day });
      assert.deepEqual(rows, [
        { day, model: 'm', operation: 'query.query', tokens: 5, requests: 1, saved_tokens: 0 },
      ]);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'counts the tokens that an answer from the cache has saved, once',
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      const usage = { tokens: 0, model: 'm', saved_tokens: 812.5 };
      const answer = { ...t.result(1), usage, cached: true } as const;
      for (let times = 0; times < 2; times += 1) await t.record(claim, step, answer);
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const rows = await t.storage.usage.sum({ tenantId: t.tenantId, from: day, to: day });
      assert.deepEqual(rows, [
        { day, model: 'm', operation: 'query.query', tokens: 0, requests: 1, saved_tokens: 812.5 },
      ]);
    },
  },
  {
    part: 'journal',
    method: 'changesSince',
    name: 'returns changes in order, and the cancel reason of the task',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      const page = (journalRev: number) =>
        t.storage.journal.changesSince({ ...t.where(claim), token: claim.token, journalRev });
      const before = await page(claim.journalRev);
      assert.ok('changes' in before && before.changes.length === 0);
      await t.report(jobId, 'done');
      const after = await page(before.journalRev);
      assert.ok('changes' in after);
      assert.deepEqual(
        after.changes.map(({ key, outcome }) => [key, outcome]),
        [[step.key, { ok: true, value: 'done' }]],
      );
      const again = await page(after.journalRev);
      assert.ok('changes' in again && again.changes.length === 0 && again.cancelReason === undefined);
      await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 1_000 });
      const cancelled = await page(after.journalRev);
      assert.ok('changes' in cancelled && cancelled.cancelReason === 'enough');
    },
  },
  {
    part: 'journal',
    method: 'changesSince',
    name: 'refuses changes to a caller without the lease',
    async run(t) {
      const claim = await t.leased();
      const other = { ...t.where(claim), token: 'other', journalRev: 0 };
      assert.equal((await t.storage.journal.changesSince(other)).answer, 'lease_lost');
      const foreign = {
        tenantId: t.otherTenantId,
        taskId: claim.task.task_id,
        token: claim.token,
        journalRev: 0,
      };
      assert.equal((await t.storage.journal.changesSince(foreign)).answer, 'lease_lost');
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'applies an outcome once, and tells a repeat from a different outcome',
    async run(t) {
      const { claim, jobId } = await t.withJob();
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      const taskId = claim.task.task_id;
      assert.deepEqual(await t.report(jobId, { n: 1 }), { answer: 'applied', taskId });
      assert.deepEqual(await t.report(jobId, { n: 1 }), { answer: 'duplicate', taskId });
      assert.deepEqual(await t.report(jobId, { n: 2 }), { answer: 'late', taskId });
      assert.equal((await t.claimOne()).steps[0]?.outcome?.ok, true);
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'keeps outcomes that are false, zero, empty or null',
    async run(t) {
      for (const value of [false, 0, '', null, []]) {
        const { claim, step, jobId } = await t.withJob();
        await t.report(jobId, value);
        const page = await t.storage.journal.changesSince({
          ...t.where(claim),
          token: claim.token,
          journalRev: claim.journalRev,
        });
        assert.ok('changes' in page);
        assert.deepEqual(page.changes.find(({ key }) => key === step.key)?.outcome, { ok: true, value });
      }
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'finds no call of another tenant or service, nor an unknown one',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      const lookUps: Parameters<CaseTools['report']>[2][] = [
        { tenantId: t.otherTenantId },
        { tenantId: t.otherTenantId, callId: step.call.callId },
        { tenantId: t.otherTenantId, taskId: claim.task.task_id },
        { service: 'embedding' },
        { service: 'embedding', callId: step.call.callId },
        { jobId: 'other' },
      ];
      for (const more of lookUps)
        assert.deepEqual(await t.report(jobId, 1, more), { answer: 'unknown_task' });
      assert.equal((await t.get(claim.task.task_id)).delegated_services[0]?.status, 'processing');
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'finds a call by its id, or as the only open call of the task',
    async run(t) {
      const { claim, step } = await t.withJob();
      const byCall = await t.report('unheard of', 1, { callId: step.call.callId });
      assert.deepEqual(byCall, { answer: 'applied', taskId: claim.task.task_id });
      const only = t.callStep();
      await t.begin(claim, only);
      await t.record(claim, only, { kind: 'accepted', jobId: 'named' });
      const byTask = await t.report('unheard of too', 2, { taskId: claim.task.task_id });
      assert.deepEqual(byTask, { answer: 'applied', taskId: claim.task.task_id });
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'answers stale for a report on an older try',
    async run(t) {
      const { claim, step, jobId } = await t.withJob('old', { retryDelayMs: 0 });
      await t.report(jobId, null, { body: t.failure('busy', true) });
      await t.pass(1);
      await t.begin(claim, { ...step, call: { ...step.call, callId: t.id() } });
      assert.deepEqual(await t.report(jobId, 'too late'), { answer: 'stale', taskId: claim.task.task_id });
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'starts the next try after a retryable failure, and ends the step after the last one',
    async run(t) {
      const { claim, step, jobId } = await t.withJob('flaky', { retryDelayMs: 0, maxTries: 1 });
      await t.report(jobId, null, { body: t.failure('busy', true) });
      const page = await t.storage.journal.changesSince({
        ...t.where(claim),
        token: claim.token,
        journalRev: claim.journalRev,
      });
      assert.ok('changes' in page);
      const outcome = page.changes.find(({ key }) => key === step.key)?.outcome;
      assert.ok(outcome && !outcome.ok && outcome.error.message === 'busy');
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'emits a progress report once, and ends nothing',
    async run(t) {
      const { claim, jobId } = await t.withJob();
      const body = { kind: 'status', status: 'on it', details: { percent: 5 } } as const;
      const progress = (more: object) => t.report(jobId, null, { body, ...more });
      assert.equal((await progress({ messageId: 'a', seq: 1 })).answer, 'applied');
      assert.equal((await progress({ messageId: 'a' })).answer, 'duplicate');
      assert.equal((await progress({ messageId: 'b', seq: 1 })).answer, 'duplicate');
      assert.equal((await progress({ messageId: 'c', seq: 2 })).answer, 'applied');
      const received = (await t.log()).filter(({ event }) => event === 'task_status_update');
      assert.deepEqual(
        received.map(({ service, data }) => [service, data]),
        [
          ['query', { status: 'on it', details: { percent: 5 } }],
          ['query', { status: 'on it', details: { percent: 5 } }],
        ],
      );
      assert.equal((await t.get(claim.task.task_id)).status, 'processing');
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'answers late for a report after the end of the task',
    async run(t) {
      const { claim, jobId } = await t.withJob();
      await t.settle(claim, { kind: 'completed', result: 'without it' });
      assert.equal((await t.report(jobId, 1)).answer, 'late');
      assert.equal((await t.get(claim.task.task_id)).result, 'without it');
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'answers stale for a report on a step that a new attempt begins anew',
    async run(t) {
      const { claim, step, jobId } = await t.withJob('gone', { maxTries: 1 });
      const failed = t.failure('busy', true);
      await t.report(jobId, null, { body: failed });
      const { error } = failed.outcome;
      await t.settle(claim, { kind: 'retry', error, delayMs: 60_000, drop: step.key });
      const body = { kind: 'status', status: 'still here', details: {} } as const;
      const stale = { answer: 'stale', taskId: claim.task.task_id };
      assert.deepEqual(await t.report(jobId, null, { body }), stale);
      assert.deepEqual(await t.report(jobId, 1), stale);
    },
  },
];
