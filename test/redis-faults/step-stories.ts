import type {
  BatchSubmission,
  CaseTools,
  Claim,
  NewTask,
  Settlement,
  StepRequest,
} from '@agent-orchestrator/core';
import type { ScriptName } from './script-digests.js';

/** One step of the storage that writes, after what has to come before it. */
export interface StepStory {
  readonly title: string;
  /** Whose reply is to be lost. */
  readonly script: ScriptName;
  /** Lives through what comes before, and hands out the step. */
  readonly prepare: (t: CaseTools) => Promise<() => Promise<unknown>>;
  /** What the step says that was done already; absent: the same. */
  readonly again?: string;
  /** Asked once more by the caller it is another request: its id is drawn in the adapter. */
  readonly onlyResent?: boolean;
}

const MAX = 1_000_000;
const GRACE = 30_000;
const error = { code: 'service_error', message: 'broken', retryable: false } as const;

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

const SUBMISSIONS: readonly StepStory[] = [
  {
    title: 'submit: a plain task',
    script: 'submitPlain',
    again: 'replayed',
    prepare: submitting({ payload: { a: 1 } }),
  },
  {
    title: 'submit: ten tasks of one moment',
    script: 'submitPlain',
    again: 'replayed',
    prepare: submittingTen({}),
  },
  {
    title: 'submit: ten tasks of one moment, with much text',
    script: 'submitPlain',
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
    title: 'submit: a task of later',
    script: 'submit',
    again: 'replayed',
    prepare: (t) => submitting({ runAt: t.now() + 1_000 })(t),
  },
  {
    title: 'submitBatch: tasks that are free to run',
    script: 'submitPlainBatch',
    again: 'replayed',
    prepare: submittingBatch({}),
  },
  {
    title: 'submitBatch: with an idempotency key',
    script: 'submitPlainBatch',
    again: 'replayed',
    prepare: submittingBatch({ failFast: true }, 'key-1'),
  },
  {
    title: 'submitBatch: tasks that wait for each other',
    script: 'submitPlainBatch',
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
    title: 'register: with a job',
    script: 'register',
    again: 'replayed',
    async prepare(t) {
      const call = { callId: t.id(), service: 'query', operation: 'run', jobId: 'job-1', silenceMs: 60_000 };
      const task = t.newTask();
      return () => t.storage.tasks.register({ tenantId: t.tenantId, task, call });
    },
  },
  {
    title: 'register: while the service has not answered',
    script: 'register',
    again: 'replayed',
    async prepare(t) {
      const call = { callId: t.id(), service: 'query', operation: 'run', silenceMs: 60_000 };
      const task = t.newTask();
      return () => t.storage.tasks.register({ tenantId: t.tenantId, task, call });
    },
  },
];

async function registered(t: CaseTools) {
  const { task } = await t.storage.tasks.register({ tenantId: t.tenantId, task: t.newTask() });
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

const TASKS: readonly StepStory[] = [
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
    onlyResent: true,
    async prepare(t) {
      const where = await registered(t);
      return () => t.storage.tasks.progress({ ...where, progress: { percent: 10 } });
    },
  },
  {
    title: 'progress: of a leased task',
    script: 'progress',
    onlyResent: true,
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
      await t.settle(claim, { kind: 'parked', seen: 0 });
      const signal = { name: 'go', payload: null, signalId: t.id() };
      return () => t.storage.tasks.signal({ ...t.where(claim), ...signal });
    },
  },
  {
    title: 'redrive',
    script: 'redrive',
    async prepare(t) {
      const where = await deadLetter(t);
      const newTaskId = t.id();
      return () => t.storage.tasks.redrive({ ...where, newTaskId });
    },
  },
];

const settling = (
  title: string,
  script: ScriptName,
  settlement: Settlement,
  more: Partial<NewTask> = {},
): StepStory => ({
  title: `settle: ${title}`,
  script,
  again: 'lease_lost',
  async prepare(t) {
    const claim = await t.leased(more);
    if (script === 'settle' && more.session_id === undefined) {
      await t.begin(claim, { key: 'own', kind: 'run', name: 'own' });
    }
    return () => t.settle(claim, settlement);
  },
});

const answer = { message_id: 'm-2', content: 'hi' };
const QUEUE: readonly StepStory[] = [
  {
    title: 'claim: ten tasks of two tenants',
    script: 'claim',
    async prepare(t) {
      for (let n = 0; n < 5; n += 1) await t.submit();
      const submission = t.submission();
      await t.storage.tasks.submit({ tenantId: t.otherTenantId, submission, maxWaiting: MAX });
      const claimId = t.id();
      return async () => (await t.claimOfBoth({ claimId, max: 4 })).map(({ task }) => task.task_id);
    },
  },
  {
    title: 'renew',
    script: 'renew',
    async prepare(t) {
      await t.submit();
      await t.submit();
      const claims = await t.claim();
      const leases = claims.map((claim) => ({ ...t.where(claim), token: claim.token }));
      return () => t.storage.queue.renew({ leases, leaseMs: 60_000 });
    },
  },
  settling('completed', 'settlePlain', { kind: 'completed', result: { a: 1 } }),
  settling('failed', 'settlePlain', { kind: 'failed', error }),
  settling('completed, with a journal', 'settle', { kind: 'completed', result: 1 }),
  settling(
    'completed, with an answer',
    'settle',
    { kind: 'completed', result: 1, answer },
    { session_id: 's' },
  ),
  settling('failed, with a journal', 'settle', { kind: 'failed', error }),
  settling('retry', 'settle', { kind: 'retry', error, delayMs: 1_000 }),
  settling('the last retry', 'settle', { kind: 'retry', error, delayMs: 1_000 }, { maxAttempts: 1 }),
  settling('parked', 'settle', { kind: 'parked', seen: 0 }),
  settling('released', 'settle', { kind: 'released' }),
  settling('cancelled', 'settle', { kind: 'cancelled' }),
  {
    title: 'wake',
    script: 'wake',
    again: 'not_parked',
    async prepare(t) {
      const claim = await t.leased();
      await t.settle(claim, { kind: 'parked', seen: 0 });
      return () => t.storage.queue.wake(t.where(claim));
    },
  },
  {
    title: 'sweep: two lost leases, a deadline, a timer and a retry',
    script: 'sweep',
    again: '{}',
    async prepare(t) {
      await t.submit({ timeoutMs: 5_000 });
      await t.submit();
      const sleeper = await t.leased();
      await t.begin(sleeper, { key: 'sleep', kind: 'sleep', name: 'sleep', dueInMs: 1_000 });
      await t.settle(sleeper, { kind: 'parked', seen: 0 });
      const failing = await t.leased();
      await t.settle(failing, { kind: 'retry', error, delayMs: 100 });
      await t.advance(40_000);
      return async () => JSON.stringify((await t.storage.queue.sweep({ max: 100 })).done);
    },
  },
];

const reporting = (
  title: string,
  more: (t: CaseTools) => Partial<Parameters<CaseTools['storage']['journal']['report']>[0]>,
  onlyResent = false,
): StepStory => ({
  title: `report: ${title}`,
  script: 'report',
  again: 'duplicate',
  onlyResent,
  async prepare(t) {
    await t.withJob('job-1');
    const given = more(t);
    return () => t.report('job-1', { found: 1 }, given);
  },
});

const status = { kind: 'status', status: 'working', details: { at: 1 } } as const;
const early = async (t: CaseTools, messageId?: string) => {
  const claim: Claim = await t.leased();
  await t.begin(claim, t.callStep());
  return () => t.report('job-9', 1, messageId === undefined ? {} : { messageId });
};
const JOURNAL: readonly StepStory[] = [
  {
    title: 'begin: a call',
    script: 'begin',
    again: 'known',
    async prepare(t) {
      const claim = await t.leased();
      const step = t.callStep();
      return () => t.begin(claim, step);
    },
  },
  {
    title: 'begin: a wait for a signal that is there',
    script: 'begin',
    again: 'known',
    async prepare(t) {
      const claim = await t.leased();
      const signal = { name: 'go', payload: 1, signalId: t.id() };
      await t.storage.tasks.signal({ ...t.where(claim), ...signal });
      return () => t.begin(claim, { key: 'signal', kind: 'signal', name: 'signal go', signal: 'go' });
    },
  },
  {
    title: 'record: a result with usage',
    script: 'record',
    again: 'known',
    async prepare(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      const usage = { tokens: 7, model: 'small' };
      return () => t.record(claim, step, { ...t.result({ a: 1 }), usage });
    },
  },
  {
    title: 'record: a job, with an early report of it',
    script: 'record',
    again: 'known',
    async prepare(t) {
      const claim = await t.leased();
      const step = t.callStep();
      await t.begin(claim, step);
      await t.report('job-1', { early: true });
      return () => t.record(claim, step, { kind: 'accepted', jobId: 'job-1' });
    },
  },
  {
    title: 'record: own work',
    script: 'record',
    again: 'known',
    async prepare(t) {
      const claim = await t.leased();
      const step: StepRequest = { key: 'own', kind: 'run', name: 'own' };
      await t.begin(claim, step);
      return () => t.record(claim, step, t.result('done'));
    },
  },
  reporting('an outcome', () => ({})),
  reporting('a failure that is tried again', (t) => ({ body: t.failure('busy', true) })),
  reporting('progress with a message id', () => ({ messageId: 'm-1', body: status })),
  reporting('progress with a seq', () => ({ seq: 1, body: status })),
  reporting('progress without a name', () => ({ body: status }), true),
  { title: 'report: an early one', script: 'report', prepare: (t) => early(t, 'm-1') },
  {
    title: 'report: an early one without a name',
    script: 'report',
    onlyResent: true,
    prepare: (t) => early(t),
  },
];

async function session(t: CaseTools) {
  const where = { tenantId: t.tenantId, sessionId: 'talk' };
  await t.storage.sessions.create({ ...where, context: { a: 1, b: 2 } });
  return where;
}

const OTHERS: readonly StepStory[] = [
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
    onlyResent: true,
    async prepare(t) {
      const where = await session(t);
      return () => t.storage.sessions.update({ ...where, context: { a: 3 } });
    },
  },
  {
    title: 'update a session of a known rev',
    script: 'updateSession',
    onlyResent: true,
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
    title: 'add to the ledger',
    script: 'addUsage',
    async prepare(t) {
      const row = { model: 'small', operation: 'embed', tokens: 12, savedTokens: 3 };
      const id = t.id();
      return () => t.storage.usage.add({ tenantId: t.tenantId, id, ...row });
    },
  },
  {
    title: 'announce a worker, while tasks wait for one',
    script: 'announce',
    async prepare(t) {
      await t.submit();
      return async () => {
        await t.storage.workers.announce({ workerId: 'w', runs: t.runs() });
        return (await t.claim({ workerId: 'w', claimId: 'c' })).length;
      };
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

export const STEP_STORIES: readonly StepStory[] = [...SUBMISSIONS, ...TASKS, ...QUEUE, ...JOURNAL, ...OTHERS];
