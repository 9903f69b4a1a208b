import { randomUUID } from 'node:crypto';
import { type Storage } from '@agent-orchestrator/core';
import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import { type BatchSubmission, type Submission } from '@agent-orchestrator/core/storage';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { FaultyProxy, RedisServer } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { scriptDigest, type ScriptName } from './script-digests.js';
import { storedKeys } from './stored-keys.js';

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

const tenantId = 'acme';
/** More than two portions: three steps create them. */
const MANY = 2 * DEFAULTS.cancelledAtOnce + 30;
const SESSIONS = 3;
const A_WEEK_MS = 7 * 24 * 60 * 60_000;
const error = { code: 'workflow_error', message: 'bad', retryable: false } as const;
const failure = { code: 'service_error', message: 'down', retryable: false } as const;

class ManualClock {
  #now = Date.parse('2026-01-31T10:00:00.000Z');
  now = () => this.#now;
  monotonic = () => this.#now;
  after = () => () => undefined;
  advance(ms: number) {
    this.#now += ms;
  }
}

const task = (more: Partial<Submission['task']> = {}): Submission => ({
  task: {
    ...{ task_id: randomUUID(), type: 'work', priority: 4, payload: 'x'.repeat(100), metadata: {} },
    ...{ timeoutMs: A_WEEK_MS, maxAttempts: 5, ...more },
  },
  onBusy: 'enqueue',
});

/** Tasks of some sessions, and one item that is an error. */
function batchOf(more: Partial<BatchSubmission> = {}): BatchSubmission {
  const items = Array.from({ length: MANY }, (_, at) =>
    at === 9 ? { error } : task({ session_id: `s-${at % SESSIONS}` }),
  );
  return { batchId: randomUUID(), maxInFlight: MANY, failFast: false, items, ...more };
}

/** A batch whose submitter dies right after a step, and another process. */
async function leftAfter(
  script: ScriptName,
  more: Partial<BatchSubmission> = {},
  prepare: (storage: Storage) => Promise<void> = async () => undefined,
) {
  const prefix = `staged-${randomUUID().slice(0, 8)}`;
  const clock = new ManualClock();
  const proxy = await FaultyProxy.start(redis.port);
  const dying = RedisStorage.connect(proxy.url, { prefix, clock, commandTimeoutMs: 1_000 });
  const other = RedisStorage.connect(redis.url, { prefix, clock });
  onTestFinished(() => other.close());
  await dying.tasks.counts({ tenantId });
  // From now on Redis knows the scripts: the first reply to each is its answer.
  const before = { tenantId: 'before', batch: batchOf() };
  await other.tasks.submitBatch({ ...before, maxWaiting: 1_000 });
  const { batchId } = before.batch;
  await other.tasks.cancelBatch({ tenantId: 'before', batchId, reason: 'known', graceMs: 0 });
  await prepare(other);
  const params = {
    ...{ tenantId, batch: batchOf(more), maxWaiting: 1_000 },
    idempotency: { key: 'k', fingerprint: 'f' },
  };
  // No connection after the broken one.
  proxy.refuse();
  proxy.loseReply({ to: await scriptDigest(script) });
  await expect(dying.tasks.submitBatch(params)).rejects.toMatchObject({ code: 'storage_unavailable' });
  expect(proxy.counters.cutReplies).toBe(1);
  await dying.close();
  await proxy[Symbol.asyncDispose]();
  return { prefix, clock, other, params, batchId: params.batch.batchId };
}

type Left = Awaited<ReturnType<typeof leftAfter>>;

const countsOf = async (storage: Storage) => (await storage.tasks.counts({ tenantId })).counts;

const meta = ({ prefix }: Left, field: string) =>
  redis.ask(['HGET', `${prefix}:tasks:{${tenantId}}:@meta`, field]);

const keysOf = async ({ prefix }: Left) =>
  Object.keys(await storedKeys(redis, prefix)).filter(
    (key) => key.includes(`{${tenantId}}`) && !key.includes('@key:'),
  );

async function passes({ clock, other }: Left, ms: number): Promise<void> {
  clock.advance(ms);
  await other.queue.sweep({ max: 100_000 });
}

async function claim({ other }: Left, max = 1) {
  const runs = [{ type: 'work', versions: [1] }];
  return other.queue.claim({ workerId: 'w', claimId: randomUUID(), max, runs, leaseMs: A_WEEK_MS });
}

/** All staged items are created, each once, and the staging area is empty. */
async function expectAll(left: Left): Promise<void> {
  const { items } = left.params.batch;
  expect((await keysOf(left)).filter((key) => key.endsWith(':staged'))).toEqual([]);
  expect(await meta(left, 'staged')).toBe('0');
  const found = await left.other.tasks.getBatch({ tenantId, batchId: left.batchId });
  expect(found?.items.map(({ task_id, error: why }) => task_id ?? why)).toEqual(
    items.map((item) => ('task' in item ? item.task.task_id : item.error)),
  );
  const [epoch] = (await left.other.events.head({ tenantId })).split(':');
  const read = await left.other.events.read({ tenantId, after: `${epoch}:0`, limit: 1_000 });
  if (!('events' in read)) throw new Error('expected events');
  expect(read.events.filter(({ event }) => event === 'task_created')).toHaveLength(MANY - 1);
}

/** In the end no key and no counter is left. */
async function expectNoKeysInTheEnd(left: Left): Promise<void> {
  await left.other.tasks.cancelBatch({ tenantId, batchId: left.batchId, reason: 'enough', graceMs: 0 });
  for (let week = 0; week < 4; week += 1) await passes(left, A_WEEK_MS);
  expect(await keysOf(left)).toEqual([]);
}

/** A task of the session that waits for as many jobs as a step may end calls. */
async function parkWithCalls(storage: Storage, session_id: string): Promise<void> {
  await storage.tasks.submit({ tenantId, submission: task({ session_id }), maxWaiting: 1_000 });
  const runs = [{ type: 'work', versions: [1] }];
  const claims = { workerId: 'w', claimId: randomUUID(), max: 1, runs, leaseMs: A_WEEK_MS };
  const [held] = await storage.queue.claim(claims);
  if (!held) throw new Error('expected a task to be claimed');
  const { callsAtOnce } = DEFAULTS;
  const begun = { tenantId, taskId: held.task.task_id, token: held.token, journalRev: callsAtOnce };
  for (let n = 0; n < callsAtOnce; n += 1) {
    const call = { callId: randomUUID(), service: 'query', operation: 'q', maxTries: 1, retryDelayMs: 1 };
    const step = { key: `s${n}`, kind: 'call', name: 'q', call: { ...call, silenceMs: A_WEEK_MS } } as const;
    await storage.journal.begin({ ...begun, step, maxSteps: callsAtOnce });
  }
  await storage.queue.settle({ ...begun, settlement: { kind: 'parked', journalRev: callsAtOnce } });
}

const CREATING: readonly ScriptName[] = ['submitBatch', 'createStaged'];

describe('a batch whose submitter dies', () => {
  it('does not exist before all its items are staged: they expire, and the batch may be submitted again', async () => {
    const left = await leftAfter('stageBatch');
    const { other, batchId, prefix, params } = left;
    expect(await other.tasks.getBatch({ tenantId, batchId })).toBeUndefined();
    const [staged, ...more] = await keysOf(left);
    expect([staged?.endsWith(':staged'), more]).toEqual([true, []]);
    expect(Number(await redis.ask(['PTTL', `${prefix}${staged}`]))).toBeGreaterThan(0);
    expect(await other.tasks.submitBatch(params)).toMatchObject({ answer: 'submitted' });
    await expectAll(left);
    await expectNoKeysInTheEnd(left);
  });

  it('is replayed when submitted again under another id, and leaves no keys', async () => {
    const left = await leftAfter('submitBatch');
    const again = { ...left.params, batch: { ...left.params.batch, batchId: randomUUID() } };
    const answer = await left.other.tasks.submitBatch(again);
    expect(answer).toMatchObject({ answer: 'replayed', batch: { batch_id: left.batchId } });
    await expectAll(left);
  });

  it('stages the rest of an interrupting batch that exceeds the budget of a step', async () => {
    const sessions = Array.from({ length: 6 }, (_, at) => `busy-${at}`);
    const items = sessions.map((session_id) => ({ ...task({ session_id }), onBusy: 'interrupt' as const }));
    const left = await leftAfter('submitBatch', { items }, async (storage) => {
      for (const session of sessions) await parkWithCalls(storage, session);
    });
    const cancelled = async () => (await countsOf(left.other)).cancelled;
    // The calls of two are more than one step may end.
    expect([await cancelled(), await meta(left, 'staged')]).toEqual([2, '4']);
    expect(Number(await meta(left, 'stored'))).toBeGreaterThan(0);
    await passes(left, 1_000);
    expect([await cancelled(), await meta(left, 'staged')]).toEqual([6, '0']);
    const found = await left.other.tasks.getBatch({ tenantId, batchId: left.batchId });
    expect(found?.items.map(({ task_id, status }) => `${task_id} ${status}`)).toEqual(
      items.map((item) => `${item.task.task_id} pending`),
    );
    await expectNoKeysInTheEnd(left);
  });

  it('has an error for a deleted staged item, and all other items', async () => {
    const left = await leftAfter('submitBatch');
    const lost = MANY - 2;
    const staged = `${left.prefix}:tasks:{${tenantId}}:@batch:${left.batchId}:staged`;
    expect(await redis.ask(['HDEL', staged, String(lost + 1)])).toBe(1);
    const found = await left.other.tasks.getBatch({ tenantId, batchId: left.batchId });
    expect(found?.items[lost]).toMatchObject({
      status: 'failed',
      error: { code: 'internal_error', message: 'the item was lost', retryable: true },
    });
    expect(found?.counts).toMatchObject({ pending: MANY - 2, failed: 2 });
    expect(await meta(left, 'staged')).toBe('0');
    await expectNoKeysInTheEnd(left);
  });

  describe.each(CREATING)('after %s', (script) => {
    it('is created by the sweeper of another process', async () => {
      const left = await leftAfter(script);
      expect(await meta(left, 'staged')).not.toBe('0');
      await passes(left, 999);
      expect(await meta(left, 'staged')).not.toBe('0');
      await passes(left, 1);
      expect(await meta(left, 'staged')).toBe('0');
      await expectAll(left);
      await expectNoKeysInTheEnd(left);
    });

    it('is complete for a reader', async () => {
      const left = await leftAfter(script);
      const found = await left.other.tasks.getBatch({ tenantId, batchId: left.batchId });
      expect(found?.counts).toMatchObject({ pending: MANY - 1, failed: 1 });
      await expectAll(left);
      await passes(left, 5_000);
      await expectAll(left);
    });

    it('is created once by concurrent processes', async () => {
      const left = await leftAfter(script);
      const where = { tenantId, batchId: left.batchId };
      left.clock.advance(5_000);
      await Promise.all([
        left.other.tasks.getBatch(where),
        left.other.queue.sweep({ max: 1_000 }),
        left.other.tasks.submitBatch(left.params),
        left.other.tasks.getBatch(where),
      ]);
      await expectAll(left);
    });

    it('is cancelled as a whole', async () => {
      const left = await leftAfter(script);
      const cancel = { tenantId, batchId: left.batchId, reason: 'enough', graceMs: 0 };
      const cancelled = await left.other.tasks.cancelBatch(cancel);
      expect(cancelled?.counts).toMatchObject({ pending: 0, cancelled: MANY - 1 });
      await expectAll(left);
      expect(await claim(left, 100)).toEqual([]);
      await expectNoKeysInTheEnd(left);
    });

    it('is cancelled as a whole when the cancelling process dies too', async () => {
      const left = await leftAfter(script);
      const cancel = { tenantId, batchId: left.batchId, reason: 'enough', graceMs: 0 };
      const signal = AbortSignal.abort();
      await left.other.tasks.cancelBatch({ ...cancel, signal });
      for (let second = 0; second < 3; second += 1) await passes(left, 1_000);
      expect(await countsOf(left.other)).toMatchObject({ pending: 0, cancelled: MANY - 1 });
      await expectAll(left);
    });

    it('ends with its first failure when failFast is set', async () => {
      const left = await leftAfter(script, { failFast: true, maxInFlight: 1 });
      const [first] = await claim(left);
      if (!first) throw new Error('expected a task to be claimed');
      const where = { tenantId, taskId: first.task.task_id, token: first.token };
      await left.other.queue.settle({ ...where, settlement: { kind: 'failed', error: failure } });
      expect(await claim(left, 100)).toEqual([]);
      for (let second = 0; second < 3; second += 1) await passes(left, 1_000);
      expect(await countsOf(left.other)).toMatchObject({ pending: 0, failed: 1, cancelled: MANY - 2 });
      await expectAll(left);
    });

    it('counts all its items as waiting from the first step on', async () => {
      const left = await leftAfter(script);
      for (const more of [{}, { session_id: 'other' }, { timeoutMs: 60_000 }]) {
        const submission = task(more);
        const submit = (maxWaiting: number) => left.other.tasks.submit({ tenantId, submission, maxWaiting });
        expect(await submit(MANY - 1)).toMatchObject({ answer: 'queue_full' });
      }
      const batch = batchOf({ items: [task(), task()] });
      const full = await left.other.tasks.submitBatch({ tenantId, batch, maxWaiting: MANY });
      expect(full).toMatchObject({ answer: 'queue_full' });
      expect(await left.other.tasks.submit({ tenantId, submission: task(), maxWaiting: MANY })).toMatchObject(
        { answer: 'submitted' },
      );
    });

    it('refuses items whose session was closed meanwhile', async () => {
      const left = await leftAfter(script);
      await left.other.sessions.close({ tenantId, sessionId: 's-1', graceMs: 0 });
      await passes(left, 1_000);
      const found = await left.other.tasks.getBatch({ tenantId, batchId: left.batchId });
      const ofSession = found?.items.filter((_, at) => at % SESSIONS === 1) ?? [];
      const ends = ofSession.map(({ status, error: why }) => `${status} ${why?.code}`);
      expect(new Set(ends)).toEqual(new Set(['cancelled cancelled', 'failed session_closed']));
      expect(found?.counts.pending).toBe(MANY - 1 - ofSession.length);
      expect(await meta(left, 'staged')).toBe('0');
      await expectNoKeysInTheEnd(left);
    });

    it('keeps its order within each session', async () => {
      const left = await leftAfter(script);
      await passes(left, 1_000);
      const order: string[] = [];
      for (;;) {
        const [next] = await claim(left);
        if (!next) break;
        order.push(next.task.task_id);
        const where = { tenantId, taskId: next.task.task_id, token: next.token };
        await left.other.queue.settle({ ...where, settlement: { kind: 'completed', result: 1 } });
      }
      const ids = left.params.batch.items.map((item) => ('task' in item ? item.task.task_id : ''));
      for (let session = 0; session < SESSIONS; session += 1) {
        const own = new Set(ids.filter((id, at) => id !== '' && at % SESSIONS === session));
        expect(order.filter((id) => own.has(id))).toEqual([...own]);
      }
      expect(order).toHaveLength(MANY - 1);
    });
  });
});
