import { beforeEach, describe, expect, it } from 'vitest';
import { type JsonValue, MemoryStorage, type NewTask } from '../src/index.js';
import { keepJson, KeptText, readJson } from '../src/memory/kept-json.js';
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
    clock: { now: () => now, after: () => () => {} },
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

describe('what a tenant stores in memory', () => {
  it.each(LARGE)('is refused once it takes more than its limit: %s', async (_, payload) => {
    let taken = 0;
    while ((await submit(payload)).answer === 'submitted') taken += 1;
    expect((await submit(payload)).answer).toBe('queue_full');
    expect((await submit(payload, 'other')).answer).toBe('submitted');
    // As many as fit, and the one with which the limit was reached.
    expect(taken).toBe(Math.ceil(MAX / Buffer.byteLength(JSON.stringify(payload))));
  });

  it('counts results and journals, and is given back when they are no longer kept', async () => {
    const large = 'y'.repeat(300_000);
    for (let i = 0; i < 2; i += 1) await submit({ i });
    await storage.workers.announce({ workerId: 'w', runs: [{ type: 't', versions: [1] }] });
    const claims = await storage.queue.claim({
      workerId: 'w',
      runs: [{ type: 't', versions: [1] }],
      max: 2,
      leaseMs: HOUR_MS,
      claimId: crypto.randomUUID(),
    } as never);
    expect(claims).toHaveLength(2);
    for (const {
      task: { tenant_id: tenantId, task_id },
      token,
    } of claims) {
      const step = { key: 's', kind: 'run', name: 's' };
      await storage.journal.begin({ tenantId, taskId: task_id, token, seen: 0, maxSteps: 10, step } as never);
      const answer = { kind: 'outcome', outcome: { ok: true, value: large } };
      await storage.journal.record({ tenantId, taskId: task_id, token, seen: 0, key: 's', answer } as never);
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

  it('may be a batch that exceeds it, once', async () => {
    const items = Array.from({ length: 20 }, () => ({ task: task('z'.repeat(100_000)), onBusy: 'enqueue' }));
    const batch = () => ({ batchId: crypto.randomUUID(), items, maxInFlight: 100, failFast: false });
    const send = () =>
      storage.tasks.submitBatch({ tenantId: 'acme', batch: batch(), maxWaiting: 1_000 } as never);
    expect((await send()).answer).toBe('submitted');
    expect((await send()).answer).toBe('queue_full');
  });
});

describe('the event log in memory', () => {
  it('keeps no more bytes than its limit, and the newest event whatever it takes', async () => {
    const { task_id } = task(0);
    await storage.tasks.register({ tenantId: 'acme', task: { ...task(0), task_id } } as never);
    const details = (n: number) => ({ n, text: 'p'.repeat(100_000) });
    for (let n = 0; n < 30; n += 1) {
      await storage.tasks.progress({
        tenantId: 'acme',
        taskId: task_id,
        progress: { message: details(n).text },
      } as never);
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

describe('a value that is kept', () => {
  it('comes back as it was, and shares nothing with what was given or what was handed out', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.boolean(), (value, isLarge) => {
        const given = (isLarge ? [value, 'x'.repeat(2_000)] : value) as JsonValue;
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
