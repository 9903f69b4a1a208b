import assert from 'node:assert/strict';
import type { JournalStep } from '../storage/call-journal.js';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const failure = { code: 'service_error', message: 'down', retryable: true } as const;
/** More steps than five steps of the storage copy, by number and by bytes. */
const MANY = 17;
const limits = { callsAtOnce: 3, pageBytes: 2_000 };

const own = (n: number) => ({ key: `s-${n}`, kind: 'run', name: 'run' }) as const;
const isGood = (n: number) => n % 4 !== 3 && n < MANY - 2;
const valueOf = (n: number) => `${n} ${'x'.repeat(n === 5 ? 3_000 : 600)}`;
const good = Array.from({ length: MANY }, (_, n) => n).filter(isGood);

/** A dead letter: every fourth step has failed, and the last ones have. */
async function deadLetter(t: CaseTools): Promise<Claim> {
  const claim = await t.leased();
  for (let n = 0; n < MANY; n += 1) {
    await t.begin(claim, own(n));
    await t.record(claim, own(n), isGood(n) ? t.result(valueOf(n)) : t.failure(valueOf(n)));
  }
  await t.settle(claim, { kind: 'failed', error: failure });
  return claim;
}

async function readJournal(t: CaseTools, claim: Claim): Promise<readonly JournalStep[]> {
  const steps: JournalStep[] = [];
  for (let after: number | undefined = 0; after !== undefined;) {
    const page = await t.storage.journal.read({ ...t.where(claim), token: claim.token, after });
    assert.ok(page.answer === 'page');
    steps.push(...page.steps);
    after = page.next;
  }
  return steps;
}

const outcomes = (steps: readonly JournalStep[]) =>
  steps.map(({ key, rev, inherited, outcome }) => ({ key, rev, inherited, outcome }));
const inherited = good.map((n) => ({
  key: own(n).key,
  rev: n + 1,
  inherited: true,
  outcome: { ok: true, value: valueOf(n) },
}));

/** Redrive of a task whose journal is copied in several steps, and of one that was redriven long ago. */
export const redriveCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'redrive',
    name: 'inherits every success of a large journal in order, and appends new steps behind them',
    limits,
    async run(t) {
      const old = await deadLetter(t);
      const newTaskId = t.id();
      const redriven = await t.storage.tasks.redrive({ maxWaiting: 10, ...t.where(old), newTaskId });
      assert.equal(redriven.answer, 'redriven');
      const next = await t.claimOne();
      assert.deepEqual([next.task.task_id, next.seed], [newTaskId, old.seed]);
      assert.deepEqual(outcomes(await readJournal(t, next)), inherited);
      for (const n of [MANY - 1, MANY]) {
        await t.begin(next, own(n));
        await t.record(next, own(n), t.result('new'));
      }
      const last = (good.at(-1) as number) + 1;
      assert.deepEqual(
        (await readJournal(t, next)).slice(good.length).map(({ key, rev }) => [key, rev]),
        [
          [own(MANY - 1).key, last + 1],
          [own(MANY).key, last + 2],
        ],
      );
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'creates one task from a large journal for concurrent requests, and refuses it beyond the limits',
    limits,
    async run(t) {
      const old = await deadLetter(t);
      const redrive = (newTaskId: string, maxWaiting = 10) =>
        t.storage.tasks.redrive({ maxWaiting, ...t.where(old), newTaskId });
      assert.equal((await redrive(t.id(), 0)).answer, 'queue_full');
      const ids = [t.id(), t.id(), t.id()];
      const answers = await Promise.all(ids.map((id) => redrive(id)));
      const made = answers.map((answer) => ('task' in answer ? answer.task.task_id : answer.answer));
      assert.equal(new Set(made).size, 1);
      assert.ok(ids.includes(made[0] ?? ''));
      const claims = await t.claim();
      assert.deepEqual(
        claims.map(({ task }) => task.task_id),
        made.slice(0, 1),
      );
      assert.deepEqual(outcomes(await readJournal(t, claims[0] as Claim)), inherited);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'inherits the same journal when redriven again, and an empty one without a success',
    limits,
    async run(t) {
      const old = await deadLetter(t);
      await t.storage.tasks.redrive({ maxWaiting: 10, ...t.where(old), newTaskId: t.id() });
      const second = await t.claimOne();
      await t.settle(second, { kind: 'failed', error: failure });
      await t.storage.tasks.redrive({ maxWaiting: 10, ...t.where(second), newTaskId: t.id() });
      const third = await t.claimOne();
      assert.deepEqual(outcomes(await readJournal(t, third)), inherited);
      const empty = await t.leased();
      for (let n = 0; n < MANY; n += 1) {
        await t.begin(empty, own(n));
        await t.record(empty, own(n), t.failure('no'));
      }
      await t.settle(empty, { kind: 'failed', error: failure });
      await t.storage.tasks.redrive({ maxWaiting: 10, ...t.where(empty), newTaskId: t.id() });
      const last = await t.claimOne();
      assert.deepEqual([last.steps, last.journalRev, await readJournal(t, last)], [[], 0, []]);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'does not do again what a redriven task did that has ended and is no longer kept',
    limits: { retentionMs: 60_000, deadLetterRetentionMs: 3_600_000 },
    async run(t) {
      const claim = await t.leased();
      await t.settle(claim, { kind: 'failed', error: failure });
      const newTaskId = t.id();
      const redrive = (id: string) =>
        t.storage.tasks.redrive({ maxWaiting: 10_000, ...t.where(claim), newTaskId: id });
      await redrive(newTaskId);
      await t.settle(await t.claimOne(), { kind: 'completed', result: 'done' });
      await t.pass(60_000);
      assert.equal(await t.storage.tasks.get({ tenantId: t.tenantId, taskId: newTaskId }), undefined);
      assert.equal((await redrive(t.id())).answer, 'not_failed');
      assert.equal((await t.claim()).length, 0);
    },
  },
];
