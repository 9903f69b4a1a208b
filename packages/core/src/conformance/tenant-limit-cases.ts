import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { NewTask } from '../storage/task-records.js';
import type { ConfigureTenantParams } from '../storage/tenant-store.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const ALL = {
  weight: 7,
  maxRunning: 3,
  maxWaiting: 11,
  maxStoredBytes: 5_000_000,
  retentionMs: 60_000,
  types: ['a', 'b'],
  services: ['query'],
  budgets: [
    { period: 'day', tokens: 1_000_000_000_000 },
    { period: 'month', cost: 0.25 },
  ],
  rates: {
    requestsPerMinute: 60,
    burst: 3,
    callsPerMinute: { query: 60, 'x.y': 1 },
    tokensPerMinute: { 'gpt 5/"ñ"': 1_000 },
  },
} as const;

const configure = async (t: CaseTools, change: Omit<ConfigureTenantParams, 'tenantId'>) =>
  (await t.storage.tenants.configure({ tenantId: t.tenantId, ...change })).settings;

async function answerTo(t: CaseTools, more: Partial<NewTask> = {}): Promise<string> {
  const submission = t.submission(more);
  const params = { tenantId: t.tenantId, submission, maxWaiting: 1_000 };
  return (await t.storage.tasks.submit(params)).answer;
}

async function batchCodes(t: CaseTools, items: readonly Partial<NewTask>[]) {
  const batch = {
    batchId: t.id(),
    maxInFlight: 100,
    failFast: false,
    items: items.map((more) => t.submission(more)),
  };
  const answer = await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 1_000 });
  return 'batch' in answer ? answer.batch.items.map(({ error }) => error?.code) : answer.answer;
}

export const tenantLimitCases: readonly ConformanceCase[] = [
  {
    part: 'tenants',
    method: 'configure',
    name: 'keeps every setting as it was given, while nothing else of the tenant is kept',
    async run(t) {
      assert.deepEqual(await configure(t, ALL), { paused: false, ...ALL });
      for (const [name, value] of Object.entries(ALL)) {
        await configure(
          t,
          Object.fromEntries(Object.keys(ALL).map((each) => [each, each === 'weight' ? 1 : null])),
        );
        await configure(t, { [name]: value });
        await t.pass(DEFAULTS.maxEventAgeMs + 60_000);
        await t.pass(DEFAULTS.maxEventAgeMs + 60_000);
        const { settings } = await t.storage.tenants.get({ tenantId: t.tenantId });
        assert.deepEqual(settings, { weight: 1, paused: false, [name]: value });
      }
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'replaces a list or a map as a whole, and leaves what is absent',
    async run(t) {
      await configure(t, ALL);
      const { types, rates } = await configure(t, { types: ['c'], rates: { callsPerMinute: { other: 2 } } });
      assert.deepEqual(types, ['c']);
      assert.deepEqual(rates, { ...ALL.rates, callsPerMinute: { other: 2 } });
      assert.deepEqual((await configure(t, { rates: { tokensPerMinute: null } })).rates, {
        requestsPerMinute: 60,
        burst: 3,
        callsPerMinute: { other: 2 },
      });
      assert.deepEqual((await configure(t, { types: [] })).types, []);
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'holds the tenant to its own number of waiting tasks',
    async run(t) {
      await configure(t, { maxWaiting: 2 });
      const answers = await Promise.all([answerTo(t), answerTo(t), answerTo(t)]);
      assert.deepEqual(answers.toSorted(), ['queue_full', 'submitted', 'submitted']);
      assert.equal(await batchCodes(t, [{}]), 'queue_full');
      await t.claim({ max: 1 });
      assert.equal(await answerTo(t, { session_id: 's' }), 'submitted');
      assert.equal(await answerTo(t, { session_id: 's' }), 'queue_full');
      await configure(t, { maxWaiting: null });
      assert.equal(await answerTo(t), 'submitted');
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'holds the tenant to its own number of stored bytes',
    async run(t) {
      await configure(t, { maxStoredBytes: 20_000 });
      const payload = 'x'.repeat(15_000);
      assert.equal(await answerTo(t, { payload }), 'submitted');
      assert.equal(await answerTo(t, { payload }), 'submitted', 'one may exceed it');
      assert.equal(await answerTo(t), 'queue_full');
      assert.equal(await batchCodes(t, [{}]), 'queue_full');
      await configure(t, { maxStoredBytes: 100_000 });
      assert.equal(await answerTo(t), 'submitted');
    },
  },
  {
    part: 'tasks',
    method: 'submit',
    name: 'refuses types that are not on the list of the tenant',
    async run(t) {
      await configure(t, { types: [t.type, 'more'] });
      assert.equal(await answerTo(t), 'submitted');
      assert.equal(await answerTo(t, { type: t.otherType }), 'type_forbidden');
      assert.equal(await answerTo(t, { type: t.otherType, session_id: 's' }), 'type_forbidden');
      const codes = await batchCodes(t, [{}, { type: t.otherType }, { type: 'more' }]);
      assert.deepEqual(codes, [undefined, 'forbidden', undefined]);
      const params = { tenantId: t.tenantId, task: t.newTask({ type: t.otherType }), maxWaiting: 1_000 };
      assert.deepEqual(await t.storage.tasks.register(params), { answer: 'type_forbidden' });
      await configure(t, { types: [] });
      assert.equal(await answerTo(t), 'type_forbidden');
      await configure(t, { types: null });
      assert.equal(await answerTo(t, { type: t.otherType }), 'submitted');
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'fails a call of a service that is not on the list of the tenant, and no other',
    async run(t) {
      const claim = await t.leased();
      await configure(t, { services: ['embedding'] });
      const refused = t.callStep();
      const begun = await t.begin(claim, refused);
      assert.equal(begun.answer, 'known');
      const outcome = 'step' in begun ? begun.step.outcome : undefined;
      assert.ok(outcome && !outcome.ok);
      assert.deepEqual([outcome.error.code, outcome.error.retryable], ['forbidden', false]);
      assert.equal((await t.begin(claim, t.callStep({ service: 'embedding' }))).answer, 'begun');
      const call = { callId: t.id(), service: 'query', operation: 'query', silenceMs: 60_000 };
      const params = { tenantId: t.tenantId, task: t.newTask(), call, maxWaiting: 1_000 };
      assert.deepEqual(await t.storage.tasks.register(params), { answer: 'service_forbidden' });
      await configure(t, { services: null });
      assert.equal((await t.begin(claim, t.callStep())).answer, 'begun');
      const again = await t.begin(claim, refused);
      assert.equal(again.answer, 'known', 'what was recorded stays');
    },
  },
  {
    part: 'queue',
    method: 'settle',
    name: 'keeps ended tasks as long as the tenant says, and dead letters as long as the storage says',
    async run(t) {
      await configure(t, { retentionMs: 60_000 });
      const [plain, inSession, failed] = [
        await t.submit(),
        await t.submit({ session_id: 's' }),
        await t.submit(),
      ];
      for (const claim of await t.claim()) {
        const isFailed = claim.task.task_id === failed.task_id;
        const outcome = t.failure('no').outcome;
        await t.settle(
          claim,
          isFailed ? { kind: 'failed', error: outcome.error } : { kind: 'completed', result: 1 },
        );
      }
      const kept = async ({ task_id: taskId }: { readonly task_id: string }) =>
        (await t.storage.tasks.get({ tenantId: t.tenantId, taskId })) !== undefined;
      await t.pass(59_000);
      assert.deepEqual([await kept(plain), await kept(inSession), await kept(failed)], [true, true, true]);
      await t.pass(2_000);
      assert.deepEqual([await kept(plain), await kept(inSession), await kept(failed)], [false, false, true]);
      await configure(t, { retentionMs: 10 * DEFAULTS.retentionMs });
      const long = await t.submit();
      await t.settle(await t.claimOne(), { kind: 'completed', result: 1 });
      await configure(t, { retentionMs: null });
      const usual = await t.submit();
      await t.settle(await t.claimOne(), { kind: 'completed', result: 1 });
      await t.pass(DEFAULTS.retentionMs + 1_000);
      assert.deepEqual([await kept(long), await kept(usual)], [true, false]);
    },
  },
];
