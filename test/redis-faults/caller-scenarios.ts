import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import { type BatchSubmission, type NewTask, type StepRequest } from '@agent-orchestrator/core/storage';
import { type CaseTools } from '@agent-orchestrator/core/conformance';
import { error, GRACE, MAX, type StepScenario } from './step-scenario.js';

const submitting =
  (more: Partial<NewTask>, options: Parameters<CaseTools['submission']>[1] = {}, key?: string) =>
  async (t: CaseTools) => {
    const submission = t.submission(more, options);
    const idempotency = key === undefined ? undefined : { key, fingerprint: 'f' };
    return () => t.storage.tasks.submit({ tenantId: t.tenantId, submission, idempotency, maxWaiting: MAX });
  };

const submittingTen = (more: Partial<NewTask>) => async (t: CaseTools) => {
  const all = Array.from({ length: 10 }, () => t.submission(more));
  const submit = (submission: (typeof all)[number]) =>
    t.storage.tasks.submit({ tenantId: t.tenantId, submission, maxWaiting: MAX });
  return async () => {
    const answers = await Promise.all(all.map(submit));
    return [...new Set(answers.map(({ answer }) => answer))].join();
  };
};

const submittingBatch = (more: Partial<BatchSubmission>, key?: string) => async (t: CaseTools) => {
  const items = [t.submission({ priority: 9 }), { error }, t.submission({ timeoutMs: 1_000 })];
  const batch = { batchId: t.id(), maxInFlight: 9, failFast: false, items, ...more };
  const idempotency = key === undefined ? undefined : { key, fingerprint: 'f' };
  return () => t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, idempotency, maxWaiting: MAX });
};

/** A computation of a cached value. */
async function cachedIn(t: CaseTools, state?: 'claimed') {
  const computation = { tenantId: t.tenantId, digest: 'd', token: t.id() };
  const about = { leaseMs: 30_000, kind: 'k', collection: 'docs' };
  if (state) await t.storage.cache.claim({ ...computation, ...about });
  return computation;
}

/** More tasks than one step creates. */
const submittingStaged = (key?: string) => async (t: CaseTools) => {
  const items = Array.from({ length: DEFAULTS.cancelledAtOnce + 20 }, (_, at) =>
    at === 7 ? { error } : t.submission({ session_id: `talk-${at % 3}` }),
  );
  return submittingBatch({ items, maxInFlight: 2 }, key)(t);
};

export const SUBMISSIONS: readonly StepScenario[] = [
  {
    title: 'submit: a fast task',
    script: 'submitFast',
    again: 'replayed',
    prepare: submitting({ payload: { a: 1 } }),
  },
  {
    title: 'submit: ten tasks in one script',
    script: 'submitFast',
    again: 'replayed',
    prepare: submittingTen({}),
  },
  {
    title: 'submit: ten tasks in one script, with large payloads',
    script: 'submitFast',
    again: 'replayed',
    prepare: submittingTen({ payload: 'x'.repeat(1_000) }),
  },
  {
    title: 'submit: a message in a session',
    script: 'submit',
    again: 'replayed',
    prepare: submitting(
      { session_id: 'talk' },
      { message: { message_id: 'm-1', role: 'user', content: 'hello' } },
    ),
  },
  {
    title: 'submit: with an idempotency key',
    script: 'submit',
    again: 'replayed',
    prepare: submitting({}, {}, 'key-1'),
  },
  {
    title: 'submit: a task that interrupts another',
    script: 'submit',
    again: 'replayed',
    async prepare(t) {
      await t.submit({ session_id: 'talk' });
      return submitting({ session_id: 'talk' }, { onBusy: 'interrupt' })(t);
    },
  },
  {
    title: 'submit: a task with a start time',
    script: 'submit',
    again: 'replayed',
    prepare: (t) => submitting({ runAt: t.now() + 1_000 })(t),
  },
  {
    title: 'submitBatch: fast tasks',
    script: 'submitFastBatch',
    again: 'replayed',
    prepare: submittingBatch({}),
  },
  {
    title: 'submitBatch: with an idempotency key',
    script: 'submitFastBatch',
    again: 'replayed',
    prepare: submittingBatch({ failFast: true }, 'key-1'),
  },
  {
    title: 'submitBatch: fast tasks with maxInFlight 1',
    script: 'submitFastBatch',
    again: 'replayed',
    prepare: submittingBatch({ maxInFlight: 1 }),
  },
  {
    title: 'submitBatch: with a task of a session',
    script: 'submitBatch',
    again: 'replayed',
    async prepare(t) {
      const items = [t.submission(), { error }, t.submission({ session_id: 'talk' })];
      const batch = { batchId: t.id(), maxInFlight: 1, failFast: false, items };
      return () => t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: MAX });
    },
  },
  {
    title: 'submitBatch: staged, while its items are staged',
    script: 'stageBatch',
    prepare: submittingStaged(),
  },
  {
    title: 'submitBatch: staged, while the batch is stored',
    script: 'submitBatch',
    again: 'replayed',
    prepare: submittingStaged('key-2'),
  },
  {
    title: 'submitBatch: staged, while its tasks are created',
    script: 'createStaged',
    isIntake: true,
    prepare: submittingStaged(),
  },
  {
    title: 'register: with a job',
    script: 'register',
    again: 'replayed',
    async prepare(t) {
      const call = { callId: t.id(), service: 'query', operation: 'run', jobId: 'job-1', silenceMs: 60_000 };
      const task = t.newTask();
      return () => t.storage.tasks.register({ maxWaiting: 10_000, tenantId: t.tenantId, task, call });
    },
  },
  {
    title: 'register: before the answer of the service',
    script: 'register',
    again: 'replayed',
    async prepare(t) {
      const call = { callId: t.id(), service: 'query', operation: 'run', silenceMs: 60_000 };
      const task = t.newTask();
      return () => t.storage.tasks.register({ maxWaiting: 10_000, tenantId: t.tenantId, task, call });
    },
  },
];

async function registered(t: CaseTools) {
  const task = await t.registered();
  return { tenantId: t.tenantId, taskId: task.task_id };
}

async function deadLetter(t: CaseTools) {
  const claim = await t.leased();
  const step: StepRequest = { key: 'own', kind: 'run', name: 'own' };
  await t.begin(claim, step);
  await t.record(claim, step, t.result({ kept: true }));
  await t.settle(claim, { kind: 'failed', error });
  return t.where(claim);
}

/** A dead letter whose journal is copied in several steps. */
const redrivingMuch = (script: 'redrive' | 'stageJournal'): StepScenario => ({
  title: `redrive: a large journal, ${script}`,
  script,
  async prepare(t) {
    const claim = await t.leased();
    const journalRev = 3 * DEFAULTS.callsAtOnce;
    for (let n = 0; n < journalRev; n += 1) {
      const step: StepRequest = { key: `s-${n}`, kind: 'run', name: 'run' };
      await t.begin({ ...claim, journalRev }, step);
      await t.record({ ...claim, journalRev }, step, n % 3 === 0 ? t.failure('no') : t.result(n));
    }
    await t.settle(claim, { kind: 'failed', error });
    const newTaskId = t.id();
    return () => t.storage.tasks.redrive({ maxWaiting: 10_000, ...t.where(claim), newTaskId });
  },
});

export const TASKS: readonly StepScenario[] = [
  {
    title: 'finish: completed',
    script: 'finishTask',
    again: 'already_final',
    async prepare(t) {
      const where = await registered(t);
      return () => t.storage.tasks.finish({ ...where, outcome: { kind: 'completed', result: 1 } });
    },
  },
  {
    title: 'finish: failed',
    script: 'finishTask',
    again: 'already_final',
    async prepare(t) {
      const where = await registered(t);
      return () => t.storage.tasks.finish({ ...where, outcome: { kind: 'failed', error } });
    },
  },
  {
    title: 'progress: of a registered task',
    script: 'progress',
    isNewWhenRepeated: true,
    async prepare(t) {
      const where = await registered(t);
      return () => t.storage.tasks.progress({ ...where, progress: { percent: 10 } });
    },
  },
  {
    title: 'progress: of a leased task',
    script: 'progress',
    isNewWhenRepeated: true,
    async prepare(t) {
      const claim = await t.leased();
      const progress = { message: 'half' };
      return () => t.storage.tasks.progress({ ...t.where(claim), token: claim.token, progress });
    },
  },
  {
    title: 'cancel: a waiting task',
    script: 'cancel',
    again: 'already_final',
    async prepare(t) {
      const { task_id: taskId } = await t.submit();
      return () => t.storage.tasks.cancel({ tenantId: t.tenantId, taskId, reason: 'enough', graceMs: GRACE });
    },
  },
  {
    title: 'cancel: a leased task',
    script: 'cancel',
    async prepare(t) {
      const claim = await t.leased();
      return () => t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: GRACE });
    },
  },
  {
    title: 'cancelBatch',
    script: 'cancelBatch',
    async prepare(t) {
      const batch = {
        batchId: t.id(),
        maxInFlight: 2,
        failFast: false,
        items: [t.submission(), t.submission(), t.submission()],
      };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: MAX });
      await t.claim({ max: 1 });
      const { tenantId } = t;
      return () =>
        t.storage.tasks.cancelBatch({ tenantId, batchId: batch.batchId, reason: 'enough', graceMs: GRACE });
    },
  },
  {
    title: 'signal: kept',
    script: 'signal',
    again: 'repeated',
    async prepare(t) {
      const claim = await t.leased();
      const signal = { name: 'go', payload: { a: 1 }, signalId: t.id() };
      return () => t.storage.tasks.signal({ ...t.where(claim), ...signal });
    },
  },
  {
    title: 'signal: delivered',
    script: 'signal',
    again: 'repeated',
    async prepare(t) {
      const claim = await t.leased();
      await t.begin(claim, { key: 'signal', kind: 'signal', name: 'signal go', signal: 'go' });
      await t.settle(claim, { kind: 'parked', journalRev: 0 });
      const signal = { name: 'go', payload: null, signalId: t.id() };
      return () => t.storage.tasks.signal({ ...t.where(claim), ...signal });
    },
  },
  redrivingMuch('redrive'),
  redrivingMuch('stageJournal'),
  {
    title: 'redrive',
    script: 'redrive',
    async prepare(t) {
      const where = await deadLetter(t);
      const newTaskId = t.id();
      return () => t.storage.tasks.redrive({ maxWaiting: 10_000, ...where, newTaskId });
    },
  },
  {
    title: 'discard',
    script: 'discard',
    again: 'not_found',
    async prepare(t) {
      const where = await deadLetter(t);
      return () => t.storage.tasks.discard(where);
    },
  },
];
async function session(t: CaseTools) {
  const where = { tenantId: t.tenantId, sessionId: 'talk' };
  await t.storage.sessions.create({ ...where, context: { a: 1, b: 2 } });
  return where;
}

export const OTHERS: readonly StepScenario[] = [
  {
    title: 'create a session',
    script: 'createSession',
    again: 'exists',
    async prepare(t) {
      const where = { tenantId: t.tenantId, sessionId: 'talk', agentId: 'agent' };
      return () => t.storage.sessions.create({ ...where, context: { a: 1 } });
    },
  },
  {
    title: 'update a session',
    script: 'updateSession',
    isNewWhenRepeated: true,
    async prepare(t) {
      const where = await session(t);
      return () => t.storage.sessions.update({ ...where, context: { a: 3 } });
    },
  },
  {
    title: 'update a session with a rev',
    script: 'updateSession',
    isNewWhenRepeated: true,
    async prepare(t) {
      const where = await session(t);
      return () => t.storage.sessions.update({ ...where, rev: 1, agentId: 'agent', context: { b: null } });
    },
  },
  {
    title: 'append a message',
    script: 'appendMessage',
    again: 'known',
    async prepare(t) {
      const where = await session(t);
      const message = { message_id: 'm-1', role: 'user', content: 'hello' } as const;
      return () => t.storage.sessions.append({ ...where, message });
    },
  },
  {
    title: 'close a session',
    script: 'closeSession',
    again: 'already_closed',
    async prepare(t) {
      const where = await session(t);
      await t.submit({ session_id: 'talk' });
      await t.submit({ session_id: 'talk' });
      return () => t.storage.sessions.close({ ...where, graceMs: GRACE });
    },
  },
  {
    title: 'add usage',
    script: 'addUsage',
    async prepare(t) {
      const row = { model: 'small', operation: 'embed', tokens: 12, savedTokens: 3 };
      const id = t.id();
      return () => t.storage.usage.add({ tenantId: t.tenantId, id, ...row });
    },
  },
  {
    title: 'issue a ticket',
    script: 'issueTicket',
    async prepare(t) {
      const ticket = {
        tenantId: t.tenantId,
        ticketId: t.id(),
        content: 'sealed',
        lifeMs: 30_000,
        maxOpen: 1,
      };
      return () => t.storage.tickets.issue(ticket);
    },
  },
  {
    title: 'lease a rate',
    script: 'leaseRate',
    prepare: async (t) => {
      const params = {
        tenantId: t.tenantId,
        name: 'some',
        leaseId: t.id(),
        perMinute: 60,
        burst: 9,
        wanted: 2,
      };
      return () => t.storage.rates.lease(params);
    },
  },
  {
    title: 'spend a ticket',
    script: 'spendTicket',
    async prepare(t) {
      const where = { tenantId: t.tenantId, ticketId: t.id() };
      await t.storage.tickets.issue({ ...where, content: 'sealed', lifeMs: 30_000, maxOpen: 1 });
      const spendId = t.id();
      return () => t.storage.tickets.spend({ ...where, spendId });
    },
  },
  {
    title: 'claim the computation of a cached value',
    script: 'claimCached',
    async prepare(t) {
      const computation = await cachedIn(t);
      return () => t.storage.cache.claim({ ...computation, leaseMs: 30_000, kind: 'k', collection: 'docs' });
    },
  },
  {
    title: 'renew the lease of a computation',
    script: 'renewCached',
    async prepare(t) {
      const computation = await cachedIn(t, 'claimed');
      return () => t.storage.cache.renew({ ...computation, leaseMs: 30_000 });
    },
  },
  {
    title: 'store a cached value',
    script: 'putCached',
    async prepare(t) {
      const computation = await cachedIn(t, 'claimed');
      const value = { text: 'x'.repeat(1_000) };
      return () => t.storage.cache.put({ ...computation, value, tokens: 7, model: 'm', ttlMs: 60_000 });
    },
  },
  {
    title: 'remove a cached value',
    script: 'removeCached',
    async prepare(t) {
      const computation = await cachedIn(t, 'claimed');
      return () => t.storage.cache.remove(computation);
    },
  },
  {
    title: 'invalidate cached values',
    script: 'invalidateCached',
    // The repeat finds none.
    again: '0',
    async prepare(t) {
      await cachedIn(t, 'claimed');
      const { tenantId } = t;
      return async () => String(await t.storage.cache.invalidate({ tenantId, collection: 'docs' }));
    },
  },
  {
    title: 'configure a tenant',
    script: 'configureTenant',
    async prepare(t) {
      await t.submit();
      return () =>
        t.storage.tenants.configure({ tenantId: t.tenantId, weight: 3, maxRunning: 2, paused: true });
    },
  },
];
