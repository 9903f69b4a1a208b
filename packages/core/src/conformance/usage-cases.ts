import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { UsageDimension } from '../protocol/usage-dimensions.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const DAY_MS = 86_400_000;
const ALL_DAYS = { from: '2000-01-01', to: '2999-12-31' };

/** Sums of all days, in a fixed order. */
async function sums(t: CaseTools, ...by: UsageDimension[]) {
  const found = await t.storage.usage.sum({ tenantId: t.tenantId, ...ALL_DAYS, by });
  return found.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

async function tokens(t: CaseTools): Promise<number> {
  const [sum] = await sums(t, 'model');
  return sum?.tokens ?? 0;
}

/** A claimed task with a call that the service has been sent. */
async function called(t: CaseTools, more: Parameters<CaseTools['leased']>[0] = {}) {
  const claim = await t.leased(more);
  const step = t.callStep();
  await t.begin(claim, step);
  return { claim, step };
}

const add = (t: CaseTools, more: object = {}) =>
  t.storage.usage.add({
    tenantId: t.tenantId,
    id: t.id(),
    model: 'm',
    operation: 'o',
    tokens: 1,
    savedTokens: 0,
    ...more,
  });

export const usageCases: readonly ConformanceCase[] = [
  {
    part: 'usage',
    method: 'sum',
    name: 'sums by session, task, agent, user, model, operation and day, in any combination',
    async run(t) {
      const of = { session_id: 's-1', agent_id: 'support', metadata: { user_id: 'Ana\u00a0"1"' } };
      const { claim, step } = await called(t, of);
      const usage = {
        tokens: 10.5,
        model: 'gpt',
        prompt_tokens: 8,
        completion_tokens: 2.5,
        cached_tokens: 3,
        cost: 0.001,
      };
      await t.record(claim, step, { ...t.result(1), usage });
      await add(t, { model: 'gpt', operation: 'import', tokens: 4, userId: 'bob', promptTokens: 4 });
      const { task_id: task } = claim.task;
      const amounts = { tokens: 10.5, requests: 1, saved_tokens: 0 };
      const more = { prompt_tokens: 8, completion_tokens: 2.5, cached_tokens: 3, cost: 0.001 };
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const first = { day, model: 'gpt', operation: 'query.query', session: 's-1', task, agent: 'support' };
      const all = await sums(t, 'day', 'model', 'operation', 'session', 'task', 'agent', 'user');
      const second = {
        day,
        model: 'gpt',
        operation: 'import',
        session: '',
        task: '',
        agent: '',
        user: 'bob',
      };
      assert.deepEqual(all, [
        { ...second, tokens: 4, requests: 1, saved_tokens: 0, prompt_tokens: 4 },
        { ...first, user: 'Ana\u00a0"1"', ...amounts, ...more },
      ]);
      assert.deepEqual(await sums(t, 'session'), [
        { session: '', tokens: 4, requests: 1, saved_tokens: 0, prompt_tokens: 4 },
        { session: 's-1', ...amounts, ...more },
      ]);
      assert.deepEqual(await sums(t, 'model'), [
        { model: 'gpt', tokens: 14.5, requests: 2, saved_tokens: 0, ...more, prompt_tokens: 12 },
      ]);
      assert.deepEqual(
        (await sums(t, 'user', 'model')).map((row) => [row.user, row.model, row.tokens]),
        [
          ['Ana\u00a0"1"', 'gpt', 10.5],
          ['bob', 'gpt', 4],
        ],
      );
    },
  },
  {
    part: 'usage',
    method: 'sum',
    name: 'counts the usage of a child task for the task that was submitted',
    async run(t) {
      const root = await t.submit({ session_id: 's-1' });
      const task = t.newTask({ parent_task_id: root.task_id });
      const callId = t.id();
      const call = { callId, service: 'query', operation: 'query', silenceMs: 60_000 };
      await t.storage.tasks.register({ tenantId: t.tenantId, task, call, maxWaiting: 1_000 });
      const about = { tenantId: t.tenantId, taskId: task.task_id, journalRev: 0, key: callId, callId };
      const answer = { ...t.result(1), usage: { tokens: 7, model: 'm' } };
      await t.storage.journal.record({ ...about, answer });
      const [sum] = await sums(t, 'task', 'session');
      assert.deepEqual(sum, { task: root.task_id, session: 's-1', tokens: 7, requests: 1, saved_tokens: 0 });
    },
  },
  {
    part: 'usage',
    method: 'sum',
    name: 'bounds the rows of a day with their origins, and sums the rest as others',
    limits: { maxUsageDetails: 5 },
    async run(t) {
      for (let n = 0; n < 8; n += 1) await add(t, { userId: `u-${n}`, tokens: 2 });
      await add(t, { userId: 'u-0', tokens: 3 });
      const rows = await sums(t, 'user');
      assert.deepEqual(
        rows.map(({ user, tokens: sum }) => [user, sum]),
        [
          ['other', 6],
          ['u-0', 5],
          ['u-1', 2],
          ['u-2', 2],
          ['u-3', 2],
          ['u-4', 2],
        ],
      );
      assert.equal(await tokens(t), 19);
    },
  },
  {
    part: 'usage',
    method: 'sum',
    name: 'keeps origins until their retention ends, and the rest longer',
    async run(t) {
      await add(t, { userId: 'u' });
      await t.advance(DEFAULTS.usageDetailRetentionMs);
      assert.equal((await sums(t, 'user')).length, 1);
      await t.advance(3 * DAY_MS);
      assert.deepEqual(await sums(t, 'user'), []);
      assert.equal(await tokens(t), 1);
    },
  },
  {
    part: 'usage',
    method: 'add',
    name: 'counts a call once, whether added or reported by the service first',
    async run(t) {
      const { claim, step } = await called(t);
      const { callId } = step.call;
      await add(t, { callId, tokens: 5 });
      await add(t, { callId, tokens: 5 });
      await t.record(claim, step, { ...t.result(1), usage: { tokens: 5, model: 'm' } });
      assert.equal(await tokens(t), 5);
      const second = t.callStep();
      await t.begin(claim, second);
      await t.record(claim, second, { ...t.result(1), usage: { tokens: 7, model: 'm' } });
      await add(t, { callId: second.call.callId, tokens: 7 });
      assert.equal(await tokens(t), 12);
      assert.deepEqual((await t.get(claim.task.task_id)).usage, { tokens: 12 });
      const early = t.callStep();
      await add(t, { callId: early.call.callId, tokens: 3 });
      await t.begin(claim, early);
      await t.record(claim, early, { ...t.result(1), usage: { tokens: 3, model: 'm' } });
      assert.equal(await tokens(t), 15, 'added before the call was stored');
      // A call that this storage has never seen.
      const callId2 = t.id();
      await Promise.all([add(t, { callId: callId2, tokens: 1 }), add(t, { callId: callId2, tokens: 1 })]);
      assert.equal(await tokens(t), 16);
    },
  },
  {
    part: 'usage',
    method: 'add',
    name: 'adds to the task that is named, with its session, agent and user',
    async run(t) {
      const task = await t.submit({ session_id: 's-9', agent_id: 'a', metadata: { user_id: 'u' } });
      await add(t, { taskId: task.task_id, tokens: 6 });
      await add(t, { taskId: 'gone', tokens: 2 });
      assert.deepEqual((await t.get(task.task_id)).usage, { tokens: 6 });
      assert.deepEqual(
        (await sums(t, 'task', 'session', 'agent', 'user')).map((row) => Object.values(row).slice(0, 5)),
        [
          ['gone', '', '', '', 2],
          [task.task_id, 's-9', 'a', 'u', 6],
        ].toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
      );
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'counts the usage of a failed call, of a late report and of an older try, each call once',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      const failed = { ...t.failure('no', true), usage: { tokens: 3, model: 'm' } };
      await t.report(jobId, null, { callId: step.call.callId, body: failed });
      assert.equal(await tokens(t), 3);
      const late = { ...t.result('late'), usage: { tokens: 100, model: 'm' } };
      await t.report(jobId, null, { callId: step.call.callId, body: late });
      assert.equal(await tokens(t), 3, 'the call was counted before');
      await t.pass(100);
      const again = t.callStep({}, step.key);
      await t.begin(claim, again);
      await t.record(claim, again, { kind: 'accepted', jobId: 'job-b' });
      await t.storage.tasks.cancel({ ...t.where(claim), reason: 'cut', graceMs: 0 });
      await t.pass(1);
      const cut = { ...t.result('cut'), usage: { tokens: 4, model: 'm' } };
      for (let times = 0; times < 2; times += 1) {
        const answer = await t.report('job-b', null, { callId: again.call.callId, body: cut });
        assert.equal(answer.answer, 'late');
      }
      assert.equal(await tokens(t), 7);
      assert.deepEqual((await t.get(claim.task.task_id)).usage, { tokens: 7 });
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'counts what a call has used though its worker has lost the task',
    async run(t) {
      const { claim, step } = await called(t);
      await t.pass(31_000);
      const answer = { ...t.result(1), usage: { tokens: 9, model: 'm' } };
      for (let times = 0; times < 2; times += 1)
        assert.equal((await t.record(claim, step, answer)).answer, 'lease_lost');
      assert.equal(await tokens(t), 9);
      const next = await t.claimOne();
      assert.equal((await t.record(next, step, answer)).answer, 'recorded');
      assert.equal(await tokens(t), 9);
    },
  },
];
