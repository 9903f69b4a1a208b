import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { NewTask } from '../storage/task-records.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const MAX = 100_000;
const limits = { maxStoredBytes: MAX };
/** Three of these leave some room; the fourth fills it, and later ones are refused. */
const PART = 'x'.repeat(0.3 * MAX);
const UNTIL_FULL = 4;
const TWO_DAYS_MS = 2 * 24 * 60 * 60_000;
const failure = { code: 'service_error', message: 'down', retryable: false } as const;

const submitTo = (t: CaseTools, tenantId: string, more: Partial<NewTask>) =>
  t.storage.tasks.submit({ tenantId, submission: t.submission(more), maxWaiting: 1_000 });
const submit = (t: CaseTools, more = {}) => submitTo(t, t.tenantId, { payload: PART, ...more });

function submitBatch(t: CaseTools, more = {}) {
  const items = [t.submission({ payload: PART, ...more }), t.submission(more)];
  const batch = { batchId: t.id(), maxInFlight: 10, failFast: false, items };
  return t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 1_000 });
}

const register = (t: CaseTools, payload = PART, maxWaiting = 1_000) =>
  t.storage.tasks.register({ tenantId: t.tenantId, task: t.newTask({ payload }), maxWaiting });

/** Number of accepted requests until the first refusal. */
async function untilFull(act: (n: number) => Promise<{ readonly answer: string }>): Promise<number> {
  for (let n = 0; n < 100; n += 1) if ((await act(n)).answer === 'queue_full') return n;
  throw new assert.AssertionError({ message: 'expected to be refused at some time' });
}

async function assertFull(t: CaseTools): Promise<void> {
  for (const more of [{}, { session_id: 's' }, { runAt: t.now() + 60_000 }])
    assert.equal((await submit(t, { payload: 1, ...more })).answer, 'queue_full');
}

/** A failed task with one successful step. */
async function failed(t: CaseTools, value: string) {
  const claim = await t.leased();
  const step = { key: 'done', kind: 'run', name: 'run' } as const;
  await t.begin(claim, step);
  await t.record(claim, step, t.result(value));
  await t.settle(claim, { kind: 'failed', error: failure });
  return claim;
}

const inSession = (t: CaseTools, sessionId = 's') => ({ tenantId: t.tenantId, sessionId });

/** Storage limit of a tenant: everything kept counts, and nothing that was removed. */
export const storedBytesCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'submit',
    name: 'refuses tasks once the tenant stores too much, and those of no other tenant',
    limits,
    async run(t) {
      assert.equal(await untilFull(() => submit(t)), UNTIL_FULL);
      await assertFull(t);
      assert.equal((await submitTo(t, t.otherTenantId, { payload: PART })).answer, 'submitted');
      assert.equal((await t.claim()).length, UNTIL_FULL);
      const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      assert.equal(counts.processing, UNTIL_FULL);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'counts tasks of sessions, and many in one call, like any other',
    limits,
    async run(t) {
      assert.equal(await untilFull((n) => submit(t, { session_id: `s-${n}` })), UNTIL_FULL);
      await assertFull(t);
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => submitTo(t, t.otherTenantId, { payload: PART })),
      );
      assert.equal(answers.filter(({ answer }) => answer === 'submitted').length, UNTIL_FULL);
    },
  },
  {
    part: 'tasks',
    method: 'submitBatch',
    name: 'refuses a batch as a whole once the tenant stores too much',
    limits,
    async run(t) {
      assert.equal(
        await untilFull((n) => submitBatch(t, n % 2 === 0 ? {} : { session_id: 's' })),
        UNTIL_FULL,
      );
      await assertFull(t);
      const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      assert.equal(counts.pending, 2 * UNTIL_FULL);
      assert.equal((await submitBatch(t, { session_id: 's' })).answer, 'queue_full');
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'refuses registration once the tenant stores too much or too many tasks are live, but repeats the answer for a known task',
    limits,
    async run(t) {
      const task = t.newTask({ payload: PART });
      const again = () => t.storage.tasks.register({ tenantId: t.tenantId, task, maxWaiting: 1 });
      assert.equal((await again()).answer, 'registered');
      assert.equal((await register(t, '', 1)).answer, 'queue_full');
      assert.equal(await untilFull(() => register(t)), UNTIL_FULL - 1);
      assert.equal((await again()).answer, 'replayed');
      await assertFull(t);
    },
  },
  {
    part: 'tasks',
    method: 'redrive',
    name: 'refuses a redrive beyond the limits, and accepts it once there is room',
    limits,
    async run(t) {
      const claim = await failed(t, PART);
      const redrive = (newTaskId: string, maxWaiting = 1_000) =>
        t.storage.tasks.redrive({ ...t.where(claim), newTaskId, maxWaiting });
      assert.equal((await redrive(t.id(), 0)).answer, 'queue_full');
      const waiting: string[] = [];
      assert.equal(await untilFull((n) => submit(t, { task_id: (waiting[n] = t.id()) })), UNTIL_FULL - 1);
      assert.equal((await redrive(t.id())).answer, 'queue_full');
      assert.equal((await t.get(claim.task.task_id)).status, 'failed');
      for (const taskId of waiting)
        await t.storage.tasks.cancel({ tenantId: t.tenantId, taskId, reason: 'enough', graceMs: 0 });
      await t.pass(TWO_DAYS_MS);
      const newTaskId = t.id();
      assert.equal((await redrive(newTaskId)).answer, 'redriven');
      // The inherited journal counts again.
      assert.equal(await untilFull(() => submit(t)), UNTIL_FULL - 2);
      assert.equal((await redrive(t.id())).answer, 'redriven');
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'accepts any result, and counts it for as long as it is kept',
    limits,
    async run(t) {
      const claims = [];
      for (let n = 0; n < UNTIL_FULL; n += 1) claims.push(await t.leased());
      for (const claim of claims)
        assert.equal(await t.settle(claim, { kind: 'completed', result: PART }), 'settled');
      await assertFull(t);
      await t.pass(TWO_DAYS_MS);
      assert.equal(await untilFull(() => submit(t)), UNTIL_FULL);
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'accepts any outcome, and counts it for as long as the task is kept',
    limits,
    async run(t) {
      const claim = await t.leased();
      for (let n = 0; n < UNTIL_FULL; n += 1) {
        const step = { key: `s-${n}`, kind: 'run', name: 'run' } as const;
        await t.begin(claim, step);
        await t.record(claim, step, t.result(PART));
      }
      await assertFull(t);
      await t.settle(claim, { kind: 'completed', result: 1 });
      await t.pass(TWO_DAYS_MS);
      assert.equal(await untilFull(() => submit(t)), UNTIL_FULL);
    },
  },
  {
    part: 'tasks',
    method: 'signal',
    name: 'counts signals until delivery and then as outcomes, and refuses them once the tenant stores too much',
    limits,
    async run(t) {
      const claim = await t.leased();
      const signal = (n: number) =>
        t.storage.tasks.signal({ ...t.where(claim), name: 'go', payload: PART, signalId: `g-${n}` });
      assert.equal(await untilFull(signal), UNTIL_FULL);
      for (let n = 0; n < UNTIL_FULL; n += 1)
        await t.begin(claim, { key: `w-${n}`, kind: 'signal', name: 'signal go', signal: 'go' });
      await assertFull(t);
      assert.equal((await signal(0)).answer, 'repeated');
      await t.settle(claim, { kind: 'completed', result: 1 });
      await t.pass(TWO_DAYS_MS);
      assert.equal(await untilFull(() => submit(t)), UNTIL_FULL);
    },
  },
  {
    part: 'sessions',
    method: 'create',
    name: 'refuses sessions once the tenant stores too much, and counts them until they are removed',
    limits,
    async run(t) {
      const create = (n: number) =>
        t.storage.sessions.create({ ...inSession(t, `s-${n}`), context: { text: PART } });
      assert.equal(await untilFull(create), UNTIL_FULL);
      assert.equal((await create(0)).answer, 'exists');
      // Closed after a day of inactivity, removed after another.
      for (let day = 0; day < 3; day += 1) await t.pass(TWO_DAYS_MS);
      assert.equal(await untilFull(create), UNTIL_FULL);
    },
  },
  {
    part: 'sessions',
    method: 'update',
    name: 'counts a replaced context once, and refuses it once the tenant stores too much',
    limits,
    async run(t) {
      const { sessions } = t.storage;
      await sessions.create({ ...inSession(t), context: {} });
      const update = (text: string) => sessions.update({ ...inSession(t), context: { text } });
      for (let n = 0; n < 10; n += 1) assert.equal((await update(`${PART}${n}`)).answer, 'updated');
      assert.equal(await untilFull(() => submit(t)), UNTIL_FULL - 1);
      assert.equal((await update(`${PART}longer`)).answer, 'queue_full');
      assert.equal((await sessions.update({ ...inSession(t), agentId: 'a' })).answer, 'updated');
      assert.equal((await update('')).answer, 'updated', 'what makes it smaller is what helps');
      assert.equal((await update(PART)).answer, 'updated', 'there is room again');
    },
  },
  {
    part: 'sessions',
    method: 'append',
    name: 'counts the kept messages, and refuses more once the tenant stores too much',
    limits,
    async run(t) {
      await t.storage.sessions.create({ ...inSession(t), context: {} });
      const append = (n: number, content = PART) =>
        t.storage.sessions.append({
          ...inSession(t),
          message: { message_id: `m-${n}`, role: 'user', content },
        });
      await append(0);
      await append(1);
      // The first two are trimmed by then.
      for (let n = 2; n < DEFAULTS.sessionMessages + 2; n += 1)
        assert.equal((await append(n, '')).answer, 'appended');
      assert.ok((await untilFull((n) => append(1_000 + n))) >= UNTIL_FULL - 1);
      assert.equal((await append(1_000)).answer, 'known');
      await assertFull(t);
    },
  },
];
