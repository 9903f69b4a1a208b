import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const rates = (
  t: CaseTools,
  given: {
    readonly callsPerMinute?: Record<string, number>;
    readonly tokensPerMinute?: Record<string, number>;
  },
) => t.storage.tenants.configure({ tenantId: t.tenantId, rates: given });

/** Begins a call; `undefined` if it has to wait. */
async function call(t: CaseTools, claim: Claim, service = 'query') {
  const step = t.callStep({ service });
  const begun = await t.begin(claim, step);
  assert.ok('step' in begun, begun.answer);
  assert.equal(begun.answer === 'begun', begun.step.call !== undefined);
  return { step, begun, isWaiting: begun.step.backingOff };
}

/** Makes a call that uses tokens; whether it had to wait. */
const use = async (t: CaseTools, claim: Claim, tokens: number, model = 'm') => {
  const made = await call(t, claim);
  if (!made.isWaiting) await t.record(claim, made.step, { ...t.result(1), usage: { tokens, model } });
  return made.isWaiting;
};

export const callRateCases: readonly ConformanceCase[] = [
  {
    part: 'journal',
    method: 'begin',
    name: 'lets calls beyond the rate of the tenant wait for their turn, each once, in order',
    async run(t) {
      await rates(t, { callsPerMinute: { query: 60 } });
      const claim = await t.leased();
      for (let n = 0; n < 10; n += 1) assert.equal((await call(t, claim)).isWaiting, false, `call ${n}`);
      assert.equal((await call(t, claim, 'embedding')).isWaiting, false, 'another service');
      const [first, second] = [await call(t, claim), await call(t, claim)];
      assert.deepEqual([first.isWaiting, second.isWaiting], [true, true]);
      const again = await t.begin(claim, first.step);
      assert.equal(again.answer, 'known', 'it waits already');
      await t.pass(1_000);
      assert.equal((await t.begin(claim, first.step)).answer, 'begun');
      assert.equal((await t.begin(claim, second.step)).answer, 'known');
      assert.equal((await call(t, claim)).isWaiting, true, 'behind those that wait');
      await t.pass(1_000);
      assert.equal((await t.begin(claim, second.step)).answer, 'begun');
      const events = (await t.log()).filter(
        ({ data }) => (data as { status?: string })?.status === 'rate_limited',
      );
      assert.deepEqual(
        events.map(({ data }) => data),
        [1_000, 2_000, 2_000].map((ms) => ({
          status: 'rate_limited',
          details: { service: 'query', operation: 'query', retry_after_ms: ms },
        })),
      );
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'wakes a parked task when a call that waited for its rate may begin',
    async run(t) {
      await rates(t, { callsPerMinute: { query: 6 } });
      const claim = await t.leased();
      await call(t, claim);
      const { step, begun, isWaiting } = await call(t, claim);
      assert.equal(isWaiting, true);
      assert.ok('journalRev' in begun);
      assert.equal(await t.settle(claim, { kind: 'parked', journalRev: begun.journalRev }), 'settled');
      await t.pass(9_000);
      assert.deepEqual(await t.claim(), []);
      await t.pass(1_001);
      assert.equal((await t.begin(await t.claimOne(), step)).answer, 'begun');
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'fails a call that would wait too long for its rate, which takes nothing of it',
    async run(t) {
      await rates(t, { callsPerMinute: { query: 1 } });
      const claim = await t.leased();
      const most = DEFAULTS.maxRateWaitMs / 60_000;
      for (let n = 0; n < 1 + most; n += 1) assert.equal((await call(t, claim)).isWaiting, n > 0);
      for (let n = 0; n < 3; n += 1) {
        const { begun } = await call(t, claim);
        const outcome = 'step' in begun ? begun.step.outcome : undefined;
        assert.ok(outcome && !outcome.ok);
        assert.deepEqual([outcome.error.code, outcome.error.retryable], ['rate_limited', true]);
      }
      await t.advance(60_000);
      assert.equal((await call(t, claim)).isWaiting, true);
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'takes the rate of "*" for services without one, all together',
    async run(t) {
      await rates(t, { callsPerMinute: { '*': 12, query: 600 } });
      const claim = await t.leased();
      for (let n = 0; n < 20; n += 1) assert.equal((await call(t, claim)).isWaiting, false);
      assert.equal((await call(t, claim, 'a')).isWaiting, false);
      assert.equal((await call(t, claim, 'b')).isWaiting, false);
      assert.equal((await call(t, claim, 'c')).isWaiting, true);
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'lets calls wait until the tokens that a model has used are within its rate',
    async run(t) {
      await rates(t, { tokensPerMinute: { m: 600 } });
      const claim = await t.leased();
      assert.equal(await use(t, claim, 40), false);
      assert.equal(await use(t, claim, 61), false);
      const { step, isWaiting } = await call(t, claim);
      assert.equal(isWaiting, true, '101 of 100 are used, and the last call used 61');
      await t.pass(6_199);
      assert.equal((await t.begin(claim, step)).answer, 'known');
      await t.pass(1);
      assert.equal((await t.begin(claim, step)).answer, 'begun');
      await t.record(claim, step, { ...t.result(1), usage: { tokens: 1, model: 'm' } });
      // What it used replaces what it took in advance: 40 are used.
      assert.equal(await use(t, claim, 100_000, 'other'), false);
      assert.equal(await use(t, claim, 1), false, 'a model without a rate was used the last time');
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'refuses a call beyond the rate of the tenant, and says when to come back',
    async run(t) {
      await rates(t, { callsPerMinute: { query: 6 } });
      const register = () => {
        const call = { callId: t.id(), service: 'query', operation: 'query', silenceMs: 60_000 };
        return t.storage.tasks.register({ tenantId: t.tenantId, task: t.newTask(), call, maxWaiting: 100 });
      };
      assert.equal((await register()).answer, 'registered');
      assert.deepEqual(await register(), { answer: 'rate_limited', retryAfterMs: 10_000 });
      await t.advance(10_000);
      assert.equal((await register()).answer, 'registered');
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'lets a call begin at once when the rate is gone, and a new try take of the rate anew',
    async run(t) {
      await rates(t, { callsPerMinute: { query: 6 } });
      const claim = await t.leased();
      const first = await call(t, claim);
      await t.record(claim, first.step, { kind: 'accepted', jobId: 'j' });
      await t.report('j', null, { body: t.failure('busy', true) });
      await t.pass(200);
      const again = t.callStep({}, first.step.key);
      const begun = await t.begin(claim, again);
      assert.ok('step' in begun && begun.step.backingOff);
      await t.storage.tenants.configure({ tenantId: t.tenantId, rates: null });
      assert.equal((await call(t, claim)).isWaiting, false);
      await t.pass(10_000);
      assert.equal((await t.begin(claim, t.callStep({}, first.step.key))).answer, 'begun');
    },
  },
  {
    part: 'journal',
    method: 'begin',
    name: 'forgets what was used beyond a rate that is lowered',
    async run(t) {
      await rates(t, { callsPerMinute: { query: 6_000 } });
      const claim = await t.leased();
      for (let n = 0; n < 900; n += 1) await call(t, claim);
      await rates(t, { callsPerMinute: { query: 60 } });
      const { begun } = await call(t, claim);
      assert.ok(
        'step' in begun && begun.step.backingOff && !begun.step.outcome,
        'it waits, and does not fail',
      );
      await t.pass(1_000);
      assert.equal((await call(t, claim)).isWaiting, true, 'behind the one that waits');
    },
  },
  {
    part: 'tasks',
    method: 'register',
    name: 'lets calls pass again at their rate after the clock was set back',
    async run(t) {
      await rates(t, { callsPerMinute: { query: 6 } });
      const register = async () => {
        const made = { callId: t.id(), service: 'query', operation: 'query', silenceMs: 60_000 };
        const params = { tenantId: t.tenantId, task: t.newTask(), call: made, maxWaiting: 100 };
        return (await t.storage.tasks.register(params)).answer;
      };
      assert.equal(await register(), 'registered');
      await t.advance(-3_600_000);
      assert.equal(await register(), 'rate_limited');
      await t.advance(10_000);
      assert.equal(await register(), 'registered');
    },
  },
  {
    part: 'journal',
    method: 'record',
    name: 'gives tokens back that a call has taken in advance, if it ends without usage',
    async run(t) {
      await rates(t, { tokensPerMinute: { m: 6_000 } });
      const claim = await t.leased();
      assert.equal(await use(t, claim, 400), false);
      for (let n = 0; n < 5; n += 1) {
        const { step, isWaiting } = await call(t, claim);
        assert.equal(isWaiting, false, `call ${n}`);
        await t.record(claim, step, t.failure('no'));
      }
    },
  },
];
