import assert from 'node:assert/strict';
import { OrchestratorError } from '../protocol/errors.js';
import type { JsonObject, JsonValue } from '../protocol/json.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** Half a surrogate pair: legal in a JavaScript string, and in JSON as an escape. */
const HALF = 'cut \ud83e';
const WHOLE = 'cut \ufffd';
const LARGE = 'x'.repeat(1024 * 1024);

/** Hands over a value regardless of its type, as untyped callers do. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
const odd = <T>(value: unknown): T => value as T;
const cycle = (): JsonValue => {
  const value: { self?: unknown } = {};
  value.self = value;
  return odd(value);
};

async function refused(code: string, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof OrchestratorError, `expected an OrchestratorError, got ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  });
}

/** Values without a JSON equivalent, and what they are read back as. */
const READ_AS: readonly (readonly [value: unknown, read: JsonValue])[] = [
  [{ at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
  [
    [NaN, Infinity, -0, undefined, () => 1],
    [null, null, 0, null, null],
  ],
  [{ a: undefined, b: { toJSON: () => 'itself' } }, { b: 'itself' }],
  [JSON.parse('{"__proto__":{"polluted":true}}'), JSON.parse('{"__proto__":{"polluted":true}}') as JsonValue],
  [{ [HALF]: HALF }, { [HALF]: HALF }],
  [2 ** 53 + 2, 2 ** 53 + 2],
  [
    { tiny: 5e-324, large: 1.7976931348623157e308 },
    { tiny: 5e-324, large: 1.7976931348623157e308 },
  ],
];
const NO_JSON: readonly (() => unknown)[] = [
  cycle,
  () => ({ n: 1n }),
  () => ({
    toJSON() {
      throw new Error('toJSON');
    },
  }),
  () =>
    Object.defineProperty({}, 'x', {
      enumerable: true,
      get() {
        throw new Error('getter');
      },
    }),
];

/** Every parameter that takes JSON: writes a value through it, and reads it back. */
const PLACES: Readonly<Record<string, (t: CaseTools, value: JsonValue) => Promise<JsonValue | undefined>>> = {
  payload: async (t, payload) => (await t.get((await t.submit({ payload })).task_id)).payload,
  result: async (t, result) => {
    const claim = await t.leased();
    await t.settle(claim, { kind: 'completed', result });
    return (await t.get(claim.task.task_id)).result;
  },
  outcome: async (t, value) => {
    const claim = await t.leased();
    const step = t.callStep();
    await t.begin(claim, step);
    const recorded = await t.record(claim, step, t.result(value));
    assert.ok('changes' in recorded);
    const outcome = recorded.changes[0]?.outcome;
    return outcome?.ok ? outcome.value : undefined;
  },
  signal: async (t, payload) => {
    const claim = await t.leased();
    await t.storage.tasks.signal({ ...t.where(claim), name: 'go', payload, signalId: t.id() });
    const begun = await t.begin(claim, { key: 'go', kind: 'signal', name: 'signal go', signal: 'go' });
    const outcome = 'step' in begun ? begun.step.outcome : undefined;
    return outcome?.ok ? outcome.value : undefined;
  },
  report: async (t, value) => {
    const { claim, jobId } = await t.withJob();
    assert.equal((await t.report(jobId, value)).answer, 'applied');
    const page = await t.storage.journal.changesSince({
      ...t.where(claim),
      token: claim.token,
      journalRev: claim.journalRev,
    });
    const outcome = 'changes' in page ? page.changes.at(-1)?.outcome : undefined;
    return outcome?.ok ? outcome.value : undefined;
  },
  finish: async (t, result) => {
    const task = await t.registered();
    await t.storage.tasks.finish({ ...t.where({ task }), outcome: { kind: 'completed', result } });
    return (await t.get(task.task_id)).result;
  },
  context: async (t, value) => {
    const sessionId = t.id();
    const where = { tenantId: t.tenantId, sessionId };
    const created = await t.storage.sessions.create({ ...where, context: { value } });
    return 'session' in created ? created.session.context['value'] : created.answer;
  },
  'a change of a context': async (t, value) => {
    const where = { tenantId: t.tenantId, sessionId: t.id() };
    await t.storage.sessions.create({ ...where, context: { before: 1 } });
    await t.storage.sessions.update({ ...where, context: { value } });
    return (await t.storage.sessions.get(where))?.session.context['value'];
  },
};

/** Overwrites everything in a value that a reader got. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    spoil(field);
    const isObject = typeof field === 'object' && field !== null;
    if (!isObject) Reflect.set(value, key, `spoiled ${key}`);
  }
  Reflect.set(value, 'spoiled', true);
}

/** Invalid and unusual values: every storage gives the same answer, nothing hangs, nothing else changes. */
export const oddValueCases: readonly ConformanceCase[] = [
  ...Object.entries(PLACES).map(([place, through]): ConformanceCase => ({
    part: 'tasks',
    method: 'get',
    name: `reads what JSON makes of odd values: ${place}`,
    async run(t) {
      for (const [value, read] of READ_AS) assert.deepEqual(await through(t, odd(value)), read);
      assert.equal(({} as JsonObject)['polluted'], undefined);
    },
  })),
  ...Object.entries(PLACES).map(([place, through]): ConformanceCase => ({
    part: 'tasks',
    method: 'submit',
    name: `refuses with a code what can't be JSON, and what is larger than 1 MiB: ${place}`,
    async run(t) {
      for (const make of NO_JSON) await refused('invalid_request', through(t, odd(make())));
      const tooLarge = ['result', 'outcome', 'report', 'finish'].includes(place);
      await refused(tooLarge ? 'result_too_large' : 'payload_too_large', through(t, LARGE));
    },
  })),
  {
    part: 'sessions',
    method: 'update',
    name: 'refuses a context above 1 MiB after the merge, and leaves it unchanged',
    async run(t) {
      const where = { tenantId: t.tenantId, sessionId: t.id() };
      const half = LARGE.slice(0, 600_000);
      await t.storage.sessions.create({ ...where, context: { a: half } });
      await refused('payload_too_large', t.storage.sessions.update({ ...where, context: { b: half } }));
      const found = await t.storage.sessions.get(where);
      assert.deepEqual([Object.keys(found?.session.context ?? {}), found?.session.rev], [['a'], 1]);
      assert.equal(
        (await t.storage.sessions.update({ ...where, context: { a: null, b: half } })).answer,
        'updated',
      );
    },
  },
  {
    part: 'tasks',
    method: 'cancel',
    name: 'stores texts as well-formed Unicode, wherever they come in',
    async run(t) {
      const { task_id } = await t.submit({ metadata: { user_id: HALF } });
      const cancelled = await t.storage.tasks.cancel({
        tenantId: t.tenantId,
        taskId: task_id,
        reason: HALF,
        graceMs: 0,
      });
      assert.ok('task' in cancelled);
      assert.deepEqual([cancelled.task.error?.message, cancelled.task.metadata.user_id], [WHOLE, WHOLE]);
      const failed = await t.leased();
      await t.storage.tasks.progress({
        ...t.where(failed),
        token: failed.token,
        progress: { message: HALF },
      });
      await t.settle(failed, {
        kind: 'failed',
        error: { code: 'workflow_error', message: HALF, retryable: false },
      });
      const { error, progress } = await t.get(failed.task.task_id);
      assert.deepEqual([error?.message, progress?.message], [WHOLE, WHOLE]);
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'accepts a failure, a status and a job with texts cut inside a character',
    async run(t) {
      const { claim, jobId } = await t.withJob(HALF);
      assert.equal(jobId, HALF);
      const status = { kind: 'status', status: HALF, details: { delta: HALF } } as const;
      assert.equal((await t.report(HALF, null, { body: status })).answer, 'applied');
      const answer = await t.report(HALF, null, { body: t.failure(HALF) });
      assert.equal(answer.answer, 'applied');
      const page = await t.storage.journal.changesSince({
        ...t.where(claim),
        token: claim.token,
        journalRev: claim.journalRev,
      });
      const outcome = 'changes' in page ? page.changes.at(-1)?.outcome : undefined;
      assert.equal(outcome?.ok === false && outcome.error.message, WHOLE);
      const call = {
        callId: t.id(),
        service: 'query',
        operation: 'query',
        jobId: 'alone',
        silenceMs: 60_000,
      };
      const task = await t.registered({ call });
      assert.equal((await t.report('alone', null, { body: t.failure(HALF) })).answer, 'applied');
      assert.equal((await t.get(task.task_id)).error?.message, WHOLE);
    },
  },
  {
    part: 'journal',
    method: 'report',
    name: 'recognises repeated progress by microseconds, up to the largest integer',
    async run(t) {
      const { jobId } = await t.withJob();
      const status = { kind: 'status', status: 'on', details: {} } as const;
      const answers: string[] = [];
      for (const seq of [
        1_700_000_000_000_001,
        1_700_000_000_000_000,
        1_700_000_000_000_002,
        1_700_000_000_000_002,
        Number.MAX_SAFE_INTEGER,
      ])
        answers.push((await t.report(jobId, null, { body: status, seq })).answer);
      assert.deepEqual(answers, ['applied', 'duplicate', 'applied', 'duplicate', 'applied']);
      await refused('invalid_request', t.report(jobId, null, { body: status, seq: 2 ** 53 }));
      await refused('invalid_request', t.report(jobId, null, { body: status, seq: 1.5 }));
    },
  },
  {
    part: 'usage',
    method: 'sum',
    name: 'adds fractions and large numbers as JavaScript does, once for each call',
    async run(t) {
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const add = (id: string, tokens: number) =>
        t.storage.usage.add({
          tenantId: t.tenantId,
          id,
          model: HALF,
          operation: 'o',
          tokens,
          savedTokens: tokens,
        });
      for (const tokens of [0.1, 0.2, 12.5]) await add(t.id(), tokens);
      const [row] = await t.storage.usage.sum({ tenantId: t.tenantId, from: day, to: day });
      assert.deepEqual(
        [row?.model, row?.tokens, row?.saved_tokens, row?.requests],
        [WHOLE, 0.1 + 0.2 + 12.5, 0.1 + 0.2 + 12.5, 3],
      );
      for (const tokens of [-1, NaN, Infinity, 2 ** 53, odd<number>('15')])
        await refused('invalid_request', add(t.id(), tokens));
      const claim = await t.leased();
      for (const tokens of [0.1, 0.2, 9_007_199_254_740_000]) {
        const step = t.callStep();
        await t.begin(claim, step);
        await t.record(claim, step, { ...t.result(1), usage: { tokens, model: 'm' } });
      }
      const { usage } = await t.get(claim.task.task_id);
      assert.equal(usage?.tokens, 0.1 + 0.2 + 9_007_199_254_740_000);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'refuses invalid numbers, names and enum values, and rounds fractions of a millisecond',
    async run(t) {
      await t.submit();
      for (const more of [
        { max: NaN },
        { max: 1.5 },
        { leaseMs: NaN },
        { leaseMs: -1 },
        { leaseMs: Infinity },
      ])
        await refused('invalid_request', t.claim(more));
      for (const claimId of ['', 'a b', 'a\nb', HALF, odd<string>(7)])
        await refused('invalid_request', t.claim({ claimId }));
      const claim = await t.claimOne({ leaseMs: 999.5 });
      await t.pass(999);
      const lease = { ...t.where(claim), token: claim.token };
      assert.deepEqual(await t.storage.queue.renew({ leases: [lease], leaseMs: 0.5 }), []);
      await t.pass(1);
      assert.equal((await t.storage.queue.renew({ leases: [lease], leaseMs: 1 })).length, 1);
      for (const settlement of [
        { kind: 'retry', error: { code: 'timeout', message: 'm', retryable: true }, delayMs: NaN },
        { kind: 'parked', journalRev: -1 },
        { kind: 'nothing' },
        { kind: 'failed', error: { code: 'timeout', message: 7, retryable: true } },
      ])
        await refused('invalid_request', t.settle(claim, odd(settlement)));
    },
  },
  {
    part: 'tasks',
    method: 'list',
    name: 'refuses invalid filters and pages',
    async run(t) {
      const list = (more: object) =>
        t.storage.tasks.list({ tenantId: t.tenantId, filter: {}, limit: 10, ...more });
      for (const more of [
        { limit: NaN },
        { limit: 0 },
        { filter: { status: 'done' } },
        { filter: { code: '' } },
        { filter: { code: 'a\nb' } },
        { filter: { since: '1h' } },
        { filter: { since: NaN } },
        { filter: { since: -1 } },
        { filter: { idPrefix: '*' } },
        { filter: { idPrefix: 7 } },
        { after: 'a\nb' },
        { tenantId: odd(undefined) },
      ])
        await refused('invalid_request', list(more));
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'returns copies: changes by a reader do not reach the stored state',
    async run(t) {
      const sessionId = t.id();
      const inSession = { tenantId: t.tenantId, sessionId };
      const payload = { list: [{ deep: 'value' }] };
      await t.storage.sessions.create({ ...inSession, context: { deep: { value: 1 } } });
      const message = { message_id: t.id(), role: 'user', content: 'hello' } as const;
      spoil(await t.storage.sessions.append({ ...inSession, message }));
      await t.submit({ payload, session_id: sessionId, metadata: { user_id: 'u' } });
      const claim = await t.claimOne();
      const step = t.callStep();
      await t.begin(claim, step);
      await t.record(claim, step, { ...t.result({ deep: ['value'] }), usage: { tokens: 1, model: 'm' } });
      await t.storage.tasks.progress({ ...t.where(claim), progress: { percent: 5, message: 'on' } });
      await t.settle(claim, { kind: 'failed', error: { code: 'timeout', message: 'm', retryable: false } });
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const readers: readonly (() => Promise<unknown>)[] = [
        () => t.storage.tasks.get(t.where(claim)),
        () => t.storage.tasks.explain(t.where(claim)),
        () => t.storage.tasks.list({ tenantId: t.tenantId, filter: {}, limit: 10 }),
        () => t.storage.sessions.get(inSession),
        () => t.storage.sessions.messages({ ...inSession, limit: 10 }),
        () => t.storage.sessions.list({ tenantId: t.tenantId, limit: 10 }),
        () => t.storage.sessions.append({ ...inSession, message }),
        () => t.storage.tenants.get({ tenantId: t.tenantId }),
        () => t.storage.usage.sum({ tenantId: t.tenantId, from: day, to: day }),
        () => t.log(),
      ];
      for (const read of readers) {
        const first = await read();
        const before = structuredClone(first);
        spoil(first);
        assert.deepEqual(structuredClone(await read()), before);
      }
    },
  },
];
