import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const AT_MOST = DEFAULTS.maxHeldFramesOfJob;

/** Sends `count` early progress reports on a job; returns the answers and the held ids. */
async function holdProgress(t: CaseTools, jobId: string, count: number) {
  const answers: string[] = [];
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const body = { kind: 'status', status: 'busy', details: { n } } as const;
    const answer = await t.report(jobId, null, { messageId: `${jobId}-${n}`, body });
    answers.push(answer.answer);
    if (answer.answer === 'held') ids.push(answer.heldId);
  }
  return { answers, ids };
}

async function fates(t: CaseTools, ids: readonly string[]): Promise<string[]> {
  const look = (heldId: string) => t.storage.journal.heldReport({ tenantId: t.tenantId, heldId });
  return (await Promise.all(ids.map(look))).map(({ answer }) => answer);
}

const each = (count: number, word: string) => Array.from({ length: count }, () => word);

/** Reports that arrive before the response which names their job, or name an unknown one. */
export const earlyReportCases: readonly ConformanceCase[] = [
  {
    part: 'journal',
    method: 'report',
    name: 'holds a repeated early report once',
    async run(t) {
      const claim = await t.leased();
      await t.begin(claim, t.callStep());
      const message = { messageId: t.id() };
      const first = await t.report('early', 1, message);
      assert.equal(first.answer, 'held');
      assert.deepEqual(await t.report('early', 1, message), first);
      const other = await t.report('early', 1, { messageId: t.id() });
      assert.ok(other.answer === 'held' && first.answer === 'held');
      assert.notEqual(other.heldId, first.heldId);
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'holds no report with an unknown call id',
    async run(t) {
      const claim = await t.leased();
      await t.begin(claim, t.callStep());
      assert.deepEqual(await t.report('early', 1, { callId: t.id() }), { answer: 'unknown_task' });
      assert.equal((await t.report('early', 1)).answer, 'held');
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'applies a report on a reused job id to the newer call, once the older one has ended',
    async run(t) {
      const first = await t.withJob('again');
      const second = await t.withJob('again');
      assert.deepEqual(await t.report('again', 1), { answer: 'applied', taskId: first.claim.task.task_id });
      const third = await t.withJob('again');
      assert.deepEqual(await t.report('again', 2), { answer: 'applied', taskId: third.claim.task.task_id });
      const { callId } = second.step.call;
      assert.deepEqual(await t.report('again', 3, { callId }), {
        answer: 'applied',
        taskId: second.claim.task.task_id,
      });
    },
  },
  {
    part: 'journal',
    method: 'heldReport',
    name: 'dismisses a report when its last possible call ends, however it ends',
    async run(t) {
      for (const end of ['cancel', 'deadline', 'report'] as const) {
        const claim = await t.leased({ timeoutMs: 20_000 });
        const step = t.callStep();
        await t.begin(claim, step);
        const held = await t.report(`early-${end}`, 1);
        assert.ok(held.answer === 'held');
        if (end === 'report') await t.report('named', 1, { callId: step.call.callId });
        else {
          await t.storage.tasks.cancel({
            ...t.where(claim),
            reason: end,
            graceMs: end === 'cancel' ? 1 : 60_000,
          });
          await t.pass(end === 'cancel' ? 2 : 20_001);
        }
        const look = await t.storage.journal.heldReport({ tenantId: t.tenantId, heldId: held.heldId });
        assert.deepEqual(look, { answer: 'unknown_task' }, end);
        if (end === 'report') await t.settle(claim, { kind: 'completed', result: 1 });
      }
    },
  },
  {
    part: 'journal',
    method: 'heldReport',
    name: 'applies an early report in the step that names its job',
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      const held = await t.report('early', 'overtook');
      assert.ok(held.answer === 'held');
      const look = () => t.storage.journal.heldReport({ tenantId: t.tenantId, heldId: held.heldId });
      assert.equal((await look()).answer, 'held');
      const recorded = await t.record(claim, step, { kind: 'accepted', jobId: 'early' });
      assert.ok('changes' in recorded);
      assert.deepEqual(
        recorded.changes.map(({ outcome }) => outcome),
        [{ ok: true, value: 'overtook' }],
      );
      assert.deepEqual(await look(), { answer: 'applied', taskId: claim.task.task_id });
    },
  },
  {
    part: 'journal',
    method: 'heldReport',
    name: 'holds no report without an unanswered call, and none for longer than a minute',
    async run(t) {
      assert.deepEqual(await t.report('early', 1), { answer: 'unknown_task' });
      const claim = await t.leased();
      await t.begin(claim, t.callStep());
      const held = await t.report('early', 1);
      assert.ok(held.answer === 'held');
      await t.storage.queue.renew({ leases: [{ ...t.where(claim), token: claim.token }], leaseMs: 300_000 });
      await t.pass(60_000);
      const late = await t.storage.journal.heldReport({ tenantId: t.tenantId, heldId: held.heldId });
      assert.deepEqual(late, { answer: 'unknown_task' });
    },
  },
  {
    part: 'journal',
    method: 'heldReport',
    name: 'removes held reports once every call is answered, and affects no other tenant',
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      const held = await t.report('never named', 1);
      assert.ok(held.answer === 'held');
      const foreign = await t.storage.journal.heldReport({ tenantId: t.otherTenantId, heldId: held.heldId });
      assert.deepEqual(foreign, { answer: 'unknown_task' });
      await t.record(claim, step, { kind: 'accepted', jobId: 'named otherwise' });
      const answer = await t.storage.journal.heldReport({ tenantId: t.tenantId, heldId: held.heldId });
      assert.deepEqual(answer, { answer: 'unknown_task' });
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'holds a bounded number of reports of a job, and applies them in order with the answer that names it',
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      await t.begin(claim, t.callStep());
      const { answers, ids } = await holdProgress(t, 'early', AT_MOST + 2);
      assert.deepEqual(answers, [...each(AT_MOST, 'held'), 'retry_later', 'retry_later']);
      const other = await holdProgress(t, 'other', 2);
      assert.deepEqual(other.answers, ['held', 'held']);
      await t.record(claim, step, { kind: 'accepted', jobId: 'early' });
      assert.deepEqual(await fates(t, ids), each(AT_MOST, 'applied'));
      assert.deepEqual(await fates(t, other.ids), ['held', 'held']);
      const next = { kind: 'status', status: 'busy', details: { n: AT_MOST } } as const;
      assert.equal((await t.report('early', null, { body: next })).answer, 'applied');
      const received = (await t.log()).filter(({ event }) => event === 'task_status_update');
      assert.deepEqual(
        received.map(({ data }) => (data as { details: { n: number } }).details.n),
        Array.from({ length: AT_MOST + 1 }, (_, n) => n),
      );
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'holds a single report of any size, and several of a job while they are small together',
    limits: { maxHeldBytesOfJob: 10_000 },
    async run(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      const large = await t.report('early', 'x'.repeat(20_000));
      assert.ok(large.answer === 'held');
      assert.deepEqual(await t.report('early', 1), { answer: 'retry_later' });
      for (const [size, answer] of [
        [6_000, 'held'],
        [6_000, 'retry_later'],
        [2_000, 'held'],
      ] as const)
        assert.equal((await t.report('other', 'x'.repeat(size))).answer, answer);
      await t.record(claim, step, { kind: 'accepted', jobId: 'early' });
      const { taskId } = t.where(claim);
      assert.deepEqual(await t.storage.journal.heldReport({ tenantId: t.tenantId, heldId: large.heldId }), {
        answer: 'applied',
        taskId,
      });
    },
  },
  {
    part: 'journal',
    method: 'heldReport',
    name: 'frees the room of a job when its reports are applied, dismissed or expired',
    async run(t) {
      const claim = await t.leased();
      for (const end of ['dismissed', 'late', 'applied'] as const) {
        const step = t.callStep();
        await t.begin(claim, step);
        const first = await holdProgress(t, 'early', AT_MOST);
        const second = await holdProgress(t, 'second', 1);
        assert.deepEqual([...first.answers, ...second.answers], each(AT_MOST + 1, 'held'));
        await t.storage.queue.renew({
          leases: [{ ...t.where(claim), token: claim.token }],
          leaseMs: 300_000,
        });
        if (end === 'late') await t.pass(60_000);
        const word = end === 'applied' ? 'applied' : 'unknown_task';
        if (end === 'late') assert.deepEqual(await fates(t, first.ids), each(AT_MOST, word));
        else
          await t.record(claim, step, {
            kind: 'accepted',
            jobId: end === 'applied' ? 'early' : `named-${end}`,
          });
        assert.deepEqual(await fates(t, [...first.ids, ...second.ids]), [
          ...each(AT_MOST, word),
          'unknown_task',
        ]);
        const { callId } = step.call;
        await t.report(end === 'applied' ? 'early' : `named-${end}`, 1, { callId });
        await t.record(claim, step, t.result(1));
      }
    },
  },
];
