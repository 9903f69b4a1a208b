import assert from 'node:assert/strict';
import type { NewTask } from '../storage/task-records.js';
import type { TenantBudget } from '../storage/tenant-store.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const DAY_MS = 86_400_000;

const budgets = (t: CaseTools, ...all: TenantBudget[]) =>
  t.storage.tenants.configure({ tenantId: t.tenantId, budgets: all });

const use = (t: CaseTools, tokens: number, more: object = {}) =>
  t.storage.usage.add({
    tenantId: t.tenantId,
    id: t.id(),
    model: 'm',
    operation: 'o',
    tokens,
    savedTokens: 0,
    ...more,
  });

const trySubmit = (t: CaseTools, more: Partial<NewTask> = {}) =>
  t.storage.tasks.submit({ tenantId: t.tenantId, submission: t.submission(more), maxWaiting: 1_000_000 });

async function admits(t: CaseTools, budgetTokens?: number): Promise<boolean> {
  const { answer } = await trySubmit(t, budgetTokens === undefined ? {} : { budgetTokens });
  assert.ok(answer === 'submitted' || answer === 'budget_exceeded', answer);
  return answer === 'submitted';
}

/** A leased task of its own, whatever else waits. */
async function leasedWith(t: CaseTools, budgetTokens: number) {
  await t.submit({ budgetTokens, priority: 9 });
  return t.claimOne({ max: 1 });
}

const startOfNextDay = (at: number) => (Math.floor(at / DAY_MS) + 1) * DAY_MS;

function startOfNextMonth(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

export const budgetCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'submit',
    name: 'admits exactly as many concurrent tasks as the budget has room for',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 1_000 });
      const answers = await Promise.all(
        Array.from({ length: 60 }, () => trySubmit(t, { budgetTokens: 100 })),
      );
      assert.equal(answers.filter(({ answer }) => answer === 'submitted').length, 10);
      for (const answer of answers)
        if (answer.answer !== 'submitted')
          assert.deepEqual(answer, { answer: 'budget_exceeded', retryAt: startOfNextDay(t.now()) });
      assert.equal(await admits(t), false, 'all of it is reserved');
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'admits a task without a budget while something is left, in every budget of the tenant',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 100 }, { period: 'month', tokens: 1_000, cost: 2 });
      assert.equal(await admits(t), true);
      await use(t, 99.5);
      assert.equal(await admits(t), true);
      assert.equal(await admits(t, 1), false, 'a half is left');
      await use(t, 0.5);
      assert.equal(await admits(t), false);
      await t.pass(startOfNextDay(t.now()) - t.now());
      await use(t, 1, { cost: 2 });
      const refused = await trySubmit(t);
      assert.deepEqual(refused, { answer: 'budget_exceeded', retryAt: startOfNextMonth(t.now()) });
      await t.pass(startOfNextMonth(t.now()) - t.now());
      assert.equal(await admits(t, 100), true, 'a new period');
      await t.storage.tenants.configure({ tenantId: t.tenantId, budgets: null });
      assert.equal(await admits(t, 1_000_000), true);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'counts usage from before the budget was set, of this tenant alone',
    async run(t) {
      await use(t, 70);
      await t.storage.usage.add({
        tenantId: t.otherTenantId,
        id: t.id(),
        model: 'm',
        operation: 'o',
        tokens: 1_000,
        savedTokens: 500,
      });
      await budgets(t, { period: 'month', tokens: 100 });
      assert.equal(await admits(t, 31), false);
      assert.equal(await admits(t, 30), true);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'reserves a budget until the task ends, however it ends',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 100 });
      const ends: readonly ((taskId: string) => Promise<unknown>)[] = [
        async () => t.settle(await t.claimOne(), { kind: 'completed', result: 1 }),
        async () => t.settle(await t.claimOne(), { kind: 'failed', ...t.failure('no').outcome }),
        (taskId) => t.storage.tasks.cancel({ tenantId: t.tenantId, taskId, reason: 'no', graceMs: 0 }),
        () => t.pass(20 * 60_000),
      ];
      for (const end of ends) {
        const { task_id: taskId } = await t.submit({ budgetTokens: 100 });
        assert.equal(await admits(t), false);
        await end(taskId);
        const task = await t.get(taskId);
        assert.ok(task.finished_at !== undefined, task.status);
        assert.deepEqual(task.budget, { tokens: 100 });
      }
      assert.equal(await admits(t, 100), true);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'reserves the budget of a task that starts later now, and that of a repeat once',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 100 });
      const submission = t.submission({ budgetTokens: 60, runAt: t.now() + 60_000 });
      for (let times = 0; times < 3; times += 1)
        await t.storage.tasks.submit({ tenantId: t.tenantId, submission, maxWaiting: 1_000_000 });
      assert.equal(await admits(t, 41), false);
      assert.equal(await admits(t, 40), true);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'refuses the items that the budget has no room for, each by itself',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 100 });
      const items = [60, 60, 40, 1].map((budgetTokens) => t.submission({ budgetTokens }));
      const batch = { batchId: t.id(), maxInFlight: 10, failFast: false, items };
      const answer = await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 1_000 });
      assert.ok('batch' in answer);
      assert.deepEqual(
        answer.batch.items.map(({ error }) => error?.code),
        [undefined, 'budget_exceeded', undefined, 'budget_exceeded'],
      );
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'draws what calls use from the budget of their task, counts the call that exceeds it and fails the next',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 1_000 });
      const claim = await leasedWith(t, 100);
      const call = async (tokens: number) => {
        const step = t.callStep();
        const begun = await t.begin(claim, step);
        assert.ok('step' in begun);
        if (begun.step.outcome) return begun;
        await t.record(claim, step, { ...t.result(1), usage: { tokens, model: 'm' } });
        return undefined;
      };
      assert.equal(await call(70), undefined);
      assert.equal(await admits(t, 901), false, '70 used, 30 reserved');
      assert.equal(await call(50), undefined);
      const refused = await call(1);
      assert.equal(refused?.answer, 'known');
      const { outcome } = refused?.step ?? {};
      assert.ok(outcome && !outcome.ok);
      assert.deepEqual([outcome.error.code, outcome.error.retryable], ['budget_exceeded', false]);
      assert.equal(await admits(t, 881), false, '120 used');
      assert.equal(await admits(t, 880), true);
      // What the worker has been told is in the journal.
      const page = await t.storage.journal.read({ ...t.where(claim), after: 0 });
      assert.ok('steps' in page);
      assert.equal(page.steps.at(-1)?.outcome?.ok, false);
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'draws what child tasks use from the budget of their parents, and refuses them once it is used up',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 200 });
      const root = await t.submit({ budgetTokens: 100 });
      const child = async (parentId: string, tokens: number) => {
        const task = t.newTask({ parent_task_id: parentId });
        const callId = t.id();
        const call = { callId, service: 'query', operation: 'query', silenceMs: 60_000 };
        const registered = await t.storage.tasks.register({
          tenantId: t.tenantId,
          task,
          call,
          maxWaiting: 1_000,
        });
        if (registered.answer !== 'registered') return registered.answer;
        const about = { tenantId: t.tenantId, taskId: task.task_id, journalRev: 0, key: callId, callId };
        const answer = { ...t.result(1), usage: { tokens, model: 'm' } };
        await t.storage.journal.record({ ...about, answer });
        return task.task_id;
      };
      const first = await child(root.task_id, 60);
      assert.equal(await admits(t, 101), false, '60 used, 40 reserved');
      const second = await child(first, 41);
      assert.notEqual(second, 'task_budget_exceeded', 'a child of a child');
      assert.equal(await child(first, 1), 'task_budget_exceeded');
      assert.equal(await child(root.task_id, 1), 'task_budget_exceeded');
      assert.equal(await admits(t, 100), false, '101 used');
      assert.equal(await admits(t, 99), true);
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'refuses a task of its own once the budget of the tenant is used up',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 10 });
      await t.registered();
      await use(t, 10);
      const params = { tenantId: t.tenantId, task: t.newTask(), maxWaiting: 1_000 };
      const answer = await t.storage.tasks.register(params);
      assert.deepEqual(answer, { answer: 'budget_exceeded', retryAt: startOfNextDay(t.now()) });
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'lets a child of a live task use what was admitted with it, and holds one of an ended task to the budget',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 10 });
      const parent = await t.submit();
      await use(t, 10);
      const register = async () => {
        const task = t.newTask({ parent_task_id: parent.task_id });
        const params = { tenantId: t.tenantId, task, maxWaiting: 1_000 };
        return (await t.storage.tasks.register(params)).answer;
      };
      assert.equal(await register(), 'registered');
      const about = { tenantId: t.tenantId, taskId: parent.task_id };
      await t.storage.tasks.cancel({ ...about, reason: 'no', graceMs: 0 });
      assert.equal(await register(), 'budget_exceeded');
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'reserves the budget of the task anew, or is refused',
    async run(t) {
      await budgets(t, { period: 'day', tokens: 100 });
      const claim = await leasedWith(t, 100);
      await t.settle(claim, { kind: 'failed', ...t.failure('no').outcome });
      const taken = await t.submit({ budgetTokens: 1 });
      const redrive = () =>
        t.storage.tasks.redrive({ ...t.where(claim), newTaskId: t.id(), maxWaiting: 1_000 });
      assert.deepEqual(await redrive(), { answer: 'budget_exceeded', retryAt: startOfNextDay(t.now()) });
      const about = { tenantId: t.tenantId, taskId: taken.task_id };
      await t.storage.tasks.cancel({ ...about, reason: 'no', graceMs: 0 });
      const redriven = await redrive();
      assert.ok(redriven.answer === 'redriven');
      assert.deepEqual(redriven.task.budget, { tokens: 100 });
      assert.equal(await admits(t), false);
    },
  },
];
