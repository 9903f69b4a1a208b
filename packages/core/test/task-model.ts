import { expect } from 'vitest';
import { isFinal, isFinalEvent, type Storage, type Task } from '../src/index.js';
import {
  type Claim,
  type NewTask,
  type Settlement,
  type StepAnswer,
  type StepOutcome,
  type StepRequest,
} from '../src/storage/index.js';

/** A storage that a history is lived through on: empty, with a clock that stands still until it is moved. */
export interface HistorySubject {
  readonly storage: Storage;
  now(): number;
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

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
  progress: ['reported', 'already_final', 'lease_lost', 'not_found'],
  claim: ['some', 'none', 'paused', 'full'],
  renew: ['kept', 'lost'],
  settle: ['settled', 'lease_lost', 'newer_outcome'],
  begin: ['begun', 'known', 'lease_lost', 'too_many_steps'],
  record: ['recorded', 'known', 'lease_lost'],
  recordRun: ['recorded', 'known', 'lease_lost', 'too_many_steps', 'step_mismatch'],
  changesSince: ['changes', 'lease_lost'],
  report: ['applied', 'duplicate', 'stale', 'late', 'unknown_task', 'held'],
  signal: ['delivered', 'kept', 'repeated', 'already_final', 'not_found'],
  cancel: ['cancelled', 'cancelling', 'already_final', 'not_found'],
  redrive: ['redriven', 'not_failed', 'not_found'],
  closeSession: ['closed', 'already_closed', 'not_found'],
  configure: ['paused', 'resumed', 'limited', 'unlimited'],
};

/** How often each (operation, answer) pair was reached. */
export class Reached {
  readonly #times = new Map<string, number>();

  add<A extends string>(operation: string, answer: A): A {
    const pair = `${operation} ${answer}`;
    this.#times.set(pair, (this.#times.get(pair) ?? 0) + 1);
    return answer;
  }

  get missing(): string[] {
    return Object.entries(ANSWERS).flatMap(([operation, answers]) =>
      answers.map((answer) => `${operation} ${answer}`).filter((pair) => !this.#times.has(pair)),
    );
  }

  get table(): Record<string, { readonly times: number }> {
    return Object.fromEntries(
      [...this.#times].toSorted(([a], [b]) => a.localeCompare(b)).map(([pair, times]) => [pair, { times }]),
    );
  }
}

const TENANT = 'acme';
const RUNS = [{ type: 'work', versions: [1] }];
const error = { code: 'service_error', message: 'bad', retryable: true } as const;

/** One history: the storage, and the knowledge of its callers. */
export class World {
  /** Ids of tasks that were stored, and some that were not. */
  readonly tasks: string[] = [];
  readonly batches: string[] = [];
  /** Claims, lost ones too: a frozen worker still has them. */
  readonly claims: Claim[] = [];
  readonly steps: { readonly claim: Claim; readonly step: StepRequest }[] = [];
  readonly jobs: string[] = [];
  /** How each task was when it was first seen to be final. */
  readonly finals = new Map<string, Task>();
  /** What the tenant is set to. */
  paused = false;
  maxRunning: number | undefined;
  #minted = 0;

  constructor(
    readonly subject: HistorySubject,
    readonly storage: Storage,
    readonly reached: Reached,
  ) {}

  /** The same ids in each history, so that two of them can be compared. */
  id(): string {
    return `00000000-0000-4000-8000-${this.number().toString(16).padStart(12, '0')}`;
  }

  number(): number {
    this.#minted += 1;
    return this.#minted;
  }

  /** Does what is due, and what becomes due by that. */
  async sweep(): Promise<void> {
    for (let n = 0; n < 50; n += 1) {
      const { nextDueAt } = await this.storage.queue.sweep({ max: 10_000 });
      if (nextDueAt === undefined || nextDueAt > this.subject.now()) return;
    }
  }
}

type Pick = (below: number) => number;
type Operation = (world: World, pick: Pick) => Promise<void>;

const from = <T>(list: readonly T[], pick: Pick): T | undefined => list[pick(list.length || 1)];

function newTask(world: World, pick: Pick): NewTask {
  const known = pick(12) === 0 ? from(world.tasks, pick) : undefined;
  const task_id = known ?? world.id();
  const session = pick(3);
  return {
    task_id,
    type: pick(15) === 0 ? 'other' : 'work',
    priority: pick(10),
    payload: world.number(),
    metadata: {},
    ...(session > 0 && { session_id: `s${session}` }),
    ...(pick(8) === 0 && { runAt: world.subject.now() + pick(60_000) }),
    timeoutMs: 1_000 + pick(300_000),
    maxAttempts: 1 + pick(3),
  };
}

const SETTLEMENTS: readonly ((world: World, claim: Claim, pick: Pick) => Settlement)[] = [
  (world) => ({ kind: 'completed', result: 0, answer: { message_id: world.id(), content: 'x' } }),
  () => ({ kind: 'failed', error }),
  (_, __, pick) => ({ kind: 'retry', error, delayMs: pick(5_000) }),
  (_, claim) => ({ kind: 'parked', journalRev: claim.journalRev }),
  () => ({ kind: 'parked', journalRev: 1e9 }),
  () => ({ kind: 'released' }),
];

const where = ({ task }: Claim) => ({ tenantId: TENANT, taskId: task.task_id });

/** What clients and operators ask for. */
const REQUESTS: Readonly<Record<string, Operation>> = {
  async submit(world, pick) {
    const task = newTask(world, pick);
    const onBusy = (['enqueue', 'reject', 'interrupt', 'parallel'] as const)[pick(4)] ?? 'enqueue';
    const idempotency = pick(4) === 0 ? { key: `k${pick(3)}`, fingerprint: `f${pick(2)}` } : undefined;
    const answer = await world.storage.tasks.submit({
      tenantId: TENANT,
      submission: { task, onBusy },
      maxWaiting: 1 + pick(9),
      ...(idempotency && { idempotency }),
    });
    world.reached.add('submit', answer.answer);
    if ('task' in answer) world.tasks.push(answer.task.task_id);
  },
  async register(world, pick) {
    const { runAt: _, session_id: __, ...task } = newTask(world, pick);
    const jobId = `t${world.number()}`;
    const call = { callId: world.id(), service: 'query', operation: 'run', jobId, silenceMs: 30_000 };
    const answer = await world.storage.tasks.register({
      maxWaiting: 10_000,
      tenantId: TENANT,
      task,
      ...(pick(2) === 0 && { call }),
    });
    world.reached.add('register', answer.answer);
    if ('task' in answer) world.tasks.push(answer.task.task_id);
    world.jobs.push(jobId);
  },
  async finish(world, pick) {
    const outcome =
      pick(2) === 0 ? ({ kind: 'completed', result: '' } as const) : ({ kind: 'failed', error } as const);
    const taskId = from(world.tasks, pick) ?? world.id();
    const { answer } = await world.storage.tasks.finish({ tenantId: TENANT, taskId, outcome });
    world.reached.add('finish', answer);
  },
  async signal(world, pick) {
    const taskId = from(world.claims.slice(-3), pick)?.task.task_id ?? from(world.tasks, pick) ?? world.id();
    const target = pick(6) === 0 ? world.id() : taskId;
    const about = { tenantId: TENANT, taskId: target, name: 'go', payload: 1 };
    const { answer } = await world.storage.tasks.signal({ ...about, signalId: `signal-${pick(12)}` });
    world.reached.add('signal', answer);
  },
  async cancel(world, pick) {
    if (pick(3) > 0) return;
    const taskId = pick(8) === 0 ? world.id() : (from(world.tasks, pick) ?? world.id());
    const about = { tenantId: TENANT, taskId, reason: 'enough', graceMs: 5_000 };
    world.reached.add('cancel', (await world.storage.tasks.cancel(about)).answer);
  },
  async redrive(world, pick) {
    if (pick(3) > 0) return;
    const taskId = from(world.tasks, pick) ?? world.id();
    const answer = await world.storage.tasks.redrive({
      maxWaiting: 10_000,
      tenantId: TENANT,
      taskId,
      newTaskId: world.id(),
    });
    world.reached.add('redrive', answer.answer);
    if ('task' in answer) world.tasks.push(answer.task.task_id);
  },
  async closeSession(world, pick) {
    if (pick(3) > 0) return;
    const about = { tenantId: TENANT, sessionId: `s${1 + pick(2)}`, graceMs: 5_000 };
    world.reached.add('closeSession', (await world.storage.sessions.close(about)).answer);
  },
  async configure(world, pick) {
    if (pick(2) > 0) {
      world.paused = pick(3) === 0;
      world.reached.add('configure', world.paused ? 'paused' : 'resumed');
      await world.storage.tenants.configure({ tenantId: TENANT, paused: world.paused });
    } else {
      world.maxRunning = pick(3) === 0 ? undefined : 1 + pick(3);
      world.reached.add('configure', world.maxRunning === undefined ? 'unlimited' : 'limited');
      await world.storage.tenants.configure({ tenantId: TENANT, maxRunning: world.maxRunning ?? null });
    }
  },
};

/** What is asked for of batches. */
export const BATCHES: Readonly<Record<string, Operation>> = {
  async submitBatch(world, pick) {
    const mayBeAnything = pick(3) === 0;
    const items = Array.from({ length: 1 + pick(4) }, () => {
      const { session_id, runAt, ...task } = newTask(world, pick);
      if (pick(6) === 0) return { error };
      const more = { ...(session_id !== undefined && { session_id }), ...(runAt !== undefined && { runAt }) };
      // None is due in the same millisecond as another.
      const timeoutMs = 1_000 + 1_009 * world.number();
      return { task: { ...task, timeoutMs, ...(mayBeAnything && more) }, onBusy: 'enqueue' as const };
    });
    const batch = { batchId: world.id(), maxInFlight: 1 + pick(4), failFast: pick(3) === 0, items };
    const idempotency = pick(4) === 0 ? { key: `k${pick(3)}`, fingerprint: `f${pick(2)}` } : undefined;
    const answer = await world.storage.tasks.submitBatch({
      tenantId: TENANT,
      batch,
      maxWaiting: 4 + pick(9),
      ...(idempotency && { idempotency }),
    });
    world.reached.add('submitBatch', answer.answer);
    if (!('batch' in answer)) return;
    world.batches.push(answer.batch.batch_id);
    for (const { task_id } of answer.batch.items) if (task_id !== undefined) world.tasks.push(task_id);
  },
  async cancelBatch(world, pick) {
    if (pick(3) > 0) return;
    const batchId = pick(8) === 0 ? world.id() : (from(world.batches, pick) ?? world.id());
    const about = { tenantId: TENANT, batchId, reason: 'enough', graceMs: 5_000 };
    const batch = await world.storage.tasks.cancelBatch(about);
    world.reached.add('cancelBatch', batch ? 'cancelled' : 'not_found');
  },
  async getBatch(world, pick) {
    const batchId = from(world.batches, pick) ?? world.id();
    const batch = await world.storage.tasks.getBatch({ tenantId: TENANT, batchId });
    world.reached.add('getBatch', batch ? 'found' : 'not_found');
  },
};

/** What workers ask for. */
const WORK: Readonly<Record<string, Operation>> = {
  async claim(world, pick) {
    const params = {
      workerId: `w${pick(3)}`,
      claimId: world.id(),
      max: 1 + pick(3),
      runs: RUNS,
      leaseMs: 30_000,
    };
    const { running, ready } = await world.storage.tenants.get({ tenantId: TENANT });
    const room = world.paused ? 0 : (world.maxRunning ?? Number.POSITIVE_INFINITY) - running;
    const taken = await world.storage.queue.claim(params);
    expect(taken.length).toBeLessThanOrEqual(Math.max(0, room));
    // Sent again: the same.
    if (pick(4) === 0) expect(await world.storage.queue.claim(params)).toEqual(taken);
    world.claims.push(...taken);
    world.reached.add('claim', taken.length > 0 ? 'some' : 'none');
    if (ready > 0 && room <= 0) world.reached.add('claim', world.paused ? 'paused' : 'full');
  },
  async progress(world, pick) {
    const claim = from(world.claims, pick);
    const target =
      claim && pick(2) === 0
        ? { ...where(claim), token: claim.token }
        : { tenantId: TENANT, taskId: from(world.tasks, pick) ?? world.id() };
    const progress = { percent: pick(100) };
    world.reached.add('progress', (await world.storage.tasks.progress({ ...target, progress })).answer);
  },
  async renew(world, pick) {
    const held = world.claims.slice(-5 - pick(5));
    const leases = held.map((claim) => ({ ...where(claim), token: claim.token }));
    const lost = await world.storage.queue.renew({ leases, leaseMs: 30_000 });
    if (lost.length < leases.length) world.reached.add('renew', 'kept');
    if (lost.length > 0) world.reached.add('renew', 'lost');
  },
  async settle(world, pick) {
    const claim = from(world.claims.slice(-4), pick);
    if (!claim) return;
    const settlement = from(SETTLEMENTS, pick)?.(world, claim, pick) ?? { kind: 'released' };
    const params = { ...where(claim), token: claim.token, settlement };
    world.reached.add('settle', await world.storage.queue.settle(params));
    if (pick(4) === 0) world.reached.add('settle', await world.storage.queue.settle(params));
  },
};

/** What becomes of the steps of workflows. */
const STEPS: Readonly<Record<string, Operation>> = {
  async begin(world, pick) {
    // Another try of a step is requested by the holder of the lease.
    const again = pick(2) === 0 ? from(world.steps.slice(-3), pick) : undefined;
    const claim = again?.claim ?? from(world.claims.slice(-4), pick);
    if (!claim) return;
    const call = {
      callId: world.id(),
      service: 'query',
      operation: 'query',
      maxTries: 2,
      retryDelayMs: pick(3),
      silenceMs: 5_000 + pick(60_000),
    };
    const key = again?.step.key ?? world.id();
    const step: StepRequest =
      !again?.step.call && pick(3) === 0
        ? { key, kind: 'signal', name: 'signal go', signal: 'go', dueInMs: pick(50_000) }
        : { key, kind: 'call', name: 'query.query', call };
    const held = { ...where(claim), token: claim.token, journalRev: claim.journalRev };
    const { answer } = await world.storage.journal.begin({ ...held, step, maxSteps: 2 });
    world.reached.add('begin', answer);
    if (answer === 'begun') world.steps.push({ claim, step });
  },
  async record(world, pick) {
    const begun = from(world.steps.slice(-5), pick);
    if (!begun?.step.call) return;
    const { claim, step } = begun;
    const jobId = pick(2) === 0 ? `early${pick(3)}` : `j${world.number()}`;
    const outcome: StepOutcome = pick(2) === 0 ? { ok: true, value: null } : { ok: false, error };
    const answer: StepAnswer = pick(2) === 0 ? { kind: 'accepted', jobId } : { kind: 'outcome', outcome };
    const recorded = await world.storage.journal.record({
      ...where(claim),
      token: claim.token,
      journalRev: claim.journalRev,
      key: step.key,
      callId: begun.step.call.callId,
      answer,
    });
    world.reached.add('record', recorded.answer);
    if (answer.kind === 'accepted') world.jobs.push(jobId);
  },
  /** Own work, new or known; a key of another step is in the way. */
  async recordRun(world, pick) {
    const before = from(world.steps.slice(-3), pick);
    const claim = pick(2) === 0 && before ? before.claim : from(world.claims.slice(-4), pick);
    if (!claim) return;
    const key = before && pick(4) === 0 ? before.step.key : `own${pick(3)}`;
    const outcome: StepOutcome = pick(2) === 0 ? { ok: true, value: pick(9) } : { ok: false, error };
    const recorded = await world.storage.journal.record({
      ...where(claim),
      token: claim.token,
      journalRev: claim.journalRev,
      key,
      answer: { kind: 'outcome', outcome },
      create: { name: 'run own', maxSteps: 2 },
    });
    world.reached.add('recordRun', recorded.answer);
  },
  /** A service takes a call on, fails it, and is asked again. */
  async tryAgain(world, pick) {
    const last = world.steps.at(-1);
    if (!last?.step.call) return;
    const { journal } = world.storage;
    const { claim, step } = last;
    const held = { ...where(claim), token: claim.token, journalRev: claim.journalRev };
    const jobId = `again${world.number()}`;
    const { callId } = last.step.call;
    await journal.record({ ...held, key: step.key, callId, answer: { kind: 'accepted', jobId } });
    const body = { kind: 'outcome', outcome: { ok: false, error } } as const;
    await journal.report({ tenantId: TENANT, service: 'query', jobId, body });
    world.jobs.push(jobId);
    await world.subject.advance(pick(5));
    await world.sweep();
    const next = { ...step, call: { ...last.step.call, callId: world.id() } };
    world.reached.add('begin', (await journal.begin({ ...held, step: next, maxSteps: 2 })).answer);
  },
  async changesSince(world, pick) {
    const claim = from(world.claims.slice(-5), pick);
    if (!claim) return;
    const changes = await world.storage.journal.changesSince({
      ...where(claim),
      token: claim.token,
      journalRev: 0,
    });
    world.reached.add('changesSince', changes.answer);
  },
  async report(world, pick) {
    const jobId = pick(6) === 0 ? `early${pick(3)}` : (from(world.jobs.slice(-6), pick) ?? 'ghost');
    const outcome = pick(2) === 0 ? ({ ok: true, value: pick(2) } as const) : ({ ok: false, error } as const);
    const body =
      pick(4) === 0
        ? ({ kind: 'status', status: 'x', details: {} } as const)
        : ({ kind: 'outcome', outcome } as const);
    const report = { tenantId: TENANT, service: 'query', jobId, body };
    world.reached.add('report', (await world.storage.journal.report(report)).answer);
    // Notifications come more than once.
    if (pick(3) === 0) world.reached.add('report', (await world.storage.journal.report(report)).answer);
  },
  async time(world, pick) {
    await world.subject.advance([1, 700, 6_000, 31_000][pick(4)] ?? 1);
    await world.sweep();
  },
};

export const OPERATIONS: Readonly<Record<string, Operation>> = { ...REQUESTS, ...WORK, ...STEPS };

async function allEvents({ storage }: World) {
  const head = await storage.events.head({ tenantId: TENANT });
  const after = `${head.split(':')[0]}:0`;
  return (await storage.events.read({ tenantId: TENANT, after, limit: 100_000 })).events;
}

/** What must hold whatever happened. */
export async function check(world: World): Promise<void> {
  const { storage, tasks, finals } = world;
  const events = await allEvents(world);
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
    const ends = own.filter(({ event }) => isFinalEvent(event));
    expect(ends).toHaveLength(isFinal(task.status) ? 1 : 0);
    if (!isFinal(task.status)) continue;
    expect(own.at(-1)).toBe(ends[0]);
    const first = finals.get(taskId) ?? task;
    finals.set(taskId, first);
    const endOf = ({ status, result, error: why, rev }: Task) => [status, result, why, rev];
    expect(endOf(task)).toEqual(endOf(first));
  }
  expect((await storage.tasks.counts({ tenantId: TENANT })).counts).toEqual(counted);
  const { counts, settings } = await storage.tenants.get({ tenantId: TENANT });
  expect(counts).toEqual(counted);
  expect([settings.paused, settings.maxRunning]).toEqual([world.paused, world.maxRunning]);
}

/** Everything is resumed; what workers can do is done, and the rest comes to its end by itself. */
export async function comeToTheEnd(world: World): Promise<void> {
  const { storage, subject } = world;
  await storage.tenants.configure({ tenantId: TENANT, paused: false, maxRunning: null });
  [world.paused, world.maxRunning] = [false, undefined];
  for (let n = 0; n < 200; n += 1) {
    const claims = await storage.queue.claim({
      workerId: `last${n}`,
      claimId: world.id(),
      max: 100,
      runs: [...RUNS, { type: 'other', versions: [1] }],
      leaseMs: 30_000,
    });
    if (claims.length === 0) break;
    const settlement = { kind: 'completed', result: 'at last' } as const;
    for (const claim of claims)
      await storage.queue.settle({ ...where(claim), token: claim.token, settlement });
  }
  expect((await storage.tenants.get({ tenantId: TENANT })).ready).toBe(0);
  await check(world);
  await subject.advance(10 * 60_000);
  await world.sweep();
  await check(world);
  const { counts } = await storage.tasks.counts({ tenantId: TENANT });
  expect(counts.pending + counts.processing).toBe(0);
}
