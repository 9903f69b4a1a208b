import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { JournalStep } from '../storage/call-journal.js';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const { maxJournalBytes, pageBytes } = DEFAULTS;
/** Two of these fit into a page, three do not. */
const LARGE = 'x'.repeat(Math.floor(0.4 * pageBytes));
/** The largest allowed result. */
const LARGEST = 'x'.repeat(pageBytes - 2);

async function ran(t: CaseTools, claim: Claim, value: string) {
  const step = { key: t.name('step'), kind: 'run', name: 'run' } as const;
  await t.begin(claim, step);
  await t.record(claim, step, t.result(value));
  return step.key;
}

async function readAll(t: CaseTools, claim: Claim) {
  const pages: (readonly JournalStep[])[] = [];
  for (let after = 0; pages.length < 100;) {
    const page = await t.storage.journal.read({ ...t.where(claim), token: claim.token, after });
    assert.ok(page.answer === 'page');
    pages.push(page.steps);
    if (page.next === undefined) return { pages, journalRev: page.journalRev };
    after = page.next;
  }
  throw new assert.AssertionError({ message: 'expected the pages to come to an end' });
}

/** A task with a journal larger than a page, claimed again after it was parked. */
async function claimedAgain(t: CaseTools) {
  const claim = await t.leased();
  const keys: string[] = [];
  for (let n = 0; n < 3; n += 1) keys.push(await ran(t, claim, LARGE));
  const open = { key: 'open', kind: 'signal', name: 'signal go', signal: 'go' } as const;
  await t.begin(claim, open);
  await t.settle(claim, { kind: 'parked', journalRev: 3 });
  await t.storage.queue.wake(t.where(claim));
  return { again: await t.claimOne(), keys };
}

/** Large journals: a total limit, and pages. */
export const largeJournalCases: readonly ConformanceCase[] = [
  {
    part: 'journal',
    method: 'record',
    name: 'fails a step whose outcome exceeds the journal limit, and accepts outcomes that still fit',
    async run(t) {
      const claim = await t.leased();
      const most = Math.floor(maxJournalBytes / (pageBytes + 100));
      for (let n = 0; n < most; n += 1) await ran(t, claim, LARGEST);
      const tooMuch = await ran(t, claim, LARGEST);
      const small = await ran(t, claim, 'small');
      const { pages } = await readAll(t, claim);
      const outcomeOf = (key: string) => pages.flat().find((step) => step.key === key)?.outcome;
      const outcome = outcomeOf(tooMuch);
      assert.ok(outcome && !outcome.ok);
      assert.deepEqual([outcome.error.code, outcome.error.retryable], ['result_too_large', false]);
      assert.match(outcome.error.message, new RegExp(`expected at most ${maxJournalBytes} bytes, got \\d+`));
      assert.deepEqual(outcomeOf(small), { ok: true, value: 'small' });
      const signal = { ...t.where(claim), name: 'go', signalId: 'large', payload: LARGEST };
      assert.equal((await t.storage.tasks.signal(signal)).answer, 'journal_full');
      const kept = await t.storage.tasks.signal({ ...signal, signalId: 'small', payload: 1 });
      assert.equal(kept.answer, 'kept');
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'fails a step whose reported outcome exceeds the journal limit',
    async run(t) {
      const { claim, step, jobId } = await t.withJob();
      for (let n = 0; n < Math.floor(maxJournalBytes / (pageBytes + 100)); n += 1)
        await ran(t, claim, LARGEST);
      assert.equal((await t.report(jobId, LARGEST)).answer, 'applied');
      assert.equal((await t.report(jobId, LARGEST)).answer, 'duplicate');
      const { pages } = await readAll(t, claim);
      const outcome = pages.flat().find(({ key }) => key === step.key)?.outcome;
      assert.equal(outcome?.ok === false && outcome.error.code, 'result_too_large');
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'leaves a large journal to be read by the worker, and includes the others',
    async run(t) {
      const { again } = await claimedAgain(t);
      assert.deepEqual([again.unread, again.steps, again.journalRev], [true, [], 0]);
      await t.settle(again, { kind: 'released' });
      await t.submit({ priority: 9 });
      const small = await t.claimOne({ max: 1 });
      const key = await ran(t, small, 'small');
      await t.settle(small, { kind: 'released' });
      const claims = await t.claim();
      const brought = claims.find(({ task }) => task.task_id === small.task.task_id);
      assert.deepEqual([brought?.unread, brought?.steps.map((step) => step.key)], [undefined, [key]]);
      const other = claims.find(({ task }) => task.task_id === again.task.task_id);
      assert.equal(other?.unread, true);
    },
  },
  {
    part: 'journal',
    method: 'read',
    name: 'returns the whole journal in pages, open steps with the last one, and nothing without the lease',
    async run(t) {
      const { again, keys } = await claimedAgain(t);
      const { pages, journalRev } = await readAll(t, again);
      assert.deepEqual(
        pages.map((page) => page.map(({ key }) => key)),
        [keys.slice(0, 2), [...keys.slice(2), 'open']],
      );
      assert.equal(journalRev, 3);
      assert.deepEqual(pages.flat()[0]?.outcome, { ok: true, value: LARGE });
      assert.equal(pages.flat()[3]?.outcome, undefined);
      const foreign = await t.storage.journal.read({ ...t.where(again), token: t.id(), after: 0 });
      assert.deepEqual(foreign, { answer: 'lease_lost' });
    },
  },
  {
    part: 'journal',
    method: 'changesSince',
    name: 'returns a page of changes, and says that there are more',
    async run(t) {
      const claim = await t.leased();
      const keys: string[] = [];
      for (let n = 0; n < 3; n += 1) keys.push(await ran(t, claim, LARGE));
      const page = async (journalRev: number) => {
        const found = await t.storage.journal.changesSince({
          ...t.where(claim),
          token: claim.token,
          journalRev,
        });
        assert.ok(found.answer === 'changes');
        return [found.changes.map(({ key }) => key), found.journalRev, found.more];
      };
      assert.deepEqual(await page(0), [keys.slice(0, 2), 2, true]);
      assert.deepEqual(await page(2), [keys.slice(2), 3, undefined]);
    },
  },
  {
    part: 'journal',
    method: 'read',
    name: 'returns the journal of a task in any state without a token, with what its runs begin with',
    async run(t) {
      const claim = await t.leased();
      const keys: string[] = [];
      for (let n = 0; n < 3; n += 1) keys.push(await ran(t, claim, LARGE));
      const read = (after: number) => t.storage.journal.read({ ...t.where(claim), after });
      const { seed, startedAt, version } = claim;
      const origin = { seed, startedAt, version, inherited: 0 };
      for (const end of ['leased', 'completed']) {
        if (end === 'completed') await t.settle(claim, { kind: 'completed', result: 1 });
        const first = await read(0);
        assert.ok(first.answer === 'page', end);
        assert.deepEqual(
          [first.steps.map(({ key }) => key), first.next, first.origin],
          [keys.slice(0, 2), 2, origin],
        );
        const second = await read(2);
        assert.ok(second.answer === 'page');
        assert.deepEqual(
          [second.steps.map(({ key }) => key), second.next, second.origin],
          [keys.slice(2), undefined, origin],
        );
      }
    },
  },
  {
    part: 'journal',
    method: 'read',
    name: 'without a token, returns an empty journal for a task that has not started, and nothing of an unknown one',
    async run(t) {
      const { task_id: taskId } = await t.submit();
      const read = (tenantId: string, id: string) =>
        t.storage.journal.read({ tenantId, taskId: id, after: 0 });
      assert.deepEqual(await read(t.tenantId, taskId), {
        answer: 'page',
        steps: [],
        journalRev: 0,
        origin: { seed: taskId, inherited: 0 },
      });
      assert.deepEqual(await read(t.tenantId, t.id()), { answer: 'not_found' });
      assert.deepEqual(await read('another', taskId), { answer: 'not_found' });
    },
  },
];
