import assert from 'node:assert/strict';
import type { Settlement, Claim } from '../storage/task-queue.js';
import type { StepRequest } from '../storage/call-journal.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** More calls than three steps of the storage end, drop or remove. */
const MANY = 10;
const limits = { callsAtOnce: 3 };
const failure = { code: 'service_error', message: 'down', retryable: true } as const;

type CallStep = ReturnType<CaseTools['callStep']>;

const callIds = (steps: readonly CallStep[]) => steps.map(({ call }) => call.callId);
const times = (count: number, word: string) => Array.from({ length: count }, () => word);

/** A task with many open calls: every other one a job, the last one of another service. */
async function calling(
  t: CaseTools,
  more: { readonly timeoutMs?: number; readonly maxAttempts?: number } = {},
) {
  const claim = await t.leased(more);
  const steps = Array.from({ length: MANY }, (_, n) =>
    t.callStep(n === MANY - 1 ? { service: 'alone' } : {}),
  );
  const jobs: string[] = [];
  for (const [n, step] of steps.entries()) {
    await t.begin(claim, step);
    if (n % 2 === 1) continue;
    const jobId = t.name('job');
    jobs.push(jobId);
    await t.record(claim, step, { kind: 'accepted', jobId });
  }
  return { claim, steps, jobs };
}

const serviceOf = ({ call: { service } }: CallStep) => service;

/** Answers to an outcome of each call, by call id. */
async function reportAll(t: CaseTools, steps: readonly CallStep[], value: number): Promise<string[]> {
  const answers: string[] = [];
  for (const step of steps) {
    const about = { service: serviceOf(step), callId: step.call.callId };
    answers.push((await t.report('by its id', value, about)).answer);
  }
  return answers;
}

/** Ends a task with many open calls, and checks the answers to reports before and after a sweep. */
async function endCalling(
  t: CaseTools,
  more: Parameters<typeof calling>[1],
  end: (claim: Claim) => Promise<unknown>,
): Promise<void> {
  const received = new Set<string>();
  const unsubscribe = t.storage.wakeups.subscribe((wakeup) => {
    if (wakeup.kind === 'call_cancelled' && wakeup.frame.tenant_id === t.tenantId)
      received.add(wakeup.frame.call_id ?? '');
  });
  const { claim, steps, jobs } = await calling(t, more);
  const early = await t.report('named never', 1);
  assert.ok(early.answer === 'held');
  await end(claim);
  const { taskId } = t.where(claim);
  const sayTheSame = async (value: number) => {
    const { delegated_services: calls } = await t.get(taskId);
    assert.deepEqual(
      calls.map(({ status }) => status),
      times(MANY, 'failed'),
    );
    assert.deepEqual(await reportAll(t, steps, value), times(MANY, 'late'));
    for (const jobId of jobs) assert.equal((await t.report(jobId, value)).answer, 'late');
    const onlyOne = { taskId, service: 'alone' };
    assert.equal((await t.report('no name', value, onlyOne)).answer, 'unknown_task');
  };
  await sayTheSame(1);
  const look = { tenantId: t.tenantId, heldId: early.heldId };
  assert.deepEqual(await t.storage.journal.heldReport(look), { answer: 'unknown_task' });
  // A reused job id belongs to the newer call.
  const [first = ''] = jobs;
  const newer = await t.withJob(first);
  assert.deepEqual(await t.report(first, 2), { answer: 'applied', taskId: newer.claim.task.task_id });
  await t.pass(1);
  await t.advance(0);
  assert.deepEqual([...received].toSorted(), callIds(steps).toSorted());
  await sayTheSame(3).catch((error: Error) => {
    throw new Error(`after the sweep: ${error.message}`, { cause: error });
  });
  unsubscribe();
}

const settling = (settlement: Settlement) => (t: CaseTools) => (claim: Claim) => t.settle(claim, settlement);
const settlements: Readonly<Record<string, ReturnType<typeof settling>>> = {
  completed: settling({ kind: 'completed', result: 1 }),
  failed: settling({ kind: 'failed', error: failure }),
  cancelled: settling({ kind: 'cancelled' }),
  'retried without attempts left': settling({ kind: 'retry', error: failure, delayMs: 1 }),
};

async function dropMany(t: CaseTools) {
  const claim = await t.leased();
  const good = t.callStep();
  await t.begin(claim, good);
  await t.record(claim, good, t.result('kept'));
  const steps = Array.from({ length: MANY }, () => t.callStep());
  for (const step of steps) {
    await t.begin(claim, step);
    await t.record(claim, step, t.failure('no'));
  }
  const wait: StepRequest = { key: 'wait', kind: 'signal', name: 'signal go', signal: 'go', dueInMs: 10 };
  const own: StepRequest = { key: 'own', kind: 'run', name: 'own' };
  await t.begin(claim, wait);
  await t.begin(claim, own);
  await t.record(claim, own, t.failure('broken'));
  await t.pass(10);
  return { claim, good, steps, own, wait };
}

/** Calls of one task that later steps of the storage end: observably the same as in one step. */
export const callPortionCases: readonly ConformanceCase[] = [
  ...Object.entries(settlements).map(([word, settle]): ConformanceCase => ({
    part: 'queue',
    method: 'settle',
    name: `ends all open calls of a task that is ${word}, however many, and notifies their services`,
    limits,
    run: (t) => endCalling(t, { maxAttempts: 1 }, settle(t)),
  })),
  {
    part: 'tasks',
    method: 'cancel',
    name: 'ends all open calls of a task without a lease, however many, and notifies their services',
    limits,
    run: (t) =>
      endCalling(t, {}, async (claim) => {
        const { journalRev } = (await t.storage.journal.changesSince({
          ...t.where(claim),
          token: claim.token,
          journalRev: 0,
        })) as {
          journalRev: number;
        };
        assert.equal(await t.settle(claim, { kind: 'parked', journalRev }), 'settled');
        const cancel = { ...t.where(claim), reason: 'enough', graceMs: 1_000 };
        assert.equal((await t.storage.tasks.cancel(cancel)).answer, 'cancelled');
      }),
  },
  {
    part: 'tasks',
    method: 'cancel',
    name: 'notifies the services of all open calls of a running task, and leaves the calls open',
    limits,
    async run(t) {
      const received: string[] = [];
      const unsubscribe = t.storage.wakeups.subscribe((wakeup) => {
        if (wakeup.kind === 'call_cancelled') received.push(wakeup.frame.call_id ?? '');
      });
      const { claim, steps } = await calling(t);
      await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 20_000 });
      await t.pass(1);
      await t.advance(0);
      unsubscribe();
      assert.deepEqual(received.toSorted(), callIds(steps).toSorted());
      const { delegated_services: calls } = await t.get(claim.task.task_id);
      assert.deepEqual(
        calls.map(({ status }) => status),
        times(MANY, 'processing'),
      );
      assert.deepEqual(await reportAll(t, steps, 1), times(MANY, 'applied'));
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'ends all open calls of tasks past their deadline or grace, however many, and notifies their services',
    limits,
    async run(t) {
      await endCalling(t, { timeoutMs: 20_000 }, () => t.pass(20_000));
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'drops all failures of a retried attempt, however many, and nothing else',
    limits,
    async run(t) {
      const { claim, good, steps, own, wait } = await dropMany(t);
      const shown = async () =>
        (await t.get(claim.task.task_id)).delegated_services.map(({ call_id }) => call_id);
      assert.deepEqual(await shown(), callIds([good, ...steps]));
      await t.settle(claim, { kind: 'retry', error: failure, delayMs: 1_000, drop: wait.key });
      assert.deepEqual(await shown(), [good.call.callId]);
      assert.deepEqual(await reportAll(t, steps, 1), times(MANY, 'stale'));
      const same = { ...t.failure('no'), callId: steps[MANY - 1]?.call.callId };
      const { answer } = await t.report('by its id', 1, {
        callId: same.callId as string,
        body: t.failure('no'),
      });
      assert.equal(answer, 'duplicate');
      await t.pass(1_000);
      const again = await t.claimOne();
      assert.deepEqual(
        again.steps.map(({ key }) => key),
        [good.key],
      );
      assert.deepEqual(await shown(), [good.call.callId]);
      assert.deepEqual(await reportAll(t, steps, 2), times(MANY, 'stale'));
      for (const step of [own, wait]) assert.equal((await t.begin(again, step)).answer, 'begun');
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'drops the failures of a retried attempt also when the task is cancelled before the next one',
    limits,
    async run(t) {
      const { claim, good, steps } = await dropMany(t);
      await t.settle(claim, { kind: 'retry', error: failure, delayMs: 60_000 });
      await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 0 });
      for (let look = 0; look < 2; look += 1) {
        assert.deepEqual(await reportAll(t, steps, look), times(MANY, 'stale'));
        const { delegated_services: calls } = await t.get(claim.task.task_id);
        assert.deepEqual(
          calls.map(({ call_id }) => call_id),
          [good.call.callId],
        );
        await t.pass(1);
      }
    },
  },
  {
    part: 'queue',
    method: 'sweep',
    name: 'removes all calls and jobs of a task past its retention, however many',
    limits: { ...limits, retentionMs: 1_000 },
    async run(t) {
      const { claim, steps, jobs } = await calling(t);
      await t.settle(claim, { kind: 'completed', result: 1 });
      await t.pass(1_000);
      assert.equal(await t.storage.tasks.get(t.where(claim)), undefined);
      assert.deepEqual(await reportAll(t, steps, 1), times(MANY, 'unknown_task'));
      for (const jobId of jobs) assert.equal((await t.report(jobId, 1)).answer, 'unknown_task');
    },
  },
];
