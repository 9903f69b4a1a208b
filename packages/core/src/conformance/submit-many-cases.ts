import assert from 'node:assert/strict';
import type { Claim } from '../storage/task-queue.js';
import type { NewTask } from '../storage/task-records.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';
import { idsOf, LARGE, numbersOf, submitAtOnce, tasksOf } from './many-tools.js';

const seqOf = (cursor: string) => Number(cursor.split(':')[1]);

async function failedIds(t: CaseTools) {
  const failed = (await t.log()).filter(({ event }) => event === 'task_failed');
  return new Set(failed.map(({ task_id }) => task_id));
}

const storesEach = (sized: string, text: string): ConformanceCase => ({
  part: 'tasks',
  method: 'submit',
  name: `stores each of many ${sized} tasks once, in order, with an event each`,
  async run(t) {
    const before = t.newTask();
    const alone = await submitAtOnce(t, [before]);
    await t.advance(10);
    const tasks = [9, 9, 0, 4].map((priority, at) => t.newTask({ priority, payload: { at, text } }));
    const [first, second, third, fourth] = tasks as [NewTask, NewTask, NewTask, NewTask];
    const other = { ...before, type: t.otherType };
    const [, others] = await Promise.all([
      submitAtOnce(t, [t.newTask()], 1_000, t.otherTenantId),
      submitAtOnce(t, [first, other, second, first, before, third, fourth]),
    ]);
    assert.deepEqual(
      others.map(({ answer }) => answer),
      ['submitted', 'conflict', 'submitted', 'replayed', 'replayed', 'submitted', 'submitted'],
    );
    const created = others.flatMap((each) => (each.answer === 'submitted' ? [each] : []));
    assert.deepEqual(
      created.map(({ task, cursor }) => [task.task_id, task.payload, seqOf(cursor)]),
      tasks.map(({ task_id, payload }, at) => [task_id, payload, at + 2]),
    );
    assert.deepEqual(
      (await t.log()).map(({ event, task_id, data, rev, cursor }) => [
        event,
        task_id,
        data,
        rev,
        seqOf(cursor),
      ]),
      [before, ...tasks].map(({ task_id, type, priority }, at) => [
        'task_created',
        task_id,
        { type, priority },
        1,
        at + 1,
      ]),
    );
    for (const { task } of created) assert.deepEqual(await t.get(task.task_id), task);
    const last = t.newTask({ priority: 1 });
    const lone = await submitAtOnce(t, [last]);
    const [epoch] = (await t.beginning()).split(':');
    for (const each of [...alone, ...created, ...lone])
      assert.ok('cursor' in each && each.cursor.startsWith(`${epoch}:`), 'all are of the same log');
    assert.deepEqual(await numbersOf(t), [6, 0, 0, 0, 0, 6]);
    const order = [first, second, before, fourth, last, third].map(({ task_id }) => task_id);
    assert.deepEqual(idsOf(await t.claim()), order);
  },
});

const storesOthers = (sized: string, text: string): ConformanceCase => ({
  part: 'tasks',
  method: 'submit',
  name: `stores those of many ${sized} tasks whose ids are free`,
  async run(t) {
    const [there, ...others] = tasksOf(t, 5, { payload: text, priority: 4 }) as [NewTask, ...NewTask[]];
    await submitAtOnce(t, [there]);
    const all = [...others.slice(0, 2), { ...there, payload: 'other' }, ...others.slice(2)];
    const answers = await submitAtOnce(t, all);
    assert.deepEqual(
      answers.map(({ answer }) => answer),
      ['submitted', 'submitted', 'replayed', 'submitted', 'submitted'],
    );
    assert.equal((await t.log()).length, 5);
    const claims = await t.claim();
    assert.deepEqual(
      claims.map(({ task }) => [task.task_id, task.payload]),
      [there, ...others].map(({ task_id }) => [task_id, text]),
    );
  },
});

const refusesTooMany = (sized: string, text: string): ConformanceCase => ({
  part: 'tasks',
  method: 'submit',
  name: `refuses those of many ${sized} tasks beyond the queue limit`,
  async run(t) {
    await t.submit();
    const tasks = tasksOf(t, 4, { payload: text });
    const answers = await submitAtOnce(t, tasks, 3);
    assert.deepEqual(
      answers.map(({ answer }) => answer),
      ['submitted', 'submitted', 'queue_full', 'queue_full'],
    );
    const [known] = await submitAtOnce(t, tasks.slice(0, 1), 3);
    assert.equal(known?.answer, 'replayed', 'what is stored is not refused');
    const refused = { tenantId: t.tenantId, taskId: tasks[3]?.task_id ?? '' };
    assert.equal(await t.storage.tasks.get(refused), undefined, 'what is refused is not stored');
    const both = await submitAtOnce(t, tasks.slice(1, 3), 3);
    assert.deepEqual(
      both.map(({ answer }) => answer),
      ['replayed', 'queue_full'],
    );
    assert.deepEqual(await numbersOf(t), [3, 0, 0, 0, 0, 3]);
    assert.equal((await t.log()).length, 3);
  },
});

/** A storage may keep tasks with long texts in another way: the outcome is the same. */
const atOnce = (sized: string, text: string) => [
  storesEach(sized, text),
  storesOthers(sized, text),
  refusesTooMany(sized, text),
];

export const submitManyCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'submit',
    name: 'stores a copy of the payload, shared with no other task',
    async run(t) {
      const payload = { list: [1] };
      const submitting = t.submit({ payload });
      payload.list.push(2);
      const task = await submitting;
      assert.deepEqual(task.payload, { list: [1] });
      task.payload.list.push(3);
      assert.deepEqual((await t.get(task.task_id)).payload, { list: [1] });
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'stores a copy of the metadata of each task, also of shared objects',
    async run(t) {
      const metadata: { user_id?: string } = {};
      const first = await t.submit({ metadata });
      metadata.user_id = 'bea';
      const second = await t.submit({ metadata });
      delete metadata.user_id;
      const third = await t.submit({ metadata });
      const users = [];
      for (const { task_id } of [first, second, third]) users.push((await t.get(task_id)).metadata.user_id);
      assert.deepEqual(users, [undefined, 'bea', undefined]);
    },
  },
  ...atOnce('small', ''),
  ...atOnce('large', LARGE),
  {
    part: 'tasks',
    method: 'submit',
    name: 'gives each task its own deadline, also when later ones are shorter',
    async run(t) {
      await t.lookedOver();
      const limits = (...ms: number[]) => ms.map((timeoutMs) => t.newTask({ timeoutMs }));
      const together = [
        limits(60_000, 60_000, 75_000),
        limits(20_000, 10_000, 30_000, 10_000),
        limits(15_000),
        limits(70_000),
        limits(25_000, 25_000),
        limits(90_000, 40_000),
      ];
      for (const some of together) await submitAtOnce(t, some);
      // A started task keeps its deadline.
      await t.claim({ max: 1, leaseMs: 600_000 });
      const all = together.flat();
      const at = (ms: number) =>
        new Set(all.filter(({ timeoutMs }) => timeoutMs <= ms).map(({ task_id }) => task_id));
      let past = 0;
      for (const ms of [...new Set(all.map(({ timeoutMs }) => timeoutMs))].toSorted((a, b) => a - b)) {
        await t.pass(ms - past - 1);
        assert.deepEqual(await failedIds(t), at(ms - 1), `just before ${ms}`);
        await t.pass(1);
        assert.deepEqual(await failedIds(t), at(ms), `at ${ms}`);
        past = ms;
      }
      assert.deepEqual(await numbersOf(t), [0, 0, 0, all.length, 0, 0]);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'leases tasks of alternating types to workers of the type',
    async run(t) {
      const others = { runs: [{ type: t.otherType, versions: [1] }] };
      const both = { runs: [...t.runs(2), ...others.runs] };
      await submitAtOnce(t, tasksOf(t, 2));
      const [one] = await t.claim({ max: 1 });
      assert.ok(one);
      await submitAtOnce(t, tasksOf(t, 2, { type: t.otherType }));
      const early = await t.claim({ ...others, max: 1 });
      await submitAtOnce(t, [t.newTask({ type: t.otherType }), t.newTask()]);
      await t.submit({ type: t.otherType, session_id: 's' });
      const typesOf = (claims: readonly Claim[]) => claims.map(({ task }) => task.type);
      const two = [...early, ...(await t.claim(others))];
      const three = await t.claim({ runs: t.runs(3) });
      assert.deepEqual(
        typesOf(two),
        Array.from({ length: 4 }, () => t.otherType),
      );
      assert.deepEqual(typesOf(three), [t.type, t.type]);
      assert.deepEqual(
        three.map(({ version }) => version),
        [3, 3],
      );
      const settlement = { kind: 'completed', result: 1 } as const;
      await Promise.all([one, ...two, ...three].map((claim) => t.settle(claim, settlement)));
      assert.deepEqual(await numbersOf(t), [0, 0, 7, 0, 0, 0]);
      // All have ended: the next ones are of a single type again.
      const last = [...tasksOf(t, 2, { type: t.otherType }), t.newTask({ type: t.otherType })];
      await submitAtOnce(t, last);
      assert.deepEqual(await t.claim(), []);
      const again = await t.claim({ ...both, max: 2 });
      await t.submit();
      const rest = await t.claim(both);
      assert.deepEqual(
        [...again, ...rest].map(({ task, version }) => [task.type, version]),
        [...last.map(({ type }) => [type, 1]), [t.type, 2]],
      );
    },
  },
];
