import { getHeapStatistics } from 'node:v8';
import { beforeEach, describe, expect, it } from 'vitest';
import { type JsonValue, MemoryStorage, Orchestrator } from '../src/index.js';
import { type NewTask } from '../src/storage/index.js';
import type { EngineGate } from '../src/engine/engine-gate.js';
import type { EngineState } from '../src/engine/engine-state.js';
import { keepJson, KeptText, readJson } from '../src/engine/kept-json.js';
import fc from 'fast-check';

const MAX = 1_000_000;
const HOUR_MS = 3_600_000;
let now: number;
let storage: MemoryStorage;
let made: number;

beforeEach(() => {
  now = Date.parse('2026-01-01');
  made = 0;
  storage = new MemoryStorage({
    clock: { now: () => now, monotonic: () => now, after: () => () => {} },
    limits: { maxStoredBytes: MAX, retentionMs: HOUR_MS, maxEventBytes: MAX },
  });
});

function task(payload: JsonValue): NewTask {
  made += 1;
  return {
    task_id: `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`,
    type: 't',
    priority: 4,
    timeoutMs: HOUR_MS,
    maxAttempts: 1,
    metadata: {},
    payload,
  };
}

const submit = (payload: JsonValue, tenantId = 'acme') =>
  storage.tasks.submit({
    tenantId,
    submission: { task: task(payload), onBusy: 'enqueue' },
    idempotency: undefined,
    maxWaiting: 10_000,
  } as never);

/** What it has inside. */
function stateOf(of: MemoryStorage): EngineState {
  return (of as unknown as { readonly gate: EngineGate }).gate.engine.state;
}

async function sweepAll(): Promise<void> {
  let done = 1;
  while (done > 0) done = Object.keys((await storage.queue.sweep({ max: 1_000 })).done).length;
}

/** Values whose text has 100,000 bytes: one string, many arrays, many numbers, another alphabet. */
const LARGE: readonly (readonly [string, JsonValue])[] = [
  ['a string', 'x'.repeat(99_998)],
  ['arrays', Array.from({ length: 33_333 }, () => [])],
  ['numbers', Array.from({ length: 50_000 }).fill(7) as number[]],
  ['another alphabet', 'д'.repeat(49_999)],
  ['objects', Array.from({ length: 12_500 }, () => ({ a: 1 }))],
];

describe('the stored bytes of a tenant in memory', () => {
  it.each(LARGE)('are refused above the limit: %s', async (_, payload) => {
    let taken = 0;
    while ((await submit(payload)).answer === 'submitted') taken += 1;
    expect((await submit(payload)).answer).toBe('queue_full');
    expect((await submit(payload, 'other')).answer).toBe('submitted');
    // As many as fit, and the one with which the limit was reached.
    expect(taken).toBe(Math.ceil(MAX / Buffer.byteLength(JSON.stringify(payload))));
  });

  it('include results and journals, and are freed at their removal', async () => {
    const large = 'y'.repeat(300_000);
    for (let i = 0; i < 2; i += 1) await submit({ i });
    await storage.workers.announce({ workerId: 'w', runs: [{ type: 't', versions: [1] }] });
    const claims = await storage.queue.claim({
      workerId: 'w',
      runs: [{ type: 't', versions: [1] }],
      max: 2,
      leaseMs: HOUR_MS,
      claimId: crypto.randomUUID(),
    });
    expect(claims).toHaveLength(2);
    for (const {
      task: { tenant_id: tenantId, task_id },
      token,
    } of claims) {
      const step = { key: 's', kind: 'run', name: 's' };
      await storage.journal.begin({
        tenantId,
        taskId: task_id,
        token,
        journalRev: 0,
        maxSteps: 10,
        step,
      } as never);
      const answer = { kind: 'outcome', outcome: { ok: true, value: large } };
      await storage.journal.record({
        tenantId,
        taskId: task_id,
        token,
        journalRev: 0,
        key: 's',
        answer,
      } as never);
      const settlement = { kind: 'completed', result: large } as const;
      await storage.queue.settle({ tenantId, taskId: task_id, token, settlement });
    }
    expect((await submit(1)).answer).toBe('queue_full');
    const [first] = claims;
    const kept = await storage.tasks.get({ tenantId: 'acme', taskId: first?.task.task_id ?? '' });
    expect(kept?.task).toMatchObject({ status: 'completed', result: large });
    now += HOUR_MS + 1;
    await sweepAll();
    expect((await submit(1)).answer).toBe('submitted');
  });

  it('may be exceeded by a batch, once', async () => {
    const items = Array.from({ length: 20 }, () => ({ task: task('z'.repeat(100_000)), onBusy: 'enqueue' }));
    const batch = () => ({ batchId: crypto.randomUUID(), items, maxInFlight: 100, failFast: false });
    const send = () =>
      storage.tasks.submitBatch({ tenantId: 'acme', batch: batch(), maxWaiting: 1_000 } as never);
    expect((await send()).answer).toBe('submitted');
    expect((await send()).answer).toBe('queue_full');
  });
});

describe('the stored bytes of all tenants in memory', () => {
  it('have a common limit, and are freed', async () => {
    storage = new MemoryStorage({
      clock: { now: () => now, monotonic: () => now, after: () => () => {} },
      limits: { maxStoredBytes: MAX, maxStoredBytesInAll: 2 * MAX, retentionMs: HOUR_MS },
    });
    const part = 'x'.repeat(MAX / 2);
    const answers = async (tenants: readonly string[]) => {
      const all: string[] = [];
      for (const tenantId of tenants) all.push((await submit(part, tenantId)).answer);
      return all;
    };
    const tenants = ['a', 'a', 'b', 'b', 'c', 'd'];
    expect(await answers(tenants)).toEqual([
      ...Array<string>(4).fill('submitted'),
      'queue_full',
      'queue_full',
    ]);
    now += HOUR_MS + 1;
    await storage.queue.sweep({ max: 100 });
    now += 15 * 24 * HOUR_MS;
    await storage.queue.sweep({ max: 100 });
    expect(await answers(['c'])).toEqual(['submitted']);
  });

  it('leave no room for large outcomes far beyond it: their tasks fail, small ones are kept', async () => {
    storage = new MemoryStorage({ limits: { maxStoredBytes: 2 * MAX, maxStoredBytesInAll: MAX } });
    const large = 'x'.repeat(MAX / 8);
    const state = stateOf(storage);
    const orchestrator = new Orchestrator({ storage });
    orchestrator.workflow('large', () => large);
    orchestrator.workflow('step', (ctx) => ctx.run('work', () => large));
    orchestrator.workflow('small', () => 'small');
    for (let n = 0; n < 8; n += 1) expect((await submit(large, 'other')).answer).toBe('submitted');
    const acme = orchestrator.tenant('acme');
    const tasks = [];
    // Taken on while there is room.
    const all = state.limits as { maxStoredBytesInAll: number };
    all.maxStoredBytesInAll = 10 * MAX;
    for (const type of ['large', 'large', 'large', 'step', 'small'])
      tasks.push(await acme.tasks.submit({ type }));
    all.maxStoredBytesInAll = MAX;
    await orchestrator.start();
    const ends = [];
    for (const { task_id } of tasks) ends.push(await acme.tasks.wait(task_id));
    await orchestrator.stop({ graceMs: 0 });
    expect(ends.filter(({ status }) => status === 'completed').map(({ type }) => type)).toContain('small');
    const failed = ends.filter(({ status }) => status === 'failed');
    expect(failed.length).toBeGreaterThanOrEqual(2);
    for (const { error } of failed)
      expect(error).toMatchObject({ code: 'result_too_large', retryable: false });
    const held = ['acme', 'other'].map((tenantId) => state.lookUp(tenantId).storedBytes);
    expect(Math.max(...held) + Math.min(...held)).toBeLessThan(1.25 * MAX + 5 * 1_024);
  });

  it('leave a tenant its share, however much the others hold', async () => {
    storage = new MemoryStorage({ limits: { maxStoredBytes: 10 * MAX, maxStoredBytesInAll: MAX } });
    const state = stateOf(storage);
    const orchestrator = new Orchestrator({ storage });
    // Two of these are less than an eighth of the limit, three are more.
    const large = 'x'.repeat(MAX / 20);
    orchestrator.workflow('large', () => large);
    orchestrator.workflow('step', async (ctx) => (await ctx.run('work', () => large)).length);
    // Taken on while there is room.
    const all = state.limits as { maxStoredBytesInAll: number };
    all.maxStoredBytesInAll = 10 * MAX;
    for (let n = 0; n < 13; n += 1)
      expect((await submit('x'.repeat(MAX / 10), 'hog')).answer).toBe('submitted');
    const tasks = [];
    for (const type of ['large', 'step', 'large'])
      for (const tenantId of ['acme', 'hog'])
        tasks.push({ tenantId, ...(await orchestrator.tenant(tenantId).tasks.submit({ type })).task });
    all.maxStoredBytesInAll = MAX;
    await orchestrator.start();
    const ends = { acme: [] as string[], hog: [] as string[] };
    for (const { tenantId, task_id } of tasks) {
      const { status, error } = await orchestrator.tenant(tenantId).tasks.wait(task_id);
      ends[tenantId as keyof typeof ends].push(error?.code ?? status);
    }
    await orchestrator.stop({ graceMs: 0 });
    expect(ends.acme.toSorted()).toEqual(['completed', 'completed', 'result_too_large']);
    expect(ends.hog).toEqual(Array(3).fill('result_too_large'));
    expect(state.lookUp('acme').storedBytes).toBeLessThanOrEqual(MAX / 8 + 1_024);
  });

  it('fit into the heap limit of the process', async () => {
    const { limits } = (new MemoryStorage() as unknown as { readonly gate: EngineGate }).gate.engine.state;
    const heap = getHeapStatistics().heap_size_limit;
    expect(limits.maxStoredBytes).toBeLessThanOrEqual(heap / 4);
    expect(limits.maxStoredBytesInAll).toBeLessThanOrEqual(heap / 2);
  });
});

describe('what sessions and signals store in memory', () => {
  const text = 'x'.repeat(99_990);
  const inSession = (sessionId: string) => ({ tenantId: 'acme', sessionId });
  /** How often it may be done, and what comes then. */
  async function untilRefused(act: (n: number) => Promise<{ answer: string }>): Promise<[number, string]> {
    for (let n = 0; n < 100; n += 1) {
      const { answer } = await act(n);
      if (answer === 'queue_full') return [n, answer];
    }
    return [100, 'never refused'];
  }

  it('count contexts after each change', async () => {
    const { sessions } = storage;
    const create = (n: number) => sessions.create({ ...inSession(`s${n}`), context: { text } });
    expect(await untilRefused(create)).toEqual([10, 'queue_full']);
    expect((await sessions.update({ ...inSession('s0'), context: { a: 1 } })).answer).toBe('queue_full');
    expect((await sessions.update({ ...inSession('s0'), agentId: 'a' })).answer).toBe('updated');
    expect((await sessions.create({ ...inSession('s1'), context: {} })).answer).toBe('exists');
  });

  it('count a replaced context once', async () => {
    const { sessions } = storage;
    await sessions.create({ ...inSession('s'), context: {} });
    for (let n = 0; n < 30; n += 1)
      expect((await sessions.update({ ...inSession('s'), context: { text: `${text}${n}` } })).answer).toBe(
        'updated',
      );
    const found = await sessions.get(inSession('s'));
    expect(found?.session.context).toEqual({ text: `${text}29` });
  });

  it('count kept messages', async () => {
    const { sessions } = storage;
    await sessions.create({ ...inSession('s'), context: {} });
    const append = (n: number) =>
      sessions.append({ ...inSession('s'), message: { message_id: `m${n}`, role: 'user', content: text } });
    expect(await untilRefused(append)).toEqual([11, 'queue_full']);
    expect((await append(0)).answer).toBe('known');
  });

  it('are freed when a session is removed', async () => {
    const { sessions } = storage;
    const create = (n: number) => sessions.create({ ...inSession(`s${n}`), context: { text } });
    await untilRefused(create);
    // Idle sessions are closed after a day, and removed after another one.
    for (let day = 0; day < 3; day += 1) {
      now += 25 * HOUR_MS;
      await sweepAll();
    }
    expect(await untilRefused(create)).toEqual([10, 'queue_full']);
  });

  it('count pending signals', async () => {
    await submit(1);
    const taskId = '00000000-0000-4000-8000-000000000001';
    const signal = (n: number) =>
      storage.tasks.signal({ tenantId: 'acme', taskId, name: 'go', payload: text, signalId: `g${n}` });
    expect(await untilRefused(signal)).toEqual([11, 'queue_full']);
  });
});

describe('tenants in memory', () => {
  const tenantsOf = () => storage.tenants.list({ limit: 100 });

  it('are not created by lookups', async () => {
    const tenantId = 'unheard';
    const [taskId, sessionId, batchId] = [crypto.randomUUID(), 's', crypto.randomUUID()];
    await storage.tasks.get({ tenantId, taskId });
    await storage.tasks.counts({ tenantId });
    await storage.tasks.list({ tenantId, filter: {}, limit: 10 });
    await storage.tasks.getBatch({ tenantId, batchId });
    await storage.tasks.cancel({ tenantId, taskId, reason: 'r', graceMs: 1 });
    await storage.sessions.get({ tenantId, sessionId });
    await storage.sessions.messages({ tenantId, sessionId, limit: 1 });
    const body = { kind: 'outcome', outcome: { ok: true, value: 1 } } as const;
    await storage.journal.report({ tenantId, service: 'query', jobId: 'j', body });
    const head = await storage.events.head({ tenantId });
    await storage.events.read({ tenantId, after: head, limit: 1 });
    expect(stateOf(storage).tenants.size).toBe(0);
  });

  it('are dropped when empty, and start a new log when they return', async () => {
    await submit(1);
    await submit(1, 'other');
    const before = await storage.events.head({ tenantId: 'acme' });
    await storage.tenants.configure({ tenantId: 'other', weight: 2 });
    // The task times out, is kept as a dead letter for 14 days, and its events for one.
    for (let day = 0; day < 20; day += 1) {
      now += 24 * HOUR_MS;
      await sweepAll();
    }
    expect([...stateOf(storage).tenants.after(undefined)].map(({ tenantId }) => tenantId)).toEqual(['other']);
    expect((await tenantsOf()).tenants.map(({ tenantId }) => tenantId)).toEqual(['other']);
    await submit(1);
    const page = await storage.events.read({ tenantId: 'acme', after: before, limit: 10 });
    expect(page.gap).toBeDefined();
    expect(page.events).toHaveLength(1);
  });

  it('leave the logs of others unchanged, also of those never created', async () => {
    const before = await storage.events.head({ tenantId: 'later' });
    await submit(1);
    for (let day = 0; day < 20; day += 1) {
      now += 24 * HOUR_MS;
      await sweepAll();
    }
    expect(stateOf(storage).tenants.size).toBe(0);
    await submit(1, 'later');
    const { gap, events } = await storage.events.read({ tenantId: 'later', after: before, limit: 10 });
    expect(gap).toBeUndefined();
    expect(events).toHaveLength(1);
  });

  it('stay while they have followers', async () => {
    const over = new AbortController();
    const head = await storage.events.head({ tenantId: 'acme' });
    const events = storage.events.follow({ tenantId: 'acme', after: head, signal: over.signal });
    const following = events[Symbol.asyncIterator]();
    const first = following.next();
    await sweepAll();
    await sweepAll();
    await submit(1);
    expect((await first).value).toMatchObject({ event: 'task_created' });
    over.abort();
    await following.next();
  });

  it('and types without an announcement are forgotten', async () => {
    for (let n = 0; n < 100; n += 1)
      await storage.workers.announce({ workerId: 'w', runs: [{ type: `t${n}`, versions: [1] }] });
    now += 11 * 60_000;
    await sweepAll();
    expect(stateOf(storage).announced.size).toBe(0);
    expect(stateOf(storage).workers.size).toBe(0);
  });
});

describe('a tenant without room', () => {
  it('may shrink a context, but not grow it', async () => {
    const tenantId = 'acme';
    const at = { tenantId, sessionId: 's' };
    const text = (length: number) => ({ text: 'x'.repeat(length) });
    await storage.sessions.create({ ...at, context: text(500_000), idempotency: undefined });
    while ((await submit('y'.repeat(200_000))).answer === 'submitted');
    const put = async (context: { readonly [key: string]: JsonValue }) =>
      (await storage.sessions.update({ ...at, context })).answer;
    expect(await put(text(500_001))).toBe('queue_full');
    expect(await put(text(500_000))).toBe('queue_full');
    expect(await put({ more: 1 })).toBe('queue_full');
    expect(await put(text(499_999))).toBe('updated');
    expect(await put({ text: null })).toBe('updated');
    expect((await submit(1)).answer).toBe('submitted');
  });
});

describe('the event log in memory', () => {
  it('keeps no more bytes than its limit, and the newest event of any size', async () => {
    const { task_id } = task(0);
    await storage.tasks.register({ maxWaiting: 10_000, tenantId: 'acme', task: { ...task(0), task_id } });
    const details = (n: number) => ({ n, text: 'p'.repeat(100_000) });
    for (let n = 0; n < 30; n += 1) {
      await storage.tasks.progress({
        tenantId: 'acme',
        taskId: task_id,
        progress: { message: details(n).text },
      });
    }
    const head = await storage.events.head({ tenantId: 'acme' });
    const page = await storage.events.read({
      tenantId: 'acme',
      after: `${head.split(':')[0]}:0`,
      limit: 100,
    });
    expect(page.gap).toBeDefined();
    expect(page.events.length).toBe(9);
    expect(page.cursor).toBe(head);
  });
});

describe('the event log in memory, of what services report', () => {
  it.each([
    [
      'an object of many keys',
      { details: Object.fromEntries(Array.from({ length: 9_000 }, (_, n) => [`key-${n}`, n])) },
    ],
    ['lists in lists', { details: Array.from({ length: 9_000 }, (_, n) => [[n], { n }]) }],
    [
      'metadata',
      { details: 1, metadata: { many: Array.from({ length: 9_000 }, (_, n) => ({ n, text: 'text' })) } },
    ],
  ])('keeps no more bytes than its limit: %s', async (_, { details, ...more }) => {
    const call = {
      callId: crypto.randomUUID(),
      service: 'query',
      operation: 'q',
      jobId: 'j',
      silenceMs: HOUR_MS,
    };
    await storage.tasks.register({ maxWaiting: 10_000, tenantId: 'acme', task: task(0), call });
    const body = { kind: 'status', status: 'busy', details };
    const from = { tenantId: 'acme', service: 'query', jobId: 'j', ...more };
    for (let n = 0; n < 40; n += 1)
      expect((await storage.journal.report({ ...from, body } as never)).answer).toBe('applied');
    const head = await storage.events.head({ tenantId: 'acme' });
    const page = await storage.events.read({
      tenantId: 'acme',
      after: `${head.split(':')[0]}:0`,
      limit: 100,
    });
    expect(page.gap).toBeDefined();
    const last = page.events.at(-1);
    expect(last?.data).toEqual({ status: 'busy', details });
    const bytes = Buffer.byteLength(JSON.stringify([last?.data, last?.metadata]));
    expect(stateOf(storage).tenants.get('acme')?.events.firstSeq).toBeGreaterThanOrEqual(
      42 - Math.ceil(MAX / bytes),
    );
  });
});

describe('a batch in memory', () => {
  it('drops a task after its retention, and keeps its status', async () => {
    const items = ['a', 'b'].map((n) => ({ task: task(n), onBusy: 'enqueue' }));
    const batch = { batchId: crypto.randomUUID(), items, maxInFlight: 2, failFast: false };
    await storage.tasks.submitBatch({ tenantId: 'acme', batch, maxWaiting: 10 } as never);
    const taskId = items[0]?.task.task_id ?? '';
    await storage.tasks.cancel({ tenantId: 'acme', taskId, reason: 'r', graceMs: 0 });
    // The other one times out after an hour, and is kept as a dead letter.
    now += 2 * HOUR_MS;
    await sweepAll();
    const found = await storage.tasks.getBatch({ tenantId: 'acme', batchId: batch.batchId });
    expect(found?.items[0]).toEqual({ index: 0, task_id: taskId, status: 'cancelled' });
    expect(found?.items[1]).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
    expect(found?.counts).toMatchObject({ cancelled: 1, failed: 1 });
    const kept = stateOf(storage).tenants.get('acme')?.batches.get(batch.batchId);
    expect(kept?.items[0]).toEqual({ goneId: taskId, state: 'cancelled' });
  });
});

describe('a large batch in memory without kept tasks', () => {
  it('is removed a portion of its items per turn of the event loop', async () => {
    const error = { code: 'workflow_error', message: 'bad', retryable: false };
    const items = Array.from({ length: 1_700 }, () => ({ error }));
    const batch = { batchId: crypto.randomUUID(), items, maxInFlight: 2, failFast: false };
    await storage.tasks.submitBatch({ tenantId: 'acme', batch, maxWaiting: 10_000 } as never);
    const kept = stateOf(storage).tenants.get('acme')?.batches.get(batch.batchId);
    if (!kept) throw new Error('expected a batch');
    now += HOUR_MS;
    const swept = storage.queue.sweep({ max: 1_000 });
    const passed: number[] = [];
    for (let turn = 0; turn < 10 && passed.at(-1) !== 1_700; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      passed.push(kept.passed);
    }
    await swept;
    expect(passed).toEqual([500, 1_000, 1_500, 1_700]);
    expect(stateOf(storage).tenants.get('acme')?.batches.size).toBe(0);
  });
});

describe('a stored value', () => {
  it('is returned as given, and shares nothing with input and output', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.boolean(), (value, isLarge) => {
        // As the gate gives it: without what JSON has no word for, such as -0.
        const given = JSON.parse(JSON.stringify(isLarge ? [value, 'x'.repeat(2_000)] : value)) as JsonValue;
        let charged = 0;
        const kept = keepJson(given, { charge: (bytes) => (charged += bytes) });
        expect(readJson(kept)).toEqual(JSON.parse(JSON.stringify(given)));
        expect(readJson(kept) === given && typeof given === 'object' && given !== null).toBe(false);
        if (isLarge) expect(kept).toBeInstanceOf(KeptText);
        expect(charged).toBeGreaterThan(0);
        expect(charged).toBeLessThanOrEqual(Buffer.byteLength(JSON.stringify(given)));
      }),
    );
  });
});
