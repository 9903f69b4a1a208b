import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import {
  type Claim,
  type NewTask,
  type Settlement,
  type StepRequest,
} from '@agent-orchestrator/core/storage';
import { type CaseTools } from '@agent-orchestrator/core/conformance';
import { error, MAX, type StepScenario } from './step-scenario.js';
import type { ScriptName } from './script-digests.js';

const settling = (
  title: string,
  script: ScriptName,
  settlement: Settlement,
  more: Partial<NewTask> = {},
): StepScenario => ({
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

/** More than one step of the storage ends, drops or forgets. */
const MANY_CALLS = 2 * DEFAULTS.callsAtOnce + 10;

/** A leased task with many calls, open or failed. */
async function taskWithCalls(t: CaseTools, ended: boolean): Promise<Claim> {
  const claim = await t.leased();
  for (let n = 0; n < MANY_CALLS; n += 1) {
    const step = t.callStep();
    await t.begin(claim, step);
    if (ended) await t.record({ ...claim, journalRev: 2 * MANY_CALLS }, step, t.failure('no'));
  }
  return claim;
}

const settlingMany = (title: string, ended: boolean, settlement: Settlement): StepScenario => ({
  title: `settle: ${title}`,
  script: 'settle',
  again: 'lease_lost',
  async prepare(t) {
    const claim = await taskWithCalls(t, ended);
    return () => t.settle(claim, settlement);
  },
});

/** A step of the sweeper with remaining calls of a task. */
const sweepingCalls = (title: string, ended: boolean, settlement: Settlement, ms: number): StepScenario => ({
  title: `sweep: ${title}`,
  script: 'sweep',
  async prepare(t) {
    const claim = await taskWithCalls(t, ended);
    await t.settle(claim, settlement);
    await t.advance(ms);
    return async () => {
      await t.storage.queue.sweep({ max: 100 });
      return (await t.storage.tasks.get(t.where(claim)))?.task.status;
    };
  },
});

const answer = { message_id: 'm-2', content: 'hi' };
export const QUEUE: readonly StepScenario[] = [
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
  settling('completed', 'settleFast', { kind: 'completed', result: { a: 1 } }),
  settling('failed', 'settleFast', { kind: 'failed', error }),
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
  settlingMany('completed, with many open calls', false, { kind: 'completed', result: 1 }),
  settlingMany('retry, with many failed calls', true, { kind: 'retry', error, delayMs: 1_000 }),
  settling('parked', 'settle', { kind: 'parked', journalRev: 0 }),
  settling('released', 'settle', { kind: 'released' }),
  settling('cancelled', 'settle', { kind: 'cancelled' }),
  {
    title: 'wake',
    script: 'wake',
    again: 'not_parked',
    async prepare(t) {
      const claim = await t.leased();
      await t.settle(claim, { kind: 'parked', journalRev: 0 });
      return () => t.storage.queue.wake(t.where(claim));
    },
  },
  sweepingCalls('what is left of many open calls', false, { kind: 'completed', result: 1 }, 1),
  sweepingCalls('what is left of many failed calls', true, { kind: 'retry', error, delayMs: 100 }, 100),
  sweepingCalls(
    'a task with many calls that is forgotten',
    false,
    { kind: 'cancelled' },
    DEFAULTS.retentionMs,
  ),
  {
    title: 'sweep: two lost leases, a deadline, a timer and a retry',
    script: 'sweep',
    again: '{}',
    async prepare(t) {
      await t.submit({ timeoutMs: 5_000 });
      await t.submit();
      const sleeper = await t.leased();
      await t.begin(sleeper, { key: 'sleep', kind: 'sleep', name: 'sleep', dueInMs: 1_000 });
      await t.settle(sleeper, { kind: 'parked', journalRev: 0 });
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
  isNewWhenRepeated = false,
): StepScenario => ({
  title: `report: ${title}`,
  script: 'report',
  again: 'duplicate',
  isNewWhenRepeated,
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
export const JOURNAL: readonly StepScenario[] = [
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
  {
    title: 'record: own work with its step',
    script: 'record',
    again: 'known',
    async prepare(t) {
      const claim = await t.leased();
      return () => t.record(claim, { key: 'own', kind: 'run', name: 'own' }, t.result('done'), MAX);
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
    isNewWhenRepeated: true,
    prepare: (t) => early(t),
  },
];

export const WORKERS: readonly StepScenario[] = [
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
    title: 'a worker leaves',
    script: 'leave',
    async prepare(t) {
      await t.storage.workers.announce({ workerId: 'w', runs: t.runs() });
      return async () => {
        await t.storage.workers.leave({ workerId: 'w' });
        return (await t.storage.workers.list()).length;
      };
    },
  },
];
