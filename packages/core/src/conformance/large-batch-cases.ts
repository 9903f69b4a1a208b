import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { BatchSubmission } from '../storage/task-records.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** More tasks than two steps of the storage create. */
const MANY = 2 * DEFAULTS.cancelledAtOnce + 30;
const SESSIONS = 3;
const MAX_STORED = 200_000;
const badItem = { error: { code: 'workflow_error', message: 'bad', retryable: false } } as const;
const taken = { code: 'conflict', retryable: false };

/** Tasks of alternating sessions, with `more` by index. */
function inSessions(
  t: CaseTools,
  more: (at: number) => BatchSubmission['items'][number] | object = () => ({}),
): BatchSubmission['items'] {
  return Array.from({ length: MANY }, (_, at) => {
    const own = more(at);
    return 'error' in own || 'task' in own ? own : t.submission({ session_id: `s-${at % SESSIONS}`, ...own });
  });
}

const batchOf = (t: CaseTools, items: BatchSubmission['items']): BatchSubmission => ({
  ...{ batchId: t.id(), maxInFlight: MANY, failFast: false, items },
});

function submit(t: CaseTools, batch: BatchSubmission, more: { maxWaiting?: number; key?: string } = {}) {
  const { maxWaiting = 10_000, key } = more;
  const idempotency = key === undefined ? undefined : { key, fingerprint: 'f' };
  return t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, idempotency, maxWaiting });
}

async function stored(t: CaseTools, batch: BatchSubmission) {
  const answer = await submit(t, batch);
  assert.ok('batch' in answer, `expected the batch to be stored, got ${answer.answer}`);
  return answer.batch;
}

const idsOf = (items: BatchSubmission['items']) =>
  items.map((item) => ('task' in item ? item.task.task_id : undefined));

async function pending(t: CaseTools): Promise<number> {
  return (await t.storage.tasks.counts({ tenantId: t.tenantId })).counts.pending;
}

/** Claims and completes one task after the other. */
async function runAll(t: CaseTools): Promise<readonly string[]> {
  const order: string[] = [];
  for (;;) {
    const [claim] = await t.claim({ max: 1 });
    if (!claim) return order;
    order.push(claim.task.task_id);
    await t.settle(claim, { kind: 'completed', result: 1 });
  }
}

/** Batches that a storage may create in portions, because of their size or of the groups of their tasks. */
export const largeBatchCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'stores many tasks of some sessions in order, with errors in their positions',
    async run(t) {
      const items = inSessions(t, (at) => (at % 50 === 9 ? badItem : {}));
      const batch = await stored(t, batchOf(t, items));
      const bad = items.filter((item) => 'error' in item).length;
      assert.deepEqual([batch.total, batch.counts.pending, batch.counts.failed], [MANY, MANY - bad, bad]);
      assert.deepEqual(
        batch.items.map(({ task_id }) => task_id),
        idsOf(items),
      );
      const created = (await t.log()).filter(({ event }) => event === 'task_created');
      const ids = idsOf(items).filter((id) => id !== undefined);
      assert.deepEqual(
        created.map(({ task_id }) => task_id),
        ids,
      );
      const order = await runAll(t);
      for (let session = 0; session < SESSIONS; session += 1) {
        const own = idsOf(items).filter((id, at) => id !== undefined && at % SESSIONS === session);
        assert.deepEqual(
          order.filter((id) => own.includes(id)),
          own,
        );
      }
      assert.equal(order.length, ids.length);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'stores all of many tasks of sessions, or none beyond the queue limit',
    async run(t) {
      const batch = batchOf(t, inSessions(t));
      await t.submit();
      assert.equal((await submit(t, batch, { maxWaiting: MANY })).answer, 'queue_full');
      assert.equal(await pending(t), 1);
      const { tenantId } = t;
      assert.equal(await t.storage.tasks.getBatch({ tenantId, batchId: batch.batchId }), undefined);
      assert.equal(await t.storage.sessions.get({ tenantId, sessionId: 's-0' }), undefined);
      assert.equal((await submit(t, batch, { maxWaiting: MANY + 1 })).answer, 'submitted');
      assert.equal(await pending(t), MANY + 1);
      const refused = batchOf(t, [t.submission(), t.submission()]);
      assert.equal((await submit(t, refused, { maxWaiting: MANY + 2 })).answer, 'queue_full');
      assert.equal((await submit(t, refused, { maxWaiting: MANY + 3 })).answer, 'submitted');
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'stores many tasks of sessions once, however often and concurrently it is requested',
    async run(t) {
      const items = inSessions(t);
      const asked = Array.from({ length: 3 }, () => submit(t, batchOf(t, items), { key: 'k' }));
      const answers = await Promise.all(asked);
      assert.deepEqual(answers.map(({ answer }) => answer).toSorted(), ['replayed', 'replayed', 'submitted']);
      const found = answers.map((answer) => ('batch' in answer ? answer.batch : undefined));
      assert.equal(new Set(found.map((batch) => batch?.batch_id)).size, 1);
      for (const batch of found) assert.equal(batch?.counts.pending, MANY);
      assert.equal(await pending(t), MANY);
      const other = batchOf(t, inSessions(t));
      const params = { tenantId: t.tenantId, batch: other, maxWaiting: 10_000 };
      const idempotency = { key: 'k', fingerprint: 'other' };
      const conflict = await t.storage.tasks.submitBatch({ ...params, idempotency });
      assert.equal(conflict.answer, 'idempotency_conflict');
      assert.equal(await pending(t), MANY);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'refuses items with a taken task id, of an earlier task or of the same batch',
    async run(t) {
      const before = await t.submit();
      const twice = t.submission({ session_id: 's-0' });
      const items = inSessions(t, (at) => {
        if (at === 1 || at === MANY - 1) return twice;
        return at === MANY - 2 ? { task_id: before.task_id } : {};
      });
      const batch = await stored(t, batchOf(t, items));
      assert.equal(batch.counts.failed, 2);
      for (const at of [MANY - 2, MANY - 1]) {
        const { code, retryable } = batch.items[at]?.error ?? {};
        assert.deepEqual({ code, retryable }, taken);
      }
      assert.equal(batch.items[1]?.task_id, twice.task.task_id);
      assert.equal(await pending(t), MANY - 2 + 1);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'refuses items of closed and of busy sessions',
    async run(t) {
      const { tenantId } = t;
      await t.storage.sessions.create({ tenantId, sessionId: 's-1', context: {} });
      await t.storage.sessions.close({ tenantId, sessionId: 's-1', graceMs: 0 });
      const items = inSessions(t, (at) => (at % SESSIONS === 2 ? { session_id: 'busy' } : {})).map(
        (item, at) => ('task' in item && at % SESSIONS === 2 ? { ...item, onBusy: 'reject' as const } : item),
      );
      const { items: found, counts } = await stored(t, batchOf(t, items));
      const codes = found.map(({ status, error }) => error?.code ?? status);
      assert.deepEqual(
        codes,
        items.map((_, at) => {
          if (at % SESSIONS === 1) return 'session_closed';
          return at % SESSIONS === 0 || at === 2 ? 'pending' : 'session_busy';
        }),
      );
      assert.equal(counts.pending, await pending(t));
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'counts the bytes of many tasks of sessions, for as long as they are kept',
    limits: { maxStoredBytes: MAX_STORED },
    async run(t) {
      const payload = 'x'.repeat((1.1 * MAX_STORED) / MANY);
      for (let round = 0; round < 3; round += 1) {
        const batch = batchOf(
          t,
          inSessions(t, (at) => (at === 3 ? badItem : { payload })),
        );
        assert.equal((await submit(t, batch)).answer, 'submitted');
        assert.equal((await submit(t, batchOf(t, inSessions(t)))).answer, 'queue_full');
        const { tenantId } = t;
        const cancel = { tenantId, batchId: batch.batchId, reason: 'enough', graceMs: 0 };
        assert.equal((await t.storage.tasks.cancelBatch(cancel))?.counts.cancelled, MANY - 1);
        for (let day = 0; day < 4; day += 1) await t.pass(24 * 60 * 60_000);
        assert.equal(await t.storage.tasks.getBatch({ tenantId, batchId: batch.batchId }), undefined);
      }
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'accepts payloads that are large together, with messages and start times',
    async run(t) {
      const text = 'é'.repeat(200_000);
      const items = Array.from({ length: 8 }, (_, at) => {
        const later = at === 5 ? { runAt: t.now() + 60_000 } : {};
        const session = at < 4 ? { session_id: 's' } : {};
        const message = at < 4 && { message_id: `m-${at}`, role: 'user' as const, content: `${at}` };
        return t.submission({ payload: { at, text }, ...session, ...later }, message ? { message } : {});
      });
      const batch = await stored(t, batchOf(t, items));
      assert.equal(batch.counts.pending, 8);
      for (const [at, id] of idsOf(items).entries()) {
        const { payload } = await t.get(id ?? '');
        assert.deepEqual(payload, { at, text });
      }
      const where = { tenantId: t.tenantId, sessionId: 's' };
      const messages = await t.storage.sessions.messages({ ...where, limit: 10 });
      assert.deepEqual(
        messages?.map(({ content }) => content),
        ['0', '1', '2', '3'],
      );
      assert.equal((await runAll(t)).length, 7);
      await t.pass(60_000);
      assert.equal((await runAll(t)).length, 1);
    },
  },
];
