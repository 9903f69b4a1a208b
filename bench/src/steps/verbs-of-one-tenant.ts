import { randomUUID } from 'node:crypto';
import { DEFAULTS, type Storage } from '@agent-orchestrator/core';
import type { Bench, Verb } from './verbs.js';

const MB = 'x'.repeat(1_000_000);
const HALF_MIB = 'x'.repeat(512 * 1024);
const STEPS = DEFAULTS.maxSteps;

type Claimed = Awaited<ReturnType<Storage['queue']['claim']>>[number];

const failure = { code: 'service_error', message: 'down', retryable: true } as const;
const failed = { kind: 'outcome', outcome: { ok: false, error: failure } } as const;
const done = (value: string) => ({ kind: 'outcome', outcome: { ok: true, value } }) as const;

async function claimed(at: Bench): Promise<Claimed> {
  const [claim] = await at.claim(1);
  if (!claim) throw new Error('expected a task to be claimed');
  return claim;
}

/** Steps of a task, with their outcomes. */
async function run(
  at: Bench,
  { task, token }: Claimed,
  count: number,
  answer: typeof failed | ReturnType<typeof done>,
) {
  const where = { tenantId: at.tenantId, taskId: task.task_id, token };
  for (let n = 0; n < count; n += 1) {
    const step = { key: `s${n}`, kind: 'run', name: 'run' } as const;
    await at.storage.journal.begin({ ...where, seen: n, step, maxSteps: STEPS });
    await at.storage.journal.record({ ...where, seen: n, key: step.key, answer });
  }
}

/** Calls without an answer, of one service. */
async function call(at: Bench, { task, token }: Claimed, count: number) {
  const where = { tenantId: at.tenantId, taskId: task.task_id, token };
  for (let n = 0; n < count; n += 1) {
    const more = { service: 'query', operation: 'q', maxTries: 3, retryDelayMs: 1, silenceMs: 60_000 };
    const step = {
      key: `c${n}`,
      kind: 'call',
      name: 'query.q',
      call: { callId: randomUUID(), ...more },
    } as const;
    await at.storage.journal.begin({ ...where, seen: 0, step, maxSteps: STEPS });
    if (n === count - 1) return { ...where, seen: 0, key: step.key, callId: step.call.callId };
  }
  throw new Error('expected at least one call');
}

async function holdReports(at: Bench) {
  const jobId = 'early';
  await at.many(DEFAULTS.maxHeldFrames, (n) =>
    at.storage.journal.report({
      tenantId: at.tenantId,
      service: 'query',
      jobId,
      messageId: `m${n}`,
      body: { kind: 'status', status: 'busy', details: { n } },
    }),
  );
  return jobId;
}

const oneSession = { maxInFlight: 10, session: 's' };

/** What a tenant can ask for that much depends on. */
export const VERBS_OF_ONE_TENANT: readonly Verb[] = [
  {
    name: 'claim 16 tasks of 1 MB',
    async prepare(at) {
      await at.many(16, () => at.submit({ payload: MB }));
      return () => at.claim(16);
    },
  },
  {
    name: 'claim 64 tasks of 1 MB',
    async prepare(at) {
      await at.many(64, () => at.submit({ payload: MB }));
      return () => at.claim(64);
    },
  },
  {
    name: 'end a task of a batch of 1,000 in one session',
    async prepare(at) {
      await at.batch(oneSession);
      const claim = await claimed(at);
      return () => at.settle(claim, { kind: 'completed', result: 1 });
    },
  },
  {
    name: 'close the session of a batch of 1,000',
    async prepare(at) {
      await at.batch(oneSession);
      return () => at.storage.sessions.close({ tenantId: at.tenantId, sessionId: 's', graceMs: 0 });
    },
  },
  {
    name: 'cancel a batch of 1,000 in one session',
    async prepare(at) {
      const batchId = await at.batch(oneSession);
      const { tenantId } = at;
      return () => at.storage.tasks.cancelBatch({ tenantId, batchId, reason: 'enough', graceMs: 0 });
    },
  },
  {
    name: 'submit a batch of 1,000 in one session',
    prepare: async (at) => () => at.batch(oneSession),
  },
  {
    name: 'redrive a task with a journal of 15 MiB',
    async prepare(at) {
      await at.submit();
      const claim = await claimed(at);
      await run(at, claim, 30, done(HALF_MIB));
      await at.settle(claim, { kind: 'failed', error: failure });
      const redrive = { tenantId: at.tenantId, taskId: claim.task.task_id, newTaskId: randomUUID() };
      return () => at.storage.tasks.redrive({ ...redrive, maxWaiting: 1_000 });
    },
  },
  {
    name: 'redrive a task with 1,000 steps',
    async prepare(at) {
      await at.submit();
      const claim = await claimed(at);
      await run(at, claim, STEPS, done('small'));
      await at.settle(claim, { kind: 'failed', error: failure });
      const redrive = { tenantId: at.tenantId, taskId: claim.task.task_id, newTaskId: randomUUID() };
      return () => at.storage.tasks.redrive({ ...redrive, maxWaiting: 1_000 });
    },
  },
  {
    name: 'learn the job of 1,000 early reports',
    async prepare(at) {
      await at.submit();
      const where = await call(at, await claimed(at), 1);
      const jobId = await holdReports(at);
      return () => at.storage.journal.record({ ...where, answer: { kind: 'accepted', jobId } });
    },
  },
  {
    name: 'dismiss 1,000 early reports',
    async prepare(at) {
      await at.submit();
      const where = await call(at, await claimed(at), 1);
      await holdReports(at);
      return () => at.storage.journal.record({ ...where, answer: { kind: 'accepted', jobId: 'other' } });
    },
  },
  {
    name: 'retry a task with 1,000 failed steps',
    async prepare(at) {
      await at.submit();
      const claim = await claimed(at);
      await run(at, claim, STEPS, failed);
      return () => at.settle(claim, { kind: 'retry', error: failure, delayMs: 1 });
    },
  },
  {
    name: 'end a task with 1,000 open calls',
    async prepare(at) {
      await at.submit();
      const claim = await claimed(at);
      await call(at, claim, STEPS);
      return () => at.settle(claim, { kind: 'completed', result: 1 });
    },
  },
];
