import assert from 'node:assert/strict';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ClaimOptions, ConformanceCase } from './conformance-case.js';

const idsOf = (claims: readonly Claim[]) => claims.map(({ task }) => task.task_id);

/** A long poll. If its case fails first, its rejection is ignored. */
function waitingClaim(t: CaseTools, options: ClaimOptions): Promise<Claim[]> {
  const waiting = t.claim({ ...options, waitMs: 60_000 });
  waiting.catch(() => undefined);
  return waiting;
}

/** Claims a task submitted during the long poll, or afterwards on a storage without long polls. */
async function takeWaiting(t: CaseTools, options: ClaimOptions, timeoutMs: number): Promise<Claim> {
  await t.claim(options);
  const waiting = waitingClaim(t, options);
  const { task_id } = await t.submit({ timeoutMs });
  const [claim = await t.claimOne(options)] = await waiting;
  assert.equal(claim.task.task_id, task_id);
  return claim;
}

export const waitingCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'long poll: returns a new task or an empty answer, the same when repeated, and nothing new once aborted',
    async run(t) {
      await t.claim({ workerId: 'a' });
      const asked = { workerId: 'a', claimId: t.id() };
      const waiting = waitingClaim(t, asked);
      const { task_id } = await t.submit();
      const got = idsOf(await waiting);
      if (got.length > 0) assert.deepEqual(idsOf(await t.claim(asked)), [task_id]);
      assert.deepEqual([...got, ...idsOf(await t.claim({ workerId: 'b' }))], [task_id]);
      const over = new AbortController();
      const late = waitingClaim(t, { workerId: 'a', signal: over.signal });
      over.abort();
      assert.deepEqual(await late, []);
      await t.submit();
      assert.equal((await t.claim({ workerId: 'b' })).length, 1);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'long poll: leases a new task like any other, with events, counts and an expiry',
    async run(t) {
      await t.submit({ timeoutMs: 60_000 });
      const first = await t.claimOne({ workerId: 'a', leaseMs: 10_000 });
      await t.settle(first, { kind: 'completed', result: 1 });
      const waiting = waitingClaim(t, { workerId: 'a', leaseMs: 10_000 });
      const { task_id } = await t.submit({ timeoutMs: 60_000 });
      const [claim = await t.claimOne({ workerId: 'a', leaseMs: 10_000 })] = await waiting;
      assert.deepEqual(claim.task, await t.get(task_id));
      assert.deepEqual(await t.eventsOf(task_id), ['task_created', 'task_started']);
      const { counts, running } = await t.storage.tenants.get({ tenantId: t.tenantId });
      assert.deepEqual([counts.pending, counts.processing, counts.completed, running], [0, 1, 1, 1]);
      await t.advance(10_001);
      await t.storage.queue.sweep({ max: 10 });
      const [again] = await t.claim({ workerId: 'b', leaseMs: 120_000 });
      assert.deepEqual([again?.task.task_id, again?.task.attempt], [task_id, 2]);
      await t.advance(50_000);
      await t.storage.queue.sweep({ max: 10 });
      assert.equal((await t.get(task_id)).error?.code, 'timeout');
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'long poll: returns the first new task, also when the next one arrives before the answer is read',
    async run(t) {
      await t.claim({ workerId: 'a' });
      const waiting = waitingClaim(t, { workerId: 'a', max: 1 });
      await t.log();
      const both = await Promise.all([t.submit({ session_id: 's' }), t.submit()]);
      const [first = await t.claimOne({ workerId: 'a', max: 1 })] = await waiting;
      const claims = [first, await t.claimOne({ workerId: 'b' })];
      assert.deepEqual(
        idsOf(claims),
        both.map(({ task_id }) => task_id),
      );
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'long poll: returns no task of a paused or limited tenant',
    async run(t) {
      const { tenantId } = t;
      for (const [setting, room] of [
        [{ paused: true }, { paused: false }],
        [{ maxRunning: 1 }, { maxRunning: 3 }],
      ]) {
        await t.claim({ workerId: 'a' });
        await t.storage.tenants.configure({ tenantId, ...setting });
        if (setting && 'maxRunning' in setting) await t.leased();
        const over = new AbortController();
        const waiting = waitingClaim(t, { workerId: 'a', signal: over.signal });
        const { task_id } = await t.submit();
        assert.equal((await t.get(task_id)).status, 'pending');
        over.abort();
        assert.deepEqual(await waiting, []);
        await t.storage.tenants.configure({ tenantId, ...room });
        const claim = await t.claimOne({ workerId: 'b' });
        assert.equal(claim.task.task_id, task_id);
        await t.settle(claim, { kind: 'completed', result: 1 });
      }
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'long poll: gives a new task its own lease and deadline',
    async run(t) {
      await t.lookedOver();
      const take = async (leaseMs: number, timeoutMs: number, { waits }: { readonly waits: boolean }) => {
        const options = { workerId: `w${leaseMs}`, leaseMs };
        if (waits) return takeWaiting(t, options, timeoutMs);
        await t.submit({ timeoutMs });
        return t.claimOne(options);
      };
      const second = await take(40_000, 100_000, { waits: false });
      const first = await take(20_000, 100_000, { waits: true });
      const last = await take(60_000, 300_000, { waits: true });
      const third = await take(50_000, 200_000, { waits: false });
      let past = 0;
      for (const [ms, { task }] of [
        [20_000, first],
        [40_000, second],
        [50_000, third],
        [60_000, last],
      ] as const) {
        await t.pass(ms - past - 1);
        assert.deepEqual(await t.claim({ workerId: `early${ms}` }), []);
        await t.pass(1);
        past = ms;
        assert.deepEqual(idsOf(await t.claim({ workerId: `late${ms}`, leaseMs: 600_000 })), [task.task_id]);
      }
      await t.pass(140_000);
      assert.equal((await t.get(third.task.task_id)).error?.code, 'timeout');
      assert.equal((await t.get(last.task.task_id)).status, 'processing');
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'long poll: returns a new task until its deadline or the end of the poll, whichever comes first',
    async run(t) {
      await t.lookedOver();
      const limited = await takeWaiting(t, { workerId: 'a', leaseMs: 50_000 }, 10_000);
      await t.pass(10_000);
      assert.equal((await t.get(limited.task.task_id)).error?.code, 'timeout');
      const leased = await takeWaiting(t, { workerId: 'b', leaseMs: 10_000 }, 50_000);
      await t.pass(10_000);
      assert.deepEqual(idsOf(await t.claim({ workerId: 'c' })), [leased.task.task_id]);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'long poll: counts a new task for the rule of the oldest tenth',
    async run(t) {
      await takeWaiting(t, { workerId: 'a' }, 60_000);
      const oldest = await t.submit({ priority: 0 });
      for (let n = 0; n < 10; n += 1) await t.submit({ priority: 9 });
      const claims = await t.claim({ workerId: 'b', max: 9 });
      assert.equal(idsOf(claims).indexOf(oldest.task_id), 8);
    },
  },
];
