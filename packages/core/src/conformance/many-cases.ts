import assert from 'node:assert/strict';
import type { Claim, Settlement } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';
import { idsOf, LARGE, numbersOf, submitAtOnce, tasksOf } from './many-tools.js';

const error = { code: 'workflow_error', message: 'bad', retryable: false } as const;
const DAY_MS = 86_400_000;

type Ended = readonly [taskId: string, settlement: Settlement];

/** Checks the views of tasks that ended in one call, and the log from `log` on. */
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
    name: 'finds tasks submitted after an empty claim, also with a concurrency limit of one',
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
    name: 'leases each of many tasks that other workers could not run once, in order',
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
    name: 'ends many tasks in one call, each once and in its own way, and none without its lease',
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
    name: 'ends many tasks in one call, admits as many, and touches one tenant only',
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
    name: 'removes tasks that ended together each at its own time, and then their batch',
    async run(t) {
      await t.lookedOver();
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

export const manyCases: readonly ConformanceCase[] = [...readyCases, ...settleCases];
