import assert from 'node:assert/strict';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const error = { code: 'service_error', message: 'busy', retryable: true } as const;

async function submit(t: CaseTools, tenantId: string, count: number): Promise<void> {
  const submissions = Array.from({ length: count }, () => t.submission());
  await Promise.all(
    submissions.map((submission) => t.storage.tasks.submit({ tenantId, submission, maxWaiting: 1_000 })),
  );
}

function countOf(claims: readonly Claim[], tenantId: string): number {
  return claims.filter(({ task }) => task.tenant_id === tenantId).length;
}

/** Expected order by the rule: each tenth task the oldest, the others by priority. */
class Expected {
  #claimed = 0;
  readonly #waiting: { readonly id: string; readonly priority: number }[] = [];

  add(id: string, priority: number): void {
    this.#waiting.push({ id, priority });
  }

  take(count: number): string[] {
    return Array.from({ length: Math.min(count, this.#waiting.length) }, () => {
      this.#claimed += 1;
      const most = Math.max(...this.#waiting.map(({ priority }) => priority));
      const at = this.#claimed % 10 === 0 ? 0 : this.#waiting.findIndex(({ priority }) => priority === most);
      const [next] = this.#waiting.splice(at, 1);
      return next?.id ?? '';
    });
  }
}

const orderCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'leases by priority, and each tenth time the oldest, whatever the size of the claim',
    async run(t) {
      const expected = new Expected();
      let drawn = 1;
      const draw = (below: number) => {
        drawn = (drawn * 48_271) % 2_147_483_647;
        return drawn % below;
      };
      const submitted = (priority: number) => {
        const submission = t.submission({ priority });
        expected.add(submission.task.task_id, priority);
        return t.storage.tasks.submit({ tenantId: t.tenantId, submission, maxWaiting: 1_000 });
      };
      const claimed = async (max: number) => {
        const ids = (await t.claim({ max })).map(({ task }) => task.task_id);
        assert.deepEqual(ids, expected.take(max), `a claim of ${max}`);
      };
      // The tenth is older than the tasks behind it in its priority.
      await Promise.all([9, 9, 9, 9, 0, 9, 9, 9, 9, 9, 9, 5].map(submitted));
      await claimed(10);
      for (let round = 0; round < 20; round += 1) {
        const urgent = Array.from({ length: draw(20) }, () => [9, 9, 9, 8, 3, 0][draw(6)] ?? 9);
        await Promise.all([draw(10), ...urgent].map(submitted));
        for (let n = draw(4); n >= 0; n -= 1) await claimed(1 + draw(round % 3 === 0 ? 2 : 14));
      }
      await claimed(64);
      await claimed(64);
      await claimed(64);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'returns what is still leased for a repeated claim id, over all tenants, and emits no second event',
    async run(t) {
      const { claim: waiting, jobId } = await t.withJob();
      await t.settle(waiting, { kind: 'parked', journalRev: waiting.journalRev });
      await t.report(jobId, { n: 1 });
      await submit(t, t.tenantId, 2);
      await submit(t, t.otherTenantId, 2);
      const all = { claimId: t.id(), max: 64 };
      const first = await t.claimOfBoth(all);
      assert.equal(first.length, 5);
      const [ended] = first.filter(({ task }) => task.task_id !== waiting.task.task_id);
      await t.settle(ended as Claim, { kind: 'completed', result: 1 });
      await submit(t, t.tenantId, 1);
      const log = (await t.log()).length;
      const again = await t.claimOfBoth(all);
      const known = new Map(again.map((claim) => [claim.task.task_id, claim]));
      for (const claim of first) {
        if (claim !== ended) assert.deepEqual(known.get(claim.task.task_id), claim);
      }
      assert.ok(again.every(({ task }) => first.some((one) => one.task.task_id === task.task_id)));
      assert.equal((await t.log()).length, log);
      assert.equal((await t.claimOfBoth()).length, 1);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'gives each lease its own expiry, also when a later one is shorter',
    async run(t) {
      for (let n = 0; n < 4; n += 1) await t.submit({ maxAttempts: 1 });
      const lengths = [60_000, 10_000, 30_000, 10_000];
      const claims: Claim[] = [];
      for (const [at, leaseMs] of lengths.entries())
        claims.push(await t.claimOne({ max: 1, leaseMs, workerId: `w${at}` }));
      let past = 0;
      for (const [ms, ...lost] of [
        [10_000, 1, 3],
        [30_000, 2],
        [60_000, 0],
      ] as const) {
        await t.pass(ms - past - 1);
        assert.deepEqual(await t.claim({ workerId: `early${ms}` }), []);
        await t.pass(1);
        past = ms;
        for (const _ of lost) {
          const [again] = await t.claim({ workerId: t.id(), leaseMs: 600_000, max: 1 });
          assert.ok(lost.some((at) => claims[at]?.task.task_id === again?.task.task_id));
          assert.equal(again?.task.attempt, 2);
        }
        assert.deepEqual(await t.claim({ workerId: `late${ms}` }), []);
      }
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'leases only types that the worker runs, in whatever order other types were submitted',
    async run(t) {
      const submitted = (key: string, type: string) =>
        t.storage.tasks.submit({
          tenantId: t.tenantId,
          submission: t.submission({ type }),
          ...(key !== '' && { idempotency: { key, fingerprint: 'f' } }),
          maxWaiting: 9,
        });
      // With and without an idempotency key, in both orders.
      for (const keys of [
        ['', 'a'],
        ['b', ''],
        ['c', 'd'],
      ] as const) {
        await submitted(keys[0], t.type);
        await submitted(keys[1], t.otherType);
        const own = await t.claim();
        const others = await t.claim({ runs: [{ type: t.otherType, versions: [1] }] });
        assert.deepEqual(
          [...own, ...others].map(({ task }) => task.type),
          [t.type, t.otherType],
        );
        for (const claim of [...own, ...others]) await t.settle(claim, { kind: 'completed', result: 1 });
      }
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'leases all other tasks to a worker that runs a suspect, and those that other workers could not run',
    async run(t) {
      const both = [...t.runs(), { type: t.otherType, versions: [1] }];
      await t.submit();
      await t.submit();
      await t.loseLeases(2, 2);
      await t.submit({ type: t.otherType });
      const [suspect, ...more] = await t.claim({ workerId: 'careful' });
      assert.equal(suspect?.task.attempt, 3);
      assert.deepEqual(more, []);
      await t.submit();
      const others = await t.claim({ workerId: 'careful', runs: both });
      assert.deepEqual(
        others.map(({ task }) => [task.type, task.attempt]),
        [
          [t.otherType, 1],
          [t.type, 1],
        ],
      );
      await t.settle(suspect, { kind: 'completed', result: 1 });
      assert.equal((await t.claimOne({ workerId: 'careful' })).task.attempt, 3);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'counts and emits each attempt of new and retried tasks in one claim',
    async run(t) {
      await submit(t, t.tenantId, 3);
      const [back, woken, released] = (await t.claim()) as [Claim, Claim, Claim];
      await t.settle(back, { kind: 'retry', error, delayMs: 0 });
      await t.settle(woken, { kind: 'parked', journalRev: woken.journalRev });
      await t.settle(released, { kind: 'released' });
      await t.pass(1);
      await t.storage.queue.wake(t.where(woken));
      await submit(t, t.tenantId, 2);
      const log = (await t.log()).length;
      const { counts, ready, running } = await t.storage.tenants.get({ tenantId: t.tenantId });
      assert.deepEqual([counts.pending, counts.processing, ready, running], [4, 1, 5, 0]);
      const claims = await t.claim();
      const attempts = new Map(claims.map(({ task }) => [task.task_id, task.attempt]));
      assert.deepEqual(
        [back, woken, released].map(({ task }) => attempts.get(task.task_id)),
        [2, 1, 1],
      );
      assert.equal(attempts.size, 5);
      const started = (await t.log()).slice(log);
      assert.deepEqual(
        started.map(({ event, data }) => [event, (data as { attempt: number }).attempt]),
        claims
          .filter(({ task }) => task.task_id !== woken.task.task_id)
          .map(({ task }) => ['task_started', task.attempt]),
      );
      const after = await t.storage.tenants.get({ tenantId: t.tenantId });
      assert.deepEqual(
        [after.counts.pending, after.counts.processing, after.ready, after.running],
        [0, 5, 0, 5],
      );
    },
  },
];

const rotationCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'leases sixteen tasks of a tenant in a row while others are ready, and skips none',
    async run(t) {
      const third = `${t.tenantId}-third`;
      const sizes = new Map([
        [t.tenantId, 35],
        [t.otherTenantId, 16],
        [third, 33],
      ]);
      for (const [tenantId, count] of sizes) await submit(t, tenantId, count);
      const journalRev = new Set<string>();
      const shares: number[][] = [];
      for (let n = 0; n < 5; n += 1) {
        const claims = await t.claimOfBoth({ max: 48 });
        for (const { task } of claims) journalRev.add(task.task_id);
        shares.push([...sizes.keys()].map((tenantId) => countOf(claims, tenantId)));
      }
      assert.deepEqual(shares[0], [16, 16, 16]);
      assert.deepEqual(shares[1], [19, 0, 17]);
      assert.equal(journalRev.size, 84);
      // A tenant that left the empty rotation returns with its next task.
      for (const tenantId of sizes.keys()) await submit(t, tenantId, 1);
      const last = await t.claimOfBoth({ max: 48 });
      assert.deepEqual(
        [...sizes.keys()].map((tenantId) => countOf(last, tenantId)),
        [1, 1, 1],
      );
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'alternates between two tenants within one claim',
    async run(t) {
      await submit(t, t.tenantId, 40);
      await submit(t, t.otherTenantId, 40);
      for (let n = 0; n < 2; n += 1) {
        const claims = await t.claimOfBoth({ max: 32 });
        assert.deepEqual([claims.length, countOf(claims, t.tenantId)], [32, 16]);
      }
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'reaches each of many tenants, past those without a task for the worker',
    async run(t) {
      const tenants = Array.from({ length: 37 }, (_, at) => `${t.tenantId}-${at}`);
      await Promise.all(tenants.map((tenantId) => submit(t, tenantId, 2)));
      // Tenants without a task for the worker block no other.
      await t.storage.tenants.configure({ tenantId: tenants[0] ?? '', paused: true });
      const first = await t.claimOfBoth({ max: 60 });
      const second = await t.claimOfBoth({ max: 60 });
      assert.deepEqual([first.length, second.length], [60, 12]);
      const claimed = [...first, ...second];
      assert.equal(new Set(claimed.map(({ task }) => task.task_id)).size, 72);
      for (const tenantId of tenants.slice(1)) assert.equal(countOf(claimed, tenantId), 2);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'gives a tenant that returns to the rotation no more than the others',
    async run(t) {
      await submit(t, t.tenantId, 1);
      await submit(t, t.otherTenantId, 120);
      for (let n = 0; n < 4; n += 1) await t.claimOfBoth({ max: 16 });
      await submit(t, t.tenantId, 60);
      const [first, second] = [await t.claimOfBoth({ max: 16 }), await t.claimOfBoth({ max: 16 })];
      const own = countOf([...first, ...second], t.tenantId);
      assert.equal(first.length + second.length, 32);
      assert.ok(own >= 8 && own <= 24, `about half, not all that it has missed: ${own} of 32`);
    },
  },
];

export const turnCases: readonly ConformanceCase[] = [...orderCases, ...rotationCases];
