import { randomUUID } from 'node:crypto';
import { type Storage } from '@agent-orchestrator/core';
import { systemRandom } from '@agent-orchestrator/core/storage';
import { DEFAULTS, TRANSITIONS } from '@agent-orchestrator/core/protocol';
import { type Submission } from '@agent-orchestrator/core/storage';
import { CaseTools } from '@agent-orchestrator/core/conformance';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { SCRIPTS } from '../src/generated/scripts.js';
import { openStorage } from './storage-under-test.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

const tenantId = 'acme';

function open(): Storage {
  const subject = openStorage(server.url);
  onTestFinished(() => subject.close());
  return subject.storage;
}

function submission(more: Partial<Submission['task']> = {}): Submission {
  const task = { task_id: randomUUID(), type: 'work', priority: 4, payload: {}, metadata: {} };
  return { task: { ...task, timeoutMs: 60_000, maxAttempts: 5, ...more }, onBusy: 'enqueue' };
}

/** A batch of tasks of one session. */
async function batchOfOneSession(storage: Storage, count: number): Promise<string> {
  const items = Array.from({ length: count }, () => submission({ session_id: 's' }));
  const batch = { batchId: randomUUID(), maxInFlight: 10, failFast: false, items };
  await storage.tasks.submitBatch({ tenantId, batch, maxWaiting: 100_000 });
  return batch.batchId;
}

function claim(storage: Storage, max = 1) {
  const runs = [{ type: 'work', versions: [1] }];
  return storage.queue.claim({ workerId: 'w', claimId: randomUUID(), max, runs, leaseMs: 30_000 });
}

/** Number of commands that Redis runs meanwhile, those in scripts included. */
async function commandsOf(act: () => Promise<unknown>): Promise<number> {
  await server.ask(['CONFIG', 'RESETSTAT']);
  await act();
  const stats = String(await server.ask(['INFO', 'commandstats']));
  return [...stats.matchAll(/calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

/** Number of times Redis runs a command meanwhile, those in scripts included. */
async function timesOf(command: string, act: () => Promise<unknown>): Promise<number> {
  await server.ask(['CONFIG', 'RESETSTAT']);
  await act();
  const stats = String(await server.ask(['INFO', 'commandstats']));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

const FEW = 3 * DEFAULTS.cancelledAtOnce;
const MANY = 4 * FEW;

describe('many tasks of a batch that wait for one session', () => {
  it('costs the same commands for the end of one task, however many wait', async () => {
    const costs: number[] = [];
    for (const count of [FEW, MANY]) {
      const storage = open();
      await batchOfOneSession(storage, count);
      const [held] = await claim(storage);
      if (!held) throw new Error('expected a task to be claimed');
      const { task, token } = held;
      const settlement = { kind: 'completed', result: 1 } as const;
      const settle = { tenantId, taskId: task.task_id, token, settlement };
      costs.push(await commandsOf(() => storage.queue.settle(settle)));
      expect(await claim(storage)).toHaveLength(1);
    }
    // Some commands are sent now and then, such as connection checks.
    const [few = 0, many = Number.POSITIVE_INFINITY] = costs;
    expect(many).toBeLessThan(few + 20);
  });

  it.each([
    [
      'closing the session',
      (storage: Storage) => storage.sessions.close({ tenantId, sessionId: 's', graceMs: 0 }),
    ],
    [
      'cancelling the batch',
      (storage: Storage, batchId: string) =>
        storage.tasks.cancelBatch({ tenantId, batchId, reason: 'enough', graceMs: 0 }),
    ],
  ])('costs the same commands per task for %s, however many wait', async (_, act) => {
    const costs: number[] = [];
    for (const count of [FEW, MANY]) {
      const storage = open();
      const batchId = await batchOfOneSession(storage, count);
      costs.push((await commandsOf(() => act(storage, batchId))) / count);
      expect((await storage.tasks.counts({ tenantId })).counts.cancelled).toBe(count);
    }
    const [few = 0, many = Number.POSITIVE_INFINITY] = costs;
    expect(many).toBeLessThan(1.1 * few);
  });
});

const CALLS = 5 * DEFAULTS.callsAtOnce + 7;
const failure = { code: 'service_error', message: 'down', retryable: true } as const;

/** A running task with many open, or many failed, calls. */
async function taskWithCalls(storage: Storage, ended = false) {
  await storage.tasks.submit({ tenantId, submission: submission(), maxWaiting: 10 });
  const [held] = await claim(storage);
  if (!held) throw new Error('expected a task to be claimed');
  const where = { tenantId, taskId: held.task.task_id };
  for (let n = 0; n < CALLS; n += 1) {
    const call = { callId: randomUUID(), service: 'query', operation: 'q', maxTries: 1, retryDelayMs: 1 };
    const step = { key: `s${n}`, kind: 'call', name: 'q', call: { ...call, silenceMs: 60_000 } } as const;
    const begun = { ...where, token: held.token, journalRev: 2 * CALLS };
    await storage.journal.begin({ ...begun, step, maxSteps: CALLS });
    const answer = { kind: 'outcome', outcome: { ok: false, error: failure } } as const;
    if (ended) await storage.journal.record({ ...begun, key: step.key, callId: call.callId, answer });
  }
  return { ...where, token: held.token };
}

/** For each step of a sweep the number of times it runs a command. */
async function countsPerSweep(storage: Storage, command: string) {
  const counts: number[] = [];
  for (let step = 0; step < 100; step += 1) {
    counts.push(await timesOf(command, () => storage.queue.sweep({ max: 1 })));
    if (counts.at(-1) === 0) return counts.slice(0, -1);
  }
  throw new Error('expected the sweep to come to an end');
}

describe('a task with many calls', () => {
  it.each([
    [
      'it is completed',
      (storage: Storage, where: Awaited<ReturnType<typeof taskWithCalls>>) =>
        storage.queue.settle({ ...where, settlement: { kind: 'completed', result: 1 } }),
    ],
    [
      'it is cancelled while it runs',
      (storage: Storage, where: Awaited<ReturnType<typeof taskWithCalls>>) =>
        storage.tasks.cancel({ ...where, reason: 'enough', graceMs: 60_000 }),
    ],
  ])('notifies the services of at most callsAtOnce calls in one step when %s', async (_, end) => {
    const storage = open();
    const where = await taskWithCalls(storage);
    const first = await timesOf('publish', () => end(storage, where));
    // With the wakeups of the task itself and of its timers.
    expect(first).toBeGreaterThanOrEqual(DEFAULTS.callsAtOnce);
    expect(first).toBeLessThan(DEFAULTS.callsAtOnce + 5);
    const further = await countsPerSweep(storage, 'publish');
    expect(Math.max(...further)).toBeLessThan(DEFAULTS.callsAtOnce + 5);
    expect(further.length).toBe(Math.floor(CALLS / DEFAULTS.callsAtOnce));
  });

  it('drops at most callsAtOnce failed calls in one step, and begins the next attempt once none is left', async () => {
    const storage = open();
    const { taskId, ...lease } = await taskWithCalls(storage, true);
    const retry = { kind: 'retry', error: failure, delayMs: 0 } as const;
    const settle = { tenantId, taskId, token: lease.token, settlement: retry };
    expect(await timesOf('hstrlen', () => storage.queue.settle(settle))).toBe(DEFAULTS.callsAtOnce);
    expect(await claim(storage)).toEqual([]);
    const further = await countsPerSweep(storage, 'hstrlen');
    expect(Math.max(...further)).toBe(DEFAULTS.callsAtOnce);
    expect(further.length).toBe(Math.floor(CALLS / DEFAULTS.callsAtOnce));
    const [again] = await claim(storage);
    expect(again?.steps).toEqual([]);
  });
});

describe('events past their maximum age', () => {
  it.each([
    // The first portion also has the small entry of the task.
    ['large ones', 300_000, Math.ceil(DEFAULTS.pageBytes / 300_000) + 1],
    ['small ones', 10, 400],
  ])('are removed in steps with limits in number and bytes: %s', async (_, bytes, max) => {
    const subject = openStorage(server.url, { limits: { maxEventAgeMs: 1_000 } });
    onTestFinished(() => subject.close());
    const { storage } = subject;
    const { task } = submission();
    await storage.tasks.register({ tenantId, task, maxWaiting: 10 });
    const where = { tenantId, taskId: task.task_id };
    const count = 3 * max + 1;
    for (let n = 0; n < count; n += 1)
      await storage.tasks.progress({ ...where, progress: { message: `${n} ${'x'.repeat(bytes)}` } });
    await subject.advance(1_000);
    const steps = await countsPerSweep(storage, 'xdel');
    expect(Math.max(...steps)).toBe(max);
    expect(steps.reduce((sum, gone) => sum + gone, 0)).toBe(count + 1);
  });
});

const STEPS = 3 * DEFAULTS.callsAtOnce + 5;

/** A dead letter with many successes, and its storage. */
async function deadLetter() {
  const subject = openStorage(server.url);
  onTestFinished(() => subject.close());
  const { storage } = subject;
  await storage.tasks.submit({ tenantId, submission: submission(), maxWaiting: 10 });
  const [held] = await claim(storage);
  if (!held) throw new Error('expected a task to be claimed');
  const where = { tenantId, taskId: held.task.task_id };
  const begun = { ...where, token: held.token, journalRev: STEPS };
  for (let n = 0; n < STEPS; n += 1) {
    const step = { key: `s${n}`, kind: 'run', name: 'run' } as const;
    await storage.journal.begin({ ...begun, step, maxSteps: STEPS });
    const answer = { kind: 'outcome', outcome: { ok: true, value: n } } as const;
    await storage.journal.record({ ...begun, key: step.key, answer });
  }
  await storage.queue.settle({ ...begun, settlement: { kind: 'failed', error: failure } });
  const prefix = `${subject.prefix}:tasks:{${tenantId}}:`;
  const staged = `${prefix}@redrive:${where.taskId}`;
  /** Runs one step, like a process that dies after it. */
  const stage = async () => {
    const constants: Readonly<Record<string, string | number>> = {
      ...DEFAULTS,
      database: 0,
      transitions: TRANSITIONS.map(({ from, to }) => `${from ?? ''}>${to}`).join(' '),
    };
    const text = SCRIPTS.stageJournal.replaceAll(/\$(\w+)/g, (_, name: string) => String(constants[name]));
    const keys = [`${prefix}@meta`, `${subject.prefix}:events:{${tenantId}}`];
    await server.ask(['EVAL', text, '2', ...keys, String(subject.now()), where.taskId]);
  };
  const keysOf = async (name: string) => ((await server.ask(['KEYS', `${name}*`])) as string[]).toSorted();
  return { storage, where, prefix, staged, stage, keysOf };
}

const parts = (name: string) => ['changes', 'outcomes', 'steps'].map((part) => `${name}:${part}`);

describe('a dead letter with many steps', () => {
  it('is copied in portions of callsAtOnce steps', async () => {
    const { storage, where } = await deadLetter();
    const newTaskId = randomUUID();
    const redrive = () => storage.tasks.redrive({ ...where, newTaskId, maxWaiting: 10 });
    // Each portion sets the expiry of the copy again.
    expect((await timesOf('pexpireat', redrive)) / 4).toBe(Math.ceil(STEPS / DEFAULTS.callsAtOnce));
  });

  it('leaves an expiring copy when its process dies, and another process continues the copy', async () => {
    const { storage, where, prefix, staged, stage, keysOf } = await deadLetter();
    await stage();
    expect(await keysOf(staged)).toEqual([staged, ...parts(staged)]);
    const lives = await Promise.all((await keysOf(staged)).map((key) => server.ask(['PTTL', key])));
    for (const life of lives) expect(Number(life)).toBeGreaterThan(0);
    expect(await server.ask(['LLEN', `${staged}:changes`])).toBe(DEFAULTS.callsAtOnce);
    const newTaskId = randomUUID();
    const redrive = () => storage.tasks.redrive({ ...where, newTaskId, maxWaiting: 10 });
    expect(await timesOf('pexpireat', redrive)).toBe(4 * Math.floor(STEPS / DEFAULTS.callsAtOnce));
    expect(await keysOf(staged)).toEqual([]);
    for (const key of parts(`${prefix}${newTaskId}`)) expect(await server.ask(['PTTL', key])).toBe(-1);
    const [again] = await claim(storage);
    expect(again?.steps.map(({ rev }) => rev)).toEqual(Array.from({ length: STEPS }, (_, n) => n + 1));
  });

  it('is copied again after a copy has expired', async () => {
    const { storage, where, staged, stage, keysOf } = await deadLetter();
    await stage();
    await server.ask(['UNLINK', ...(await keysOf(staged))]);
    const newTaskId = randomUUID();
    await storage.tasks.redrive({ ...where, newTaskId, maxWaiting: 10 });
    expect((await claim(storage))[0]?.steps).toHaveLength(STEPS);
  });
});

describe('a batch that interrupts sessions', () => {
  it('takes more steps the more calls have to end', async () => {
    const subject = openStorage(server.url);
    onTestFinished(() => subject.close());
    const t = new CaseTools(subject, systemRandom);
    const SESSIONS = 10;
    for (let n = 0; n < SESSIONS; n += 1) {
      await t.submit({ session_id: `s-${n}` });
      const claim = await t.claimOne();
      await Promise.all(Array.from({ length: DEFAULTS.callsAtOnce }, () => t.begin(claim, t.callStep())));
      await t.settle(claim, { kind: 'parked', journalRev: 1_000_000 });
    }
    const items = Array.from({ length: SESSIONS }, (_, n) =>
      t.submission({ session_id: `s-${n}` }, { onBusy: 'interrupt' }),
    );
    const batch = { batchId: t.id(), maxInFlight: SESSIONS, failFast: false, items };
    await server.ask(['CONFIG', 'RESETSTAT']);
    await subject.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 1_000 });
    const stats = String(await server.ask(['INFO', 'commandstats']));
    const scripts = [...stats.matchAll(/cmdstat_evalsha:calls=(\d+)/g)].map(([, calls]) => Number(calls));
    // A step ends the calls of at most two of them; further scripts stage, submit and read the batch.
    expect(scripts[0]).toBeGreaterThanOrEqual(SESSIONS / 2);
  });
});
