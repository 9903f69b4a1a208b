import { randomUUID } from 'node:crypto';
import { type Storage } from '@agent-orchestrator/core';
import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import { type Report } from '@agent-orchestrator/core/storage';
import type { Bench, Verb } from './verbs.js';

const MB = 'x'.repeat(1_000_000);
const HALF_MIB = 'x'.repeat(512 * 1024);
const STEPS = DEFAULTS.maxSteps;
const FAR_MS = 60 * 60_000;

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
    await at.storage.journal.begin({ ...where, journalRev: n, step, maxSteps: STEPS });
    await at.storage.journal.record({ ...where, journalRev: n, key: step.key, answer });
  }
}

/** Open calls of one service. */
async function openCalls(at: Bench, { task, token }: Claimed, count: number) {
  const where = { tenantId: at.tenantId, taskId: task.task_id, token };
  const calls: { readonly key: string; readonly callId: string }[] = [];
  for (let n = 0; n < count; n += 1) {
    const more = { service: 'query', operation: 'q', maxTries: 3, retryDelayMs: 1, silenceMs: 60_000 };
    const step = {
      key: `c${n}`,
      kind: 'call',
      name: 'query.q',
      call: { callId: randomUUID(), ...more },
    } as const;
    await at.storage.journal.begin({ ...where, journalRev: 0, step, maxSteps: STEPS });
    calls.push({ key: step.key, callId: step.call.callId });
  }
  return calls;
}

/** A running task with a number of open calls. */
async function calling(at: Bench, count: number = STEPS, timeoutMs = FAR_MS) {
  await at.submit({ timeoutMs });
  const claim = await claimed(at);
  const where = { tenantId: at.tenantId, taskId: claim.task.task_id };
  return { claim, where, calls: await openCalls(at, claim, count) };
}

interface Answered {
  readonly key: string;
  readonly callId: string;
  readonly answer: Parameters<Storage['journal']['record']>[0]['answer'];
}

function recordAnswer(at: Bench, { task, token }: Claimed, answered: Answered) {
  const { tenantId } = at;
  return at.storage.journal.record({
    tenantId,
    taskId: task.task_id,
    token,
    journalRev: STEPS * 9,
    ...answered,
  });
}

/** The only call of a task. */
async function oneCall(at: Bench) {
  const { claim, where, calls } = await calling(at, 1);
  const [{ key, callId }] = calls as [(typeof calls)[number]];
  return { ...where, claim, key, callId };
}

/** The maximum of early reports of a service, on as few jobs as possible. Returns the first job. */
async function holdReports(at: Bench): Promise<string> {
  const { maxHeldFrames, maxHeldFramesOfJob } = DEFAULTS;
  await at.many(maxHeldFrames, (n) =>
    report(at, Math.floor(n / maxHeldFramesOfJob), n, { kind: 'status', status: 'busy', details: { n } }),
  );
  return 'early-0';
}

/** The same in bytes: one report of the maximum size per job. */
async function holdLargeReports(at: Bench): Promise<string> {
  for (let n = 0; (n + 1) * MB.length < DEFAULTS.maxHeldBytes; n += 1) await report(at, n, n, done(MB));
  return 'early-0';
}

async function report(at: Bench, job: number, n: number, body: Report['body']): Promise<void> {
  const from = { tenantId: at.tenantId, service: 'query', jobId: `early-${job}`, messageId: `m${n}` };
  const { answer } = await at.storage.journal.report({ ...from, body });
  if (answer !== 'held') throw new Error(`expected the report to be held, got ${answer}`);
}

/** Progress of a job: each word is an event, of 256 KiB by default. */
async function progress(at: Bench) {
  const { tenantId, callId } = await oneCall(at);
  const text = 'x'.repeat(256 * 1024);
  return async (seq: number, details = text) => {
    const about = { tenantId, service: 'query', jobId: 'job', callId, seq };
    await at.storage.journal.report({ ...about, body: { kind: 'status', status: 'busy', details } });
  };
}

/** The service names a job, with or without early reports on it. */
const naming =
  (hold: (at: Bench) => Promise<string>, job?: string): Verb['prepare'] =>
  async (at) => {
    const { claim, key, callId } = await oneCall(at);
    const early = await hold(at);
    const answer = { kind: 'accepted', jobId: job ?? early } as const;
    return () => recordAnswer(at, claim, { key, callId, answer });
  };

const oneSession = { maxInFlight: 10, session: 's' };

/** Operations of a tenant that affect many records. */
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
    name: 'record a result of 1 MB',
    async prepare(at) {
      const { claim, key, callId } = await oneCall(at);
      return () => recordAnswer(at, claim, { key, callId, answer: done(MB) });
    },
  },
  {
    name: 'report a result of 1 MB',
    async prepare(at) {
      const { tenantId, callId } = await oneCall(at);
      const about = { tenantId, service: 'query', jobId: 'job', callId };
      return () => at.storage.journal.report({ ...about, body: done(MB) });
    },
  },
  { name: 'learn a job, with 1,000 early reports', prepare: naming(holdReports) },
  { name: 'learn a job, with 16 MiB of early reports', prepare: naming(holdLargeReports) },
  { name: 'dismiss 1,000 early reports', prepare: naming(holdReports, 'other') },
  { name: 'dismiss 16 MiB of early reports', prepare: naming(holdLargeReports, 'other') },
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
      const { claim } = await calling(at);
      return () => at.settle(claim, { kind: 'completed', result: 1 });
    },
  },
  {
    name: 'cancel a task that runs, with 1,000 open calls',
    async prepare(at) {
      const { where } = await calling(at);
      return () => at.storage.tasks.cancel({ ...where, reason: 'enough', graceMs: FAR_MS });
    },
  },
  {
    name: 'sweep the end of a task with 1,000 open calls, and of 50 with 50',
    async prepare(at) {
      await calling(at, STEPS, 1_000);
      for (let n = 0; n < 50; n += 1) await calling(at, 50, 1_000);
      at.advance(2_000);
      return () => at.storage.queue.sweep({ max: 1_000 });
    },
  },
  {
    name: 'retry a task with 1,000 failed calls',
    async prepare(at) {
      const { claim, calls } = await calling(at);
      for (const { key, callId } of calls) await recordAnswer(at, claim, { key, callId, answer: failed });
      return () => at.settle(claim, { kind: 'retry', error: failure, delayMs: 1 });
    },
  },
  {
    name: 'forget a task with 1,000 calls',
    async prepare(at) {
      const { claim } = await calling(at);
      await at.settle(claim, { kind: 'completed', result: 1 });
      await at.storage.queue.sweep({ max: 1_000 });
      at.advance(DEFAULTS.retentionMs + 1);
      return () => at.storage.queue.sweep({ max: 1_000 });
    },
  },
  {
    name: 'append 128 events of 256 KiB to a log that is full',
    async prepare(at) {
      const tell = await progress(at);
      for (let n = 0; n < 1_024; n += 1) await tell(n);
      return async () => {
        for (let n = 0; n < 128; n += 1) await tell(2_000 + n);
      };
    },
  },
  {
    name: 'sweep 256 events of 256 KiB that are too old, and 2,000 small ones',
    async prepare(at) {
      const tell = await progress(at);
      for (let n = 0; n < 256; n += 1) await tell(n);
      for (let n = 0; n < 2_000; n += 1) await tell(n + 256, 'small');
      at.advance(DEFAULTS.maxEventAgeMs + 1_000);
      return () => at.storage.queue.sweep({ max: 1_000 });
    },
  },
];
