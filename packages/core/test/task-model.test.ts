import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Claim,
  isFinal,
  MemoryStorage,
  type NewTask,
  type Settlement,
  type StepAnswer,
  type StepOutcome,
  type StepRequest,
  type Storage,
  type Task,
} from '../src/index.js';
import { ManualClock } from './harness.js';

/** Every answer that an operation on tasks can give. Each must have been reached, or the model proves too little. */
const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  submit: [
    'submitted',
    'replayed',
    'idempotency_conflict',
    'conflict',
    'session_busy',
    'session_closed',
    'queue_full',
  ],
  register: ['registered', 'replayed'],
  finish: ['finished', 'already_final', 'not_tracked', 'not_found'],
  progress: ['told', 'already_final', 'lease_lost', 'not_found'],
  claim: ['some', 'none'],
  renew: ['kept', 'lost'],
  settle: ['settled', 'lease_lost', 'newer_outcome'],
  begin: ['begun', 'known', 'lease_lost', 'too_many_steps'],
  record: ['recorded', 'known', 'lease_lost'],
  news: ['news', 'lease_lost'],
  report: ['applied', 'duplicate', 'stale', 'late', 'unknown_task', 'held'],
  signal: ['delivered', 'kept', 'repeated', 'already_final', 'not_found'],
  cancel: ['cancelled', 'cancelling', 'already_final', 'not_found'],
  redrive: ['redriven', 'not_failed', 'not_found'],
  closeSession: ['closed', 'already_closed', 'not_found'],
};

const reached = new Map<string, number>();
function reach<A extends string>(operation: string, answer: A): A {
  const pair = `${operation} ${answer}`;
  reached.set(pair, (reached.get(pair) ?? 0) + 1);
  return answer;
}

const TENANT = 'acme';
const RUNS = [{ type: 'work', versions: [1] }];
const error = { code: 'service_error', message: 'bad', retryable: true } as const;

interface World {
  readonly clock: ManualClock;
  readonly storage: Storage;
  /** Ids of tasks that were stored, and some that were not. */
  readonly tasks: string[];
  /** Claims, lost ones too: a frozen worker still has them. */
  readonly claims: Claim[];
  readonly steps: { readonly claim: Claim; readonly step: StepRequest }[];
  readonly jobs: string[];
  /** How each task was when it was first seen to be final. */
  readonly finals: Map<string, Task>;
  count: number;
}

type Operation = (world: World, pick: (below: number) => number) => Promise<void>;

const from = <T>(list: readonly T[], pick: (below: number) => number): T | undefined =>
  list[pick(list.length || 1)];

function newTask(world: World, pick: (below: number) => number): NewTask {
  world.count += 1;
  const known = pick(12) === 0 ? from(world.tasks, pick) : undefined;
  const task_id = known ?? crypto.randomUUID();
  const session = pick(3);
  return {
    task_id,
    type: pick(15) === 0 ? 'other' : 'work',
    priority: pick(10),
    payload: world.count,
    metadata: {},
    ...(session > 0 && { session_id: `s${session}` }),
    ...(pick(8) === 0 && { runAt: world.clock.now() + pick(60_000) }),
    timeoutMs: 1_000 + pick(300_000),
    maxAttempts: 1 + pick(3),
  };
}

const SETTLEMENTS: readonly ((claim: Claim, pick: (below: number) => number) => Settlement)[] = [
  () => ({ kind: 'completed', result: 0, answer: { message_id: crypto.randomUUID(), content: 'x' } }),
  () => ({ kind: 'failed', error }),
  (_, pick) => ({ kind: 'retry', error, delayMs: pick(5_000) }),
  (claim) => ({ kind: 'parked', seen: claim.seen }),
  () => ({ kind: 'parked', seen: 1e9 }),
  () => ({ kind: 'released' }),
];

const where = ({ task }: Claim) => ({ tenantId: TENANT, taskId: task.task_id });

const OPERATIONS: Readonly<Record<string, Operation>> = {
  async submit({ storage, tasks, ...world }, pick) {
    const task = newTask({ storage, tasks, ...world }, pick);
    const onBusy = (['enqueue', 'reject', 'interrupt', 'parallel'] as const)[pick(4)] ?? 'enqueue';
    const idempotency = pick(4) === 0 ? { key: `k${pick(3)}`, fingerprint: `f${pick(2)}` } : undefined;
    const answer = await storage.tasks.submit({
      tenantId: TENANT,
      submission: { task, onBusy },
      maxWaiting: 1 + pick(9),
      ...(idempotency && { idempotency }),
    });
    reach('submit', answer.answer);
    if ('task' in answer) tasks.push(answer.task.task_id);
  },
  async register({ storage, tasks, jobs, ...world }, pick) {
    const { runAt: _, session_id: __, ...task } = newTask({ storage, tasks, jobs, ...world }, pick);
    const jobId = `t${world.count}`;
    const call = {
      callId: crypto.randomUUID(),
      service: 'query',
      operation: 'run',
      jobId,
      silenceMs: 30_000,
    };
    const answer = await storage.tasks.register({ tenantId: TENANT, task, ...(pick(2) === 0 && { call }) });
    reach('register', answer.answer);
    tasks.push(answer.task.task_id);
    jobs.push(jobId);
  },
  async finish({ storage, tasks }, pick) {
    const outcome =
      pick(2) === 0 ? ({ kind: 'completed', result: '' } as const) : ({ kind: 'failed', error } as const);
    const taskId = from(tasks, pick) ?? crypto.randomUUID();
    reach('finish', (await storage.tasks.finish({ tenantId: TENANT, taskId, outcome })).answer);
  },
  async progress({ storage, tasks, claims }, pick) {
    const claim = from(claims, pick);
    const target =
      claim && pick(2) === 0
        ? { ...where(claim), token: claim.token }
        : { tenantId: TENANT, taskId: from(tasks, pick) ?? crypto.randomUUID() };
    reach('progress', (await storage.tasks.progress({ ...target, progress: { percent: pick(100) } })).answer);
  },
  async claim({ storage, claims }, pick) {
    const params = {
      workerId: `w${pick(3)}`,
      claimId: crypto.randomUUID(),
      max: 1 + pick(3),
      runs: RUNS,
      leaseMs: 30_000,
    };
    const taken = await storage.queue.claim(params);
    // Sent again: the same.
    if (pick(4) === 0) expect(await storage.queue.claim(params)).toEqual(taken);
    claims.push(...taken);
    reach('claim', taken.length > 0 ? 'some' : 'none');
  },
  async renew({ storage, claims }, pick) {
    const leases = claims.slice(-5 - pick(5)).map((claim) => ({ ...where(claim), token: claim.token }));
    const lost = await storage.queue.renew({ leases, leaseMs: 30_000 });
    if (lost.length < leases.length) reach('renew', 'kept');
    if (lost.length > 0) reach('renew', 'lost');
  },
  async settle({ storage, claims }, pick) {
    const claim = from(claims.slice(-4), pick);
    if (!claim) return;
    const settlement: Settlement = from(SETTLEMENTS, pick)?.(claim, pick) ?? { kind: 'released' };
    const settle = () => storage.queue.settle({ ...where(claim), token: claim.token, settlement });
    reach('settle', await settle());
    if (pick(4) === 0) reach('settle', await settle());
  },
  async begin({ storage, claims, steps }, pick) {
    // Another try of a step is asked for by whoever has begun it.
    const again = pick(2) === 0 ? from(steps.slice(-3), pick) : undefined;
    const claim = again?.claim ?? from(claims.slice(-4), pick);
    if (!claim) return;
    const call = {
      callId: crypto.randomUUID(),
      service: 'query',
      operation: 'query',
      maxTries: 2,
      retryDelayMs: pick(3),
      silenceMs: 5_000 + pick(60_000),
    };
    const key = again?.step.key ?? crypto.randomUUID();
    const step: StepRequest =
      !again?.step.call && pick(3) === 0
        ? { key, kind: 'signal', name: 'signal go', signal: 'go', dueInMs: pick(50_000) }
        : { key, kind: 'call', name: 'query.query', call };
    const answer = await storage.journal.begin({
      ...where(claim),
      token: claim.token,
      seen: claim.seen,
      step,
      maxSteps: 2,
    });
    reach('begin', answer.answer);
    if (answer.answer === 'begun') steps.push({ claim, step });
  },
  async record({ storage, steps, jobs, ...world }, pick) {
    const begun = from(steps.slice(-5), pick);
    if (!begun?.step.call) return;
    const jobId = pick(2) === 0 ? `early${pick(3)}` : `j${world.count}`;
    world.count += 1;
    const outcome: StepOutcome = pick(2) === 0 ? { ok: true, value: null } : { ok: false, error };
    const answer: StepAnswer = pick(2) === 0 ? { kind: 'accepted', jobId } : { kind: 'outcome', outcome };
    const { claim, step } = begun;
    const recorded = await storage.journal.record({
      ...where(claim),
      token: claim.token,
      seen: claim.seen,
      key: step.key,
      callId: begun.step.call.callId,
      answer,
    });
    reach('record', recorded.answer);
    if (answer.kind === 'accepted') jobs.push(jobId);
  },
  /** A service takes a call on, fails it, and is asked again. */
  async tryAgain({ storage, clock, steps, jobs, ...world }, pick) {
    const last = steps.at(-1);
    if (!last?.step.call) return;
    const { claim, step } = last;
    const held = { ...where(claim), token: claim.token, seen: claim.seen };
    const jobId = `again${jobs.length}-${world.count}`;
    const { callId } = last.step.call;
    await storage.journal.record({ ...held, key: step.key, callId, answer: { kind: 'accepted', jobId } });
    await storage.journal.report({
      tenantId: TENANT,
      service: 'query',
      jobId,
      body: { kind: 'outcome', outcome: { ok: false, error } },
    });
    jobs.push(jobId);
    await clock.advance(pick(5));
    await storage.queue.sweep({ max: 10_000 });
    const next = { ...step, call: { ...last.step.call, callId: crypto.randomUUID() } };
    reach('begin', (await storage.journal.begin({ ...held, step: next, maxSteps: 2 })).answer);
  },
  async news({ storage, claims }, pick) {
    const claim = from(claims.slice(-5), pick);
    if (claim)
      reach('news', (await storage.journal.news({ ...where(claim), token: claim.token, seen: 0 })).answer);
  },
  async report({ storage, jobs }, pick) {
    const jobId = pick(6) === 0 ? `early${pick(3)}` : (from(jobs.slice(-6), pick) ?? 'nobody');
    const outcome = pick(2) === 0 ? ({ ok: true, value: pick(2) } as const) : ({ ok: false, error } as const);
    const body =
      pick(4) === 0
        ? ({ kind: 'status', status: 'x', details: {} } as const)
        : ({ kind: 'outcome', outcome } as const);
    const report = { tenantId: TENANT, service: 'query', jobId, body };
    reach('report', (await storage.journal.report(report)).answer);
    // Notifications come more than once.
    if (pick(3) === 0) reach('report', (await storage.journal.report(report)).answer);
  },
  async signal({ storage, tasks, claims }, pick) {
    const taskId = from(claims.slice(-3), pick)?.task.task_id ?? from(tasks, pick) ?? crypto.randomUUID();
    const target = pick(6) === 0 ? crypto.randomUUID() : taskId;
    const about = { tenantId: TENANT, taskId: target, name: 'go', payload: 1 };
    reach('signal', (await storage.tasks.signal({ ...about, signalId: `signal-${pick(12)}` })).answer);
  },
  async cancel({ storage, tasks }, pick) {
    if (pick(3) > 0) return;
    const taskId = pick(8) === 0 ? crypto.randomUUID() : (from(tasks, pick) ?? crypto.randomUUID());
    reach(
      'cancel',
      (await storage.tasks.cancel({ tenantId: TENANT, taskId, reason: 'enough', graceMs: 5_000 })).answer,
    );
  },
  async redrive({ storage, tasks }, pick) {
    if (pick(3) > 0) return;
    const taskId = from(tasks, pick) ?? crypto.randomUUID();
    const answer = await storage.tasks.redrive({ tenantId: TENANT, taskId, newTaskId: crypto.randomUUID() });
    reach('redrive', answer.answer);
    if ('task' in answer) tasks.push(answer.task.task_id);
  },
  async closeSession({ storage }, pick) {
    if (pick(4) > 0) return;
    const closed = await storage.sessions.close({
      tenantId: TENANT,
      sessionId: `s${1 + pick(3)}`,
      graceMs: 5_000,
    });
    reach('closeSession', closed.answer);
  },
  async time({ clock, storage }, pick) {
    await clock.advance([1, 700, 6_000, 31_000][pick(4)] ?? 1);
    await storage.queue.sweep({ max: 10_000 });
  },
};

/** What must hold whatever happened. */
async function check({ storage, tasks, finals }: World): Promise<void> {
  const head = await storage.events.head({ tenantId: TENANT });
  const { events } = await storage.events.read({
    tenantId: TENANT,
    after: `${head.split(':')[0]}:0`,
    limit: 100_000,
  });
  expect(events.map(({ cursor }) => Number(cursor.split(':')[1]))).toEqual(
    events.map((_, index) => index + 1),
  );
  const counted = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
  for (const taskId of new Set(tasks)) {
    const task = (await storage.tasks.get({ tenantId: TENANT, taskId }))?.task as Task;
    counted[task.status] += 1;
    const own = events.filter((event) => event.task_id === taskId);
    expect(own.map(({ rev }) => rev)).toEqual(own.map((_, index) => index + 1));
    expect(task.rev).toBe(own.length);
    expect(task.attempt).toBeLessThanOrEqual(task.max_attempts + 3);
    const ends = own.filter(({ event }) => event === 'task_completed' || event === 'task_failed');
    expect(ends).toHaveLength(isFinal(task.status) ? 1 : 0);
    if (!isFinal(task.status)) continue;
    expect(own.at(-1)).toBe(ends[0]);
    const first = finals.get(taskId);
    if (first)
      expect([task.status, task.result, task.error, task.rev]).toEqual([
        first.status,
        first.result,
        first.error,
        first.rev,
      ]);
    else finals.set(taskId, task);
  }
  expect((await storage.tasks.counts({ tenantId: TENANT })).counts).toEqual(counted);
}

describe('a task, whatever happens to it', () => {
  it('ends once, and its events have no holes', async () => {
    const names = Object.keys(OPERATIONS);
    const happening = fc.record({
      operation: fc.constantFrom(...names, 'claim', 'begin', 'record', 'report', 'settle', 'time'),
      picks: fc.array(fc.nat(1_000_000), { minLength: 14, maxLength: 14 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(happening, { minLength: 20, maxLength: 80, size: 'max' }),
        async (happenings) => {
          const clock = new ManualClock();
          const limits = { retentionMs: 1e12, deadLetterRetentionMs: 1e12, sessionIdleMs: 1e12 };
          const storage = new MemoryStorage({ clock, limits });
          const world: World = {
            clock,
            storage,
            tasks: [],
            claims: [],
            steps: [],
            jobs: [],
            finals: new Map(),
            count: 0,
          };
          for (const { operation, picks } of happenings) {
            let at = 0;
            const pick = (below: number) => (picks[at++ % picks.length] ?? 0) % below;
            await OPERATIONS[operation]?.(world, pick);
            await check(world);
          }
          // Left alone, everything comes to its end.
          await clock.advance(10 * 60_000);
          for (let n = 0; n < 5; n += 1) await storage.queue.sweep({ max: 10_000 });
          await check(world);
          const { counts } = await storage.tasks.counts({ tenantId: TENANT });
          expect(counts.pending + counts.processing).toBe(0);
        },
      ),
      { numRuns: 400, seed: 20_260_131 },
    );
    console.table(
      Object.fromEntries(
        [...reached].toSorted(([a], [b]) => a.localeCompare(b)).map(([pair, times]) => [pair, { times }]),
      ),
    );
    const missing = Object.entries(ANSWERS).flatMap(([operation, answers]) =>
      answers
        .filter((answer) => !reached.has(`${operation} ${answer}`))
        .map((answer) => `${operation} ${answer}`),
    );
    expect(missing).toEqual([]);
  }, 120_000);
});
