import { randomUUID } from 'node:crypto';
import type { Claim, Settlement } from '@agent-orchestrator/core/storage';
import { askRedis, sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openStorage } from './storage-under-test.js';

const tenantId = 'acme';
const DAY_MS = 24 * 60 * 60_000;
const LARGE = 'x'.repeat(10_000);
const failure = { code: 'service_error', message: 'down', retryable: true } as const;

async function open() {
  const { url } = await sharedRedis();
  const subject = openStorage(url, { limits: { callsAtOnce: 1 } });
  onTestFinished(() => subject.close());
  const meta = `${subject.prefix}:tasks:{${tenantId}}:@meta`;
  const stored = async () => Number(await askRedis(Number(new URL(url).port), ['HGET', meta, 'stored']));
  return { ...subject, stored };
}

type Opened = Awaited<ReturnType<typeof open>>;

function submission(more = {}) {
  const task = { task_id: randomUUID(), type: 'work', priority: 4, payload: { a: 1 }, metadata: {} };
  return { task: { ...task, timeoutMs: 60_000, maxAttempts: 5, ...more }, onBusy: 'enqueue' as const };
}

async function claim({ storage }: Opened): Promise<Claim> {
  const runs = [{ type: 'work', versions: [1] }];
  const [found] = await storage.queue.claim({
    workerId: 'w',
    claimId: randomUUID(),
    max: 1,
    runs,
    leaseMs: 30_000,
  });
  if (!found) throw new Error('expected a task to be claimed');
  return found;
}

async function leased(on: Opened, more = {}): Promise<Claim> {
  await on.storage.tasks.submit({ tenantId, submission: submission(more), maxWaiting: 1_000 });
  return claim(on);
}

const where = ({ task, token }: Claim) => ({ tenantId, taskId: task.task_id, token });

async function ran({ storage }: Opened, held: Claim, key: string, ok: boolean): Promise<void> {
  const step = { key, kind: 'run', name: 'run' } as const;
  const outcome = ok ? ({ ok, value: LARGE } as const) : ({ ok, error: failure } as const);
  await storage.journal.begin({ ...where(held), journalRev: 0, step, maxSteps: 100 });
  await storage.journal.record({ ...where(held), journalRev: 0, key, answer: { kind: 'outcome', outcome } });
}

const settle = ({ storage }: Opened, held: Claim, settlement: Settlement) =>
  storage.queue.settle({ ...where(held), settlement });

/**
 * A task with everything that may be stored with one: successful and failed steps, signals, attempts, and a
 * diagnostic.
 */
async function failedTask(on: Opened): Promise<Claim> {
  const { storage } = on;
  const first = await leased(on, { session_id: 's', maxAttempts: 2 });
  await ran(on, first, 'good', true);
  await ran(on, first, 'bad', false);
  await ran(on, first, 'worse', false);
  for (const name of ['read', 'unread'])
    await storage.tasks.signal({
      tenantId,
      taskId: first.task.task_id,
      name,
      payload: LARGE,
      signalId: name,
    });
  const step = { key: 'signal', kind: 'signal', name: 'read', signal: 'read' } as const;
  await storage.journal.begin({ ...where(first), journalRev: 0, step, maxSteps: 100 });
  await settle(on, first, { kind: 'retry', error: failure, delayMs: 1 });
  await on.advance(10);
  await storage.queue.sweep({ max: 100 });
  const second = await claim(on);
  await settle(on, second, {
    kind: 'failed',
    error: failure,
    diagnostic: { message: LARGE },
  });
  return second;
}

/** Sessions, batches, fast tasks with small and large results, registered and redriven ones. */
async function fill(on: Opened): Promise<void> {
  const { storage } = on;
  await storage.sessions.create({ tenantId, sessionId: 's', context: { text: LARGE } });
  await storage.sessions.update({ tenantId, sessionId: 's', context: { text: 'short' } });
  for (let n = 0; n < 205; n += 1) {
    const message = { message_id: `m-${n}`, role: 'user' as const, content: `${n} ${LARGE.slice(n)}` };
    await storage.sessions.append({ tenantId, sessionId: 's', message });
  }
  const dead = await failedTask(on);
  const redrive = { tenantId, taskId: dead.task.task_id, newTaskId: randomUUID(), maxWaiting: 100 };
  await storage.tasks.redrive(redrive);
  await settle(on, await claim(on), { kind: 'completed', result: LARGE });
  const items = [submission(), submission({ payload: LARGE }), submission({ session_id: 't' })];
  for (const some of [items.slice(0, 2), items])
    await storage.tasks.submitBatch({
      tenantId,
      batch: {
        batchId: randomUUID(),
        maxInFlight: 1,
        failFast: false,
        items: some.map((one) => ({ ...one, task: { ...one.task, task_id: randomUUID() } })),
      },
      maxWaiting: 100,
    });
  await settle(on, await claim(on), { kind: 'completed', result: 'small' });
  await settle(on, await leased(on, { payload: LARGE, priority: 9 }), { kind: 'completed', result: LARGE });
  await settle(on, await leased(on, { priority: 9 }), { kind: 'failed', error: failure });
  await storage.tasks.register({ tenantId, task: submission().task, maxWaiting: 100 });
}

describe('stored bytes of a tenant', () => {
  it('are counted exactly: once all but one task is removed, they are the bytes of that one', async () => {
    const on = await open();
    const { task } = submission({ runAt: on.now() + 60 * DAY_MS, payload: LARGE });
    await on.storage.tasks.submit({ tenantId, submission: { task, onBusy: 'enqueue' }, maxWaiting: 1 });
    const bytes = await on.stored();
    expect(bytes).toBeGreaterThan(LARGE.length);
    await fill(on);
    expect(await on.stored()).toBeGreaterThan(200 * LARGE.length * 0.9);
    for (let day = 0; day < 20; day += 1) {
      await on.advance(DAY_MS);
      await on.storage.queue.sweep({ max: 10_000 });
    }
    const { tasks } = await on.storage.tasks.list({ tenantId, filter: {}, limit: 10 });
    expect(tasks).toMatchObject([{ task_id: task.task_id, status: 'pending' }]);
    expect(await on.storage.sessions.get({ tenantId, sessionId: 's' })).toBeUndefined();
    expect(await on.stored()).toBe(bytes);
  });
});
