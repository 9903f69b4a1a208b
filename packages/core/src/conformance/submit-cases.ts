import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';

const limits = { maxWaiting: 1_000_000 };

export const submitCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'submit',
    name: 'stores task, message and event in one step',
    async run(t) {
      const message = { message_id: 'm-1', role: 'user', content: 'hello' } as const;
      const task = await t.submit(
        { session_id: 's', payload: { a: [1, null, ''] }, priority: 7 },
        { message },
      );
      assert.equal(task.status, 'pending');
      assert.equal(task.rev, 1);
      assert.deepEqual(await t.get(task.task_id), task);
      assert.deepEqual(task.payload, { a: [1, null, ''] });
      assert.deepEqual(await t.eventsOf(task.task_id), ['task_created']);
      const messages = await t.storage.sessions.messages({ tenantId: t.tenantId, sessionId: 's', limit: 10 });
      assert.deepEqual(
        messages?.map(({ role, content, task_id }) => ({ role, content, task_id })),
        [{ role: 'user', content: 'hello', task_id: task.task_id }],
      );
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'stores a copy: later changes by the caller have no effect',
    async run(t) {
      const payload = { list: [1] };
      const task = await t.submit({ payload });
      payload.list.push(2);
      (task.payload as { list: number[] }).list.push(3);
      assert.deepEqual((await t.get(task.task_id)).payload, { list: [1] });
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'returns the same task for the same idempotency key, also concurrently',
    async run(t) {
      const idempotency = { key: 'k', fingerprint: 'f' };
      const submit = () =>
        t.storage.tasks.submit({ tenantId: t.tenantId, submission: t.submission(), idempotency, ...limits });
      const answers = await Promise.all([submit(), submit(), submit()]);
      assert.deepEqual(answers.map(({ answer }) => answer).toSorted(), ['replayed', 'replayed', 'submitted']);
      assert.equal(new Set(answers.map((answer) => 'task' in answer && answer.task.task_id)).size, 1);
      assert.equal((await t.log()).length, 1);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'refuses a key with a different request, but not in another tenant',
    async run(t) {
      const submit = (fingerprint: string, tenantId = t.tenantId) =>
        t.storage.tasks.submit({
          tenantId,
          submission: t.submission(),
          idempotency: { key: 'k', fingerprint },
          ...limits,
        });
      await submit('one');
      assert.equal((await submit('two')).answer, 'idempotency_conflict');
      assert.equal((await submit('two', t.otherTenantId)).answer, 'submitted');
      assert.equal((await t.log()).length, 1);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'forgets an idempotency key after a day',
    async run(t) {
      const submit = (fingerprint: string) =>
        t.storage.tasks.submit({
          tenantId: t.tenantId,
          submission: t.submission(),
          idempotency: { key: 'k', fingerprint },
          ...limits,
        });
      await submit('one');
      await t.pass(86_400_000 - 1_000);
      assert.equal((await submit('two')).answer, 'idempotency_conflict');
      await t.pass(2_000);
      assert.equal((await submit('two')).answer, 'submitted');
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'accepts a task id once',
    async run(t) {
      const submission = t.submission();
      const submit = () => t.storage.tasks.submit({ tenantId: t.tenantId, submission, ...limits });
      assert.equal((await submit()).answer, 'submitted');
      assert.equal((await submit()).answer, 'replayed');
      const other = { ...submission, task: { ...submission.task, type: 'other' } };
      const refused = await t.storage.tasks.submit({ tenantId: t.tenantId, submission: other, ...limits });
      assert.equal(refused.answer, 'conflict');
      assert.equal((await t.claim()).length, 1);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'refuses tasks beyond the queue limit, and counts waiting ones only',
    async run(t) {
      const submit = () =>
        t.storage.tasks.submit({ tenantId: t.tenantId, submission: t.submission(), maxWaiting: 2 });
      await submit();
      await submit();
      assert.equal((await submit()).answer, 'queue_full');
      assert.equal((await t.log()).length, 2);
      await t.claim({ max: 1 });
      assert.equal((await submit()).answer, 'submitted');
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'holds a scheduled task until run_at, and counts its deadline from then',
    async run(t) {
      const task = await t.submit({ runAt: t.now() + 10_000, timeoutMs: 5_000 });
      await t.pass(9_000);
      assert.deepEqual(await t.claim(), []);
      await t.pass(1_000);
      assert.equal((await t.claimOne()).task.task_id, task.task_id);
      await t.pass(4_000);
      assert.equal((await t.get(task.task_id)).status, 'processing');
      await t.pass(1_000);
      assert.equal((await t.get(task.task_id)).error?.code, 'timeout');
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'runs the tasks of a session one at a time, in order',
    async run(t) {
      const tasks = [
        await t.submit({ session_id: 's' }),
        await t.submit({ session_id: 's', priority: 9 }),
        await t.submit({ session_id: 's' }),
      ];
      for (const task of tasks) {
        const claims = await t.claim();
        assert.deepEqual(
          claims.map((claim) => claim.task.task_id),
          [task.task_id],
        );
        await t.settle(claims[0] as (typeof claims)[0], { kind: 'completed', result: null });
      }
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'queues the first task of a session with the highest priority behind it',
    async run(t) {
      const head = await t.submit({ session_id: 's', priority: 0 });
      const other = await t.submit({ priority: 4 });
      await t.submit({ session_id: 's', priority: 9 });
      const order = (await t.claim()).map(({ task }) => task.task_id);
      assert.deepEqual(order, [head.task_id, other.task_id]);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'handles a busy session as on_busy requires',
    async run(t) {
      const first = await t.submit({ session_id: 's' });
      const claim = await t.claimOne();
      const refused = await t.storage.tasks.submit({
        tenantId: t.tenantId,
        submission: t.submission({ session_id: 's' }, { onBusy: 'reject' }),
        ...limits,
      });
      assert.equal(refused.answer, 'session_busy');
      const beside = await t.submit({ session_id: 's' }, { onBusy: 'parallel' });
      assert.equal((await t.claimOne()).task.task_id, beside.task_id);
      const next = await t.submit({ session_id: 's' }, { onBusy: 'interrupt' });
      assert.equal(
        (await t.storage.journal.changesSince({ ...t.where(claim), token: claim.token, journalRev: 0 }))
          .answer,
        'changes',
      );
      assert.deepEqual(await t.claim(), []);
      await t.settle(claim, { kind: 'cancelled' });
      assert.equal((await t.get(first.task_id)).status, 'cancelled');
      assert.equal((await t.claimOne()).task.task_id, next.task_id);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'refuses tasks of a closed session',
    async run(t) {
      await t.submit({ session_id: 's' });
      await t.storage.sessions.close({ tenantId: t.tenantId, sessionId: 's', graceMs: 0 });
      const refused = await t.storage.tasks.submit({
        tenantId: t.tenantId,
        submission: t.submission({ session_id: 's' }),
        ...limits,
      });
      assert.equal(refused.answer, 'session_closed');
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'stores all items in one step, invalid ones with their errors',
    async run(t) {
      const error = { code: 'invalid_request', message: 'bad', retryable: false } as const;
      const items = [t.submission({ payload: 0 }), { error }, t.submission({ payload: 2 })];
      const batch = { batchId: t.id(), maxInFlight: 10, failFast: false, items };
      const answer = await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, ...limits });
      assert.ok('batch' in answer);
      assert.equal(answer.batch.total, 3);
      assert.deepEqual(
        answer.batch.items.map(({ index, status, error: why }) => [index, status, why?.message]),
        [
          [0, 'pending', undefined],
          [1, 'failed', 'bad'],
          [2, 'pending', undefined],
        ],
      );
      assert.equal((await t.claim()).length, 2);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'runs at most max_in_flight tasks of a batch',
    async run(t) {
      const items = Array.from({ length: 5 }, () => t.submission());
      const batch = { batchId: t.id(), maxInFlight: 2, failFast: false, items };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, ...limits });
      const claims = await t.claim();
      assert.equal(claims.length, 2);
      assert.deepEqual(await t.claim(), []);
      await t.settle(claims[0] as (typeof claims)[0], { kind: 'completed', result: 1 });
      assert.equal((await t.claim()).length, 1);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'cancels the rest after the first failure with fail_fast',
    async run(t) {
      const items = Array.from({ length: 4 }, () => t.submission());
      const batch = { batchId: t.id(), maxInFlight: 1, failFast: true, items };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, ...limits });
      const error = { code: 'workflow_error', message: 'bad', retryable: false } as const;
      await t.settle(await t.claimOne(), { kind: 'failed', error });
      const after = await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId: batch.batchId });
      assert.deepEqual(after?.counts, { pending: 0, processing: 0, completed: 0, failed: 1, cancelled: 3 });
      assert.deepEqual(await t.claim(), []);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'returns the same batch for the same key, and refuses a batch beyond the queue limit as a whole',
    async run(t) {
      const submit = (key: string, count: number, maxWaiting: number) => {
        const batch = {
          batchId: t.id(),
          maxInFlight: 9,
          failFast: false,
          items: Array.from({ length: count }, () => t.submission()),
        };
        return t.storage.tasks.submitBatch({
          tenantId: t.tenantId,
          batch,
          idempotency: { key, fingerprint: String(count) },
          maxWaiting,
        });
      };
      assert.equal((await submit('a', 3, 2)).answer, 'queue_full');
      assert.equal((await t.log()).length, 0);
      assert.equal((await submit('a', 3, 3)).answer, 'submitted');
      assert.equal((await submit('a', 3, 3)).answer, 'replayed');
      assert.equal((await submit('a', 2, 9)).answer, 'idempotency_conflict');
      assert.equal((await t.claim()).length, 3);
    },
  },
  {
    part: 'tasks',
    method: 'getBatch',
    name: 'includes results on request, and finds no batch of another tenant',
    async run(t) {
      const batch = {
        batchId: t.id(),
        maxInFlight: 9,
        failFast: false,
        items: [t.submission(), t.submission()],
      };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, ...limits });
      await t.settle(await t.claimOne({ max: 1 }), { kind: 'completed', result: 0 });
      const about = { tenantId: t.tenantId, batchId: batch.batchId };
      const plain = await t.storage.tasks.getBatch(about);
      assert.deepEqual(
        plain?.items.map((item) => [item.status, 'result' in item]),
        [
          ['completed', false],
          ['pending', false],
        ],
      );
      const found = await t.storage.tasks.getBatch({ ...about, results: true });
      assert.deepEqual(
        found?.items.map(({ status, result }) => [status, result]),
        [
          ['completed', 0],
          ['pending', undefined],
        ],
      );
      assert.equal(
        await t.storage.tasks.getBatch({ tenantId: t.otherTenantId, batchId: batch.batchId }),
        undefined,
      );
      assert.equal(await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId: t.id() }), undefined);
    },
  },
  {
    part: 'tasks',
    method: 'cancelBatch',
    name: 'cancels live tasks, and starts none meanwhile',
    async run(t) {
      const batch = {
        batchId: t.id(),
        maxInFlight: 1,
        failFast: false,
        items: Array.from({ length: 3 }, () => t.submission()),
      };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, ...limits });
      await t.settle(await t.claimOne(), { kind: 'completed', result: 'kept' });
      const where = { tenantId: t.tenantId, batchId: batch.batchId, reason: 'enough', graceMs: 1_000 };
      const cancelled = await t.storage.tasks.cancelBatch(where);
      assert.deepEqual(cancelled?.counts, {
        pending: 0,
        processing: 0,
        completed: 1,
        failed: 0,
        cancelled: 2,
      });
      assert.deepEqual(await t.claim(), []);
      assert.equal(await t.storage.tasks.cancelBatch({ ...where, tenantId: t.otherTenantId }), undefined);
    },
  },
];
