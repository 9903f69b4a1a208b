import assert from 'node:assert/strict';
import type { StepAnswer } from '../storage/call-journal.js';
import type { Claim } from '../storage/task-queue.js';
import { OrchestratorError } from '../protocol/errors.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const own = (key: string, name = `run ${key}`) => ({ key, kind: 'run', name }) as const;

/** The journal as the worker reads it, in the order of its changes. */
async function journalOf(t: CaseTools, claim: Claim) {
  const page = await t.storage.journal.read({ ...t.where(claim), token: claim.token, after: 0 });
  assert.ok(page.answer === 'page' && page.next === undefined);
  return page.steps;
}

async function keysOf(t: CaseTools, claim: Claim) {
  return (await journalOf(t, claim)).map(({ key }) => key);
}

/** Own work of a workflow: its step is stored with its outcome, in one step of the storage. */
export const ownWorkCases: readonly ConformanceCase[] = [
  {
    part: 'journal',
    method: 'record',
    name: 'stores own work with its outcome as one change, a failure too',
    async run(t) {
      const claim = await t.leased();
      const [first, second] = [own('first'), own('second')];
      const done = await t.record(claim, first, t.result({ n: 1 }), 10);
      assert.ok(done.answer === 'recorded');
      const { endedAt, ...step } = done.changes[0] ?? {};
      assert.deepEqual([done.changes.length, done.journalRev, typeof endedAt], [1, 1, 'number']);
      assert.deepEqual(step, {
        ...first,
        rev: 1,
        tries: 0,
        backingOff: false,
        inherited: false,
        outcome: { ok: true, value: { n: 1 } },
      });
      const failed = await t.record({ ...claim, journalRev: 1 }, second, t.failure('broken'), 10);
      assert.ok(failed.answer === 'recorded');
      assert.deepEqual(
        failed.changes.map(({ key, rev, outcome }) => [key, rev, outcome?.ok]),
        [['second', 2, false]],
      );
      await t.settle(claim, { kind: 'released' });
      const again = await t.claimOne();
      assert.deepEqual([again.journalRev, again.steps], [2, [...done.changes, ...failed.changes]]);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'returns what was recorded before own work, and the cancel reason of the task',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      await t.report(jobId, 'reported');
      await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 60_000 });
      const recorded = await t.record(claim, own('own'), t.result(1), 10);
      assert.ok(recorded.answer === 'recorded');
      assert.deepEqual(
        recorded.changes.map(({ key }) => key),
        [step.key, 'own'],
      );
      assert.equal(recorded.cancelReason, 'enough');
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'answers a repeat of own work with the same change, also at the limit of steps',
    async run(t) {
      const claim = await t.leased();
      const first = await t.record(claim, own('own'), t.result('first'), 1);
      const again = await t.record(claim, own('own'), t.result('second'), 1);
      assert.ok(first.answer === 'recorded' && again.answer === 'known');
      assert.deepEqual({ ...again, answer: 'recorded' }, first);
      assert.deepEqual(await journalOf(t, claim), first.changes);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'stores no own work of a caller without the lease',
    async run(t) {
      const claim = await t.leased();
      const { token } = claim;
      const lost = async (caller: Claim) =>
        assert.equal((await t.record(caller, own('own'), t.result(1), 10)).answer, 'lease_lost');
      await lost({ ...claim, token: 'other' });
      await lost({ ...claim, task: { ...claim.task, tenant_id: t.otherTenantId } });
      await lost({ ...claim, task: { ...claim.task, task_id: t.id() } });
      assert.deepEqual(await journalOf(t, claim), []);
      await t.settle(claim, { kind: 'released' });
      await lost(claim);
      const again = await t.claimOne();
      await lost({ ...again, token });
      assert.deepEqual(await journalOf(t, again), []);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'refuses own work beyond the limit of steps, and stores nothing of it',
    async run(t) {
      const claim = await t.leased();
      const call = t.callStep();
      await t.begin(claim, call);
      await t.record(claim, own('second'), t.result(1), 2);
      assert.deepEqual(await t.record(claim, own('third'), t.result(1), 2), { answer: 'too_many_steps' });
      assert.deepEqual(await t.record(claim, own('third'), t.result(1), 0), { answer: 'too_many_steps' });
      assert.deepEqual(await keysOf(t, claim), ['second', call.key]);
      assert.equal((await t.record(claim, own('third'), t.result(1), 3)).answer, 'recorded');
      assert.equal((await t.begin(claim, t.callStep(), 3)).answer, 'too_many_steps');
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'refuses own work under the key of another step, whether that has ended or not',
    async run(t) {
      const claim = await t.leased();
      const call = t.callStep();
      await t.begin(claim, call);
      await t.begin(claim, { key: 'wait', kind: 'signal', name: 'run wait', signal: 'go' });
      await t.record(claim, own('own'), t.result(1), 10);
      const before = await journalOf(t, claim);
      for (const [step, name] of [
        [own(call.key), call.name],
        [own('wait'), 'run wait'],
        [own('own', 'run renamed'), 'run own'],
      ] as const) {
        const answer = await t.record(claim, step, t.result(2), 10);
        assert.deepEqual(answer, { answer: 'step_mismatch', name });
      }
      assert.deepEqual(await journalOf(t, claim), before);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'ends own work that was begun before',
    async run(t) {
      const claim = await t.leased();
      await t.begin(claim, own('own'));
      assert.equal((await t.record(claim, own('own'), t.result('done'), 1)).answer, 'recorded');
      assert.deepEqual(
        (await journalOf(t, claim)).map(({ key, outcome }) => [key, outcome]),
        [['own', { ok: true, value: 'done' }]],
      );
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'leaves succeeded own work to the next attempt, and drops what failed',
    async run(t) {
      const claim = await t.leased();
      await t.record(claim, own('good'), t.result(1), 10);
      await t.record(claim, own('bad'), t.failure('busy', true), 10);
      const { error } = t.failure('busy', true).outcome;
      await t.settle(claim, { kind: 'retry', error, delayMs: 0 });
      await t.pass(1);
      const again = await t.claimOne();
      assert.deepEqual(
        again.steps.map(({ key, inherited }) => [key, inherited]),
        [['good', true]],
      );
      const own2 = await t.record(again, own('bad'), t.result(2), 2);
      assert.ok(own2.answer === 'recorded');
      assert.deepEqual(
        own2.changes.map(({ key, inherited }) => [key, inherited]),
        [['bad', false]],
      );
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'clears the suspicion that a task kills its workers once own work is stored',
    async run(t) {
      await t.submit();
      await t.loseLeases(2, 1);
      const claim = await t.claimOne();
      await t.record(claim, own('own'), t.result(1), 10);
      await t.pass(31_000);
      await t.loseLeases(1, 1);
      assert.equal((await t.claimOne()).task.task_id, claim.task.task_id);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'refuses own work without a token, with a call, or without an outcome',
    async run(t) {
      const claim = await t.leased();
      const create = { name: 'run own', maxSteps: 10 };
      const valid = { ...t.where(claim), token: claim.token, journalRev: 0, key: 'own', create };
      const outcome: StepAnswer = t.result(1);
      for (const params of [
        { ...valid, answer: outcome, token: undefined },
        { ...valid, answer: outcome, callId: t.id() },
        { ...valid, answer: { kind: 'accepted', jobId: 'job' } },
        { ...valid, answer: { ...outcome, usage: { tokens: 1, model: 'm' } } },
        { ...valid, answer: outcome, create: { ...create, maxSteps: -1 } },
        { ...valid, answer: outcome, create: { ...create, name: '' } },
      ]) {
        const record = t.storage.journal.record(params as Parameters<typeof t.storage.journal.record>[0]);
        await assert.rejects(
          record,
          (error) => error instanceof OrchestratorError && error.code === 'invalid_request',
        );
      }
      assert.deepEqual(await journalOf(t, claim), []);
    },
  },
];
