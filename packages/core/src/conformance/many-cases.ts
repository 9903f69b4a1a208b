import assert from 'node:assert/strict';
import type { Claim, Settlement } from '../storage/task-queue.js';
import type { NewTask } from '../storage/task-records.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const error = { code: 'workflow_error', message: 'bad', retryable: false } as const;
const DAY_MS = 86_400_000;
/** A result that a storage may keep elsewhere than in its log. */
const LARGE = 'x'.repeat(10_000);

const seqOf = (cursor: string) => Number(cursor.split(':')[1]);

function submitAtOnce(t: CaseTools, tasks: readonly NewTask[], maxWaiting = 1_000, tenantId = t.tenantId) {
  return Promise.all(
    tasks.map((task) =>
      t.storage.tasks.submit({ tenantId, submission: { task, onBusy: 'enqueue' }, maxWaiting }),
    ),
  );
}

function tasksOf(t: CaseTools, count: number, more: Partial<NewTask> = {}): NewTask[] {
  return Array.from({ length: count }, () => t.newTask(more));
}

const idsOf = (claims: readonly Claim[]) => claims.map(({ task }) => task.task_id);

async function failedIds(t: CaseTools) {
  const failed = (await t.log()).filter(({ event }) => event === 'task_failed');
  return new Set(failed.map(({ task_id }) => task_id));
}

/** What is counted of the case's tenant: pending, processing, completed, failed, running and ready. */
async function numbersOf(t: CaseTools) {
  const { counts, running, ready } = await t.storage.tenants.get({ tenantId: t.tenantId });
  return [counts.pending, counts.processing, counts.completed, counts.failed, running, ready];
}

const submitCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'submit',
    name: 'of many at once stores each once, in their order, and tells of each',
    async run(t) {
      const before = t.newTask();
      const alone = await submitAtOnce(t, [before]);
      await t.advance(10);
      const tasks = [9, 9, 0, 4].map((priority, at) => t.newTask({ priority, payload: at }));
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
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'of more at once than may wait refuses those that are too many',
    async run(t) {
      await t.submit();
      const tasks = tasksOf(t, 4);
      const answers = await submitAtOnce(t, tasks, 3);
      assert.deepEqual(
        answers.map(({ answer }) => answer),
        ['submitted', 'submitted', 'queue_full', 'queue_full'],
      );
      const [known] = await submitAtOnce(t, tasks.slice(0, 1), 3);
      assert.equal(known?.answer, 'replayed', 'what is stored is not refused');
      const both = await submitAtOnce(t, tasks.slice(1, 3), 3);
      assert.deepEqual(
        both.map(({ answer }) => answer),
        ['replayed', 'queue_full'],
      );
      assert.deepEqual(await numbersOf(t), [3, 0, 0, 0, 0, 3]);
      assert.equal((await t.log()).length, 3);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'gives each its own limit, also of many at once and when later ones are shorter',
    async run(t) {
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
      // One that has begun has no more time than the others.
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
    name: 'of one type, then another, then one again goes to who runs the type',
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
      // All have ended: what comes now is of one type again.
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

type Ended = readonly [taskId: string, settlement: Settlement];

/** What tasks that ended by one call show, and what the log says of them from its place `log` on. */
async function checkEnded(t: CaseTools, ended: readonly Ended[], log: number): Promise<void> {
  const outcomeOf = (settlement: Settlement) => ('result' in settlement ? settlement.result : undefined);
  const errorOf = (settlement: Settlement) => ('error' in settlement ? settlement.error : undefined);
  const timestamp = new Date(t.now()).toISOString();
  assert.deepEqual(
    (await t.log()).slice(log).map((each) => [each.event, each.task_id, each.rev, each.data, each.timestamp]),
    ended.map(([taskId, settlement]) => [
      `task_${settlement.kind}`,
      taskId,
      3,
      outcomeOf(settlement) ?? errorOf(settlement) ?? null,
      timestamp,
    ]),
  );
  for (const [taskId, settlement] of ended) {
    const { status, result, error: why, rev, attempt, finished_at } = await t.get(taskId);
    assert.deepEqual([status, rev, attempt, finished_at], [settlement.kind, 3, 1, timestamp]);
    assert.deepEqual([result, why], [outcomeOf(settlement), errorOf(settlement)]);
  }
}

const readyCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'finds what comes after a claim that found nothing, also where one may run at once',
    async run(t) {
      const { tenantId } = t;
      await t.storage.tenants.configure({ tenantId, maxRunning: 1 });
      const completed = { kind: 'completed', result: 1 } as const;
      for (const count of [1, 2]) {
        assert.deepEqual(await t.claim(), []);
        await submitAtOnce(t, tasksOf(t, count));
        for (let n = 0; n < count; n += 1) await t.settle(await t.claimOne(), completed);
      }
      assert.deepEqual(await t.claim(), []);
      const batch = {
        batchId: t.id(),
        maxInFlight: 1,
        failFast: false,
        items: [0, 1].map(() => t.submission()),
      };
      await t.storage.tasks.submitBatch({ tenantId, batch, maxWaiting: 9 });
      await t.settle(await t.claimOne(), completed);
      await t.settle(await t.claimOne(), { kind: 'retry', error, delayMs: 0 });
      assert.deepEqual(await t.claim(), []);
      await t.pass(1);
      const held = await t.claimOne();
      await t.storage.tenants.configure({ tenantId, maxRunning: 2, paused: true });
      await submitAtOnce(t, tasksOf(t, 1));
      assert.deepEqual(await t.claim(), []);
      await t.storage.tenants.configure({ tenantId, paused: false });
      assert.equal((await t.claim()).length, 1);
      await t.settle(held, completed);
      assert.deepEqual(await numbersOf(t), [0, 1, 5, 0, 1, 0]);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'gives each once of many that others could not run, in their order',
    async run(t) {
      const others = { runs: [{ type: t.otherType, versions: [1] }] };
      const alone = t.newTask({ type: t.otherType });
      await submitAtOnce(t, [alone]);
      assert.deepEqual(await t.claim(), []);
      const [claim, ...more] = await t.claim(others);
      assert.deepEqual([claim?.task.task_id, more], [alone.task_id, []]);
      assert.deepEqual(await t.claim(others), []);
      const many = tasksOf(t, 130, { type: t.otherType });
      await submitAtOnce(t, many);
      const mine = await submitAtOnce(t, tasksOf(t, 2));
      assert.equal((await t.claim()).length, mine.length);
      const claimed: string[] = [];
      for (let n = 0; n < 200; n += 1) {
        const ids = idsOf(await t.claim({ ...others, max: 30 }));
        if (ids.length === 0) break;
        claimed.push(...ids);
      }
      assert.deepEqual(
        claimed,
        many.map(({ task_id }) => task_id),
      );
      assert.deepEqual(await numbersOf(t), [0, 133, 0, 0, 133, 0]);
    },
  },
];

const settleCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'settle',
    name: 'ends many at once, each in its own way and once, and none of whoever has lost the lease',
    async run(t) {
      await submitAtOnce(t, tasksOf(t, 9));
      const claims = await t.claim();
      assert.equal(claims.length, 9);
      const log = (await t.log()).length;
      const ends: [number, Settlement, string, string?][] = [
        [0, { kind: 'completed', result: { a: 0 } }, 'settled'],
        [1, { kind: 'completed', result: 'no' }, 'lease_lost', t.id()],
        [2, { kind: 'failed', error }, 'settled'],
        [3, { kind: 'completed', result: LARGE }, 'settled'],
        [4, { kind: 'completed', result: null }, 'settled'],
        [5, { kind: 'completed', result: [''] }, 'settled'],
        [5, { kind: 'completed', result: 'twice' }, 'lease_lost'],
        [4, { kind: 'failed', error }, 'lease_lost'],
        [6, { kind: 'failed', error: { ...error, message: 'too' } }, 'settled'],
        [7, { kind: 'completed', result: false }, 'settled'],
      ];
      await t.advance(7);
      const answers = await Promise.all(
        ends.map(([at, settlement, , token]) => {
          const claim = claims[at] as Claim;
          return t.settle(token === undefined ? claim : { ...claim, token }, settlement);
        }),
      );
      assert.deepEqual(
        answers,
        ends.map(([, , answer]) => answer),
      );
      const ended = ends.flatMap(([at, settlement, answer]): Ended[] =>
        answer === 'settled' ? [[claims[at]?.task.task_id ?? '', settlement]] : [],
      );
      await checkEnded(t, ended, log);
      assert.deepEqual(await numbersOf(t), [0, 2, 5, 2, 2, 0]);
      assert.equal(await t.settle(claims[1] as Claim, { kind: 'completed', result: 1 }), 'settled');
      assert.deepEqual(await numbersOf(t), [0, 1, 6, 2, 1, 0]);
      assert.equal(await t.settle(claims[8] as Claim, { kind: 'failed', error }), 'settled');
      assert.deepEqual(await numbersOf(t), [0, 0, 6, 3, 0, 0]);
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'of many at once makes room for as many as have ended, and is about one tenant',
    async run(t) {
      await t.storage.tenants.configure({ tenantId: t.tenantId, maxRunning: 3 });
      await submitAtOnce(t, tasksOf(t, 8));
      await submitAtOnce(t, tasksOf(t, 2), 1_000, t.otherTenantId);
      const claims = await t.claimOfBoth();
      assert.equal(claims.length, 5);
      const foreign = claims.map((claim) => {
        const tenant_id = claim.task.tenant_id === t.tenantId ? t.otherTenantId : t.tenantId;
        return { ...claim, task: { ...claim.task, tenant_id } };
      });
      const completed = { kind: 'completed', result: 1 } as const;
      const lost = await Promise.all(foreign.map((claim) => t.settle(claim, completed)));
      assert.deepEqual(new Set(lost), new Set(['lease_lost']));
      assert.deepEqual(await t.claim(), []);
      const own = claims.filter(({ task }) => task.tenant_id === t.tenantId);
      const others = claims.filter(({ task }) => task.tenant_id !== t.tenantId);
      const [one, two, last] = own as [Claim, Claim, Claim];
      await Promise.all([...others, one, two].map((claim) => t.settle(claim, completed)));
      assert.deepEqual(await numbersOf(t), [5, 1, 2, 0, 1, 5]);
      const next = await t.claim();
      assert.equal(next.length, 2);
      await Promise.all([last, ...next].map((claim) => t.settle(claim, { kind: 'failed', error })));
      assert.deepEqual(await numbersOf(t), [3, 0, 2, 3, 0, 3]);
      assert.equal((await t.claim()).length, 3);
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'removes what ended at once each in its time, and its batch after that',
    async run(t) {
      const items = [0, 1, 2, 3].map(() => t.submission());
      const batch = { batchId: t.id(), maxInFlight: 4, failFast: false, items };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 10 });
      const claims = await t.claim();
      const [first, second, third, fourth] = claims as [Claim, Claim, Claim, Claim];
      const completed = { kind: 'completed', result: 1 } as const;
      await t.settle(first, completed);
      await t.advance(2_000);
      await Promise.all([second, third, fourth].map((claim) => t.settle(claim, completed)));
      const left = async () => {
        const found = await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId: batch.batchId });
        return [(await numbersOf(t))[2], found !== undefined];
      };
      await t.pass(DAY_MS - 2_001);
      assert.deepEqual(await left(), [4, true]);
      await t.pass(1);
      assert.deepEqual([await left(), await t.storage.tasks.get(t.where(first))], [[3, true], undefined]);
      await t.pass(2_000);
      assert.deepEqual(await left(), [0, true]);
      await t.pass(DAY_MS);
      assert.deepEqual(await left(), [0, false]);
    },
  },
];

export const manyCases: readonly ConformanceCase[] = [...submitCases, ...readyCases, ...settleCases];
