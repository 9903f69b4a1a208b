import assert from 'node:assert/strict';
import type { Claim } from '../storage/task-queue.js';
import type { TenantSettings, TenantStats, ConfigureTenantParams } from '../storage/tenant-store.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const error = { code: 'service_error', message: 'busy', retryable: true } as const;
const COUNTS = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };

type Change = Omit<ConfigureTenantParams, 'tenantId'>;

const stats = (t: CaseTools, tenantId = t.tenantId): Promise<TenantStats> =>
  t.storage.tenants.get({ tenantId });
const configure = async (t: CaseTools, change: Change, tenantId = t.tenantId): Promise<TenantSettings> =>
  (await t.storage.tenants.configure({ tenantId, ...change })).settings;

async function submit(t: CaseTools, count: number, tenantId = t.tenantId, type = t.type): Promise<void> {
  const submissions = Array.from({ length: count }, () => t.submission({ type }));
  await Promise.all(
    submissions.map((submission) => t.storage.tasks.submit({ tenantId, submission, maxWaiting: 1_000_000 })),
  );
}

/** Number of tasks of each tenant in one claim. */
async function shares(t: CaseTools, max: number): Promise<{ readonly own: number; readonly other: number }> {
  const claims = await t.claimOfBoth({ max });
  const own = claims.filter(({ task }) => task.tenant_id === t.tenantId).length;
  return { own, other: claims.length - own };
}

/** All tenants, by pages. */
async function listed(t: CaseTools, limit: number): Promise<TenantStats[]> {
  const all: TenantStats[] = [];
  let after: string | undefined;
  do {
    const page = await t.storage.tenants.list({ limit, ...(after !== undefined && { after }) });
    assert.ok(page.tenants.length <= limit, 'no page is longer than it may be');
    all.push(...page.tenants);
    after = page.next;
    const ids = all.map(({ tenantId }) => tenantId);
    assert.deepEqual(ids, [...new Set(ids)].toSorted(), 'by id, each once');
  } while (after !== undefined);
  return all;
}

/** Every way to free a slot of a tenant, with the steps that lead to it. */
const WAYS: Readonly<Record<string, (t: CaseTools, claim: Claim) => Promise<unknown>>> = {
  completes: (t, claim) => t.settle(claim, { kind: 'completed', result: 1 }),
  fails: (t, claim) => t.settle(claim, { kind: 'failed', error }),
  'is to be tried again': (t, claim) => t.settle(claim, { kind: 'retry', error, delayMs: 60_000 }),
  'is parked': (t, claim) => t.settle(claim, { kind: 'parked', journalRev: claim.journalRev }),
  'is given back': (t, claim) => t.settle(claim, { kind: 'released' }),
  'loses its lease': (t) => t.pass(31_000),
  'is cancelled': async (t, claim) => {
    await t.storage.tasks.cancel({ ...t.where(claim), reason: 'enough', graceMs: 5_000 });
    assert.deepEqual(await t.claim({ workerId: 'eager' }), [], 'not before the grace is over');
    await t.pass(5_000);
  },
  'is past its deadline': (t) => t.pass(20_000),
};

const freedCases = Object.entries(WAYS).map(([way, happen]): ConformanceCase => ({
  part: 'tenants',
  method: 'configure',
  name: `frees the slot of a task for the next once it ${way}`,
  async run(t) {
    await configure(t, { maxRunning: 1 });
    await t.submit({ timeoutMs: 20_000 + (way === 'is past its deadline' ? 0 : 60_000) });
    await t.submit();
    const first = await t.claimOne();
    assert.deepEqual(await t.claim(), []);
    await happen(t, first);
    const next = await t.claim({ workerId: 'next' });
    assert.equal(next.length, 1);
    assert.notEqual(next[0]?.token, first.token);
    assert.equal((await stats(t)).running, 1);
  },
}));

const getCases: readonly ConformanceCase[] = [
  {
    part: 'tenants',
    method: 'get',
    name: 'returns defaults and zeros for an unknown tenant, and does not register it',
    async run(t) {
      assert.deepEqual(await stats(t), {
        tenantId: t.tenantId,
        settings: { weight: 1, paused: false },
        counts: COUNTS,
        ready: 0,
        running: 0,
      });
      assert.ok((await listed(t, 100)).every(({ tenantId }) => tenantId !== t.tenantId));
    },
  },
  {
    part: 'tenants',
    method: 'get',
    name: 'counts claimable and running tasks, and dates the oldest',
    async run(t) {
      const startCursor = t.now();
      await t.submit({ session_id: 's' });
      await t.submit({ session_id: 's' });
      await t.submit({ runAt: startCursor + 100_000 });
      await t.advance(5_000);
      await t.submit();
      await submit(t, 7, t.otherTenantId, t.otherType);
      const numbers = async () => {
        const { ready, running, counts, oldestReadyAt } = await stats(t);
        return [ready, running, counts.pending, counts.processing, oldestReadyAt];
      };
      assert.deepEqual(await numbers(), [2, 0, 4, 0, startCursor]);
      const claim = await t.claimOne({ max: 1 });
      assert.deepEqual(await numbers(), [1, 1, 3, 1, startCursor + 5_000]);
      await t.settle(claim, { kind: 'parked', journalRev: claim.journalRev });
      assert.deepEqual(await numbers(), [1, 0, 3, 1, startCursor + 5_000]);
      await t.storage.queue.wake(t.where(claim));
      assert.deepEqual(await numbers(), [2, 0, 3, 1, startCursor], 'woken is ready again');
      await t.settle(await t.claimOne({ max: 1 }), { kind: 'completed', result: 1 });
      const { counts, ready } = await stats(t);
      assert.deepEqual([counts, ready], [{ ...COUNTS, pending: 3, completed: 1 }, 2]);
    },
  },
];

const configureCases: readonly ConformanceCase[] = [
  {
    part: 'tenants',
    method: 'configure',
    name: 'changes the given settings of this tenant only',
    async run(t) {
      assert.deepEqual(await configure(t, { weight: 3 }, t.otherTenantId), { weight: 3, paused: false });
      assert.deepEqual(await configure(t, { maxRunning: 5 }), { weight: 1, maxRunning: 5, paused: false });
      assert.deepEqual(await configure(t, { paused: true }), { weight: 1, maxRunning: 5, paused: true });
      assert.deepEqual(await configure(t, { weight: 100 }), { weight: 100, maxRunning: 5, paused: true });
      assert.deepEqual(await configure(t, { maxRunning: null }), { weight: 100, paused: true });
      assert.deepEqual(await configure(t, {}), { weight: 100, paused: true });
      const both = { requestsPerMinute: 600, burst: 20 };
      assert.deepEqual(await configure(t, { rates: both }), { weight: 100, paused: true, rates: both });
      assert.deepEqual((await configure(t, { rates: { burst: 30 } })).rates, { ...both, burst: 30 });
      assert.deepEqual((await configure(t, { rates: { burst: null } })).rates, { requestsPerMinute: 600 });
      assert.deepEqual((await stats(t)).settings.rates, { requestsPerMinute: 600 });
      assert.deepEqual((await configure(t, { weight: 100 })).rates, { requestsPerMinute: 600 });
      assert.deepEqual((await configure(t, { rates: { burst: 7 } })).rates, { ...both, burst: 7 });
      assert.deepEqual(await configure(t, { rates: null }), { weight: 100, paused: true });
      assert.deepEqual((await stats(t)).settings, { weight: 100, paused: true });
      assert.deepEqual((await stats(t, t.otherTenantId)).settings, { weight: 3, paused: false });
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'accepts tasks of a paused tenant, and leases none until it is resumed',
    async run(t) {
      await submit(t, 2);
      await configure(t, { paused: true });
      assert.deepEqual(await t.claim(), []);
      await submit(t, 1);
      assert.deepEqual(await t.claim(), []);
      const { counts, ready } = await stats(t);
      assert.deepEqual([counts.pending, ready], [3, 3]);
      await configure(t, { paused: false });
      assert.equal((await t.claim()).length, 3);
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'lets running tasks of a paused tenant finish, and holds released ones back',
    async run(t) {
      await submit(t, 3);
      const claimId = t.id();
      const claims = await t.claim({ claimId });
      const [ends, comesBack, parks] = claims;
      assert.ok(ends && comesBack && parks);
      await configure(t, { paused: true });
      assert.equal((await t.claim({ claimId })).length, 3, 'the same claim is the same claim');
      const leases = claims.map((claim) => ({ ...t.where(claim), token: claim.token }));
      assert.deepEqual(await t.storage.queue.renew({ leases, leaseMs: 30_000 }), []);
      assert.equal(await t.settle(ends, { kind: 'completed', result: 1 }), 'settled');
      assert.equal(await t.settle(comesBack, { kind: 'released' }), 'settled');
      assert.equal(await t.settle(parks, { kind: 'parked', journalRev: parks.journalRev }), 'settled');
      assert.equal(await t.storage.queue.wake(t.where(parks)), 'woken');
      assert.deepEqual(await t.claim(), []);
      await configure(t, { paused: false });
      assert.equal((await t.claim()).length, 2);
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'limits running tasks within one claim and over several',
    async run(t) {
      await configure(t, { maxRunning: 3 });
      await submit(t, 12);
      const claims = await t.claim({ max: 10 });
      assert.equal(claims.length, 3);
      assert.deepEqual(await t.claim({ workerId: 'another' }), []);
      await configure(t, { maxRunning: 5 });
      claims.push(...(await t.claim({ max: 1 })), ...(await t.claim({ max: 10 })));
      assert.equal(claims.length, 5);
      await configure(t, { maxRunning: 2 });
      for (const claim of claims.slice(0, 3)) await t.settle(claim, { kind: 'completed', result: 1 });
      assert.deepEqual(await t.claim(), [], 'as many as may run do');
      await t.settle(claims[3] as Claim, { kind: 'completed', result: 1 });
      assert.equal((await t.claim()).length, 1);
      await configure(t, { maxRunning: null });
      assert.equal((await t.claim()).length, 6);
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'blocks no other tenant',
    async run(t) {
      await submit(t, 20);
      await submit(t, 6, t.otherTenantId);
      await configure(t, { paused: true });
      assert.deepEqual(await shares(t, 3), { own: 0, other: 3 });
      await configure(t, { paused: false, maxRunning: 1 });
      assert.deepEqual(await shares(t, 4), { own: 1, other: 3 });
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'divides claims by weight',
    async run(t) {
      await configure(t, { weight: 3 });
      await submit(t, 280);
      await submit(t, 120, t.otherTenantId);
      let [own, other] = [0, 0];
      for (let claims = 0; claims < 40; claims += 1) {
        const shared = await shares(t, 8);
        own += shared.own;
        other += shared.other;
      }
      assert.equal(own + other, 320);
      const ratio = own / other;
      assert.ok(ratio >= 2.2 && ratio <= 4, `three to one, more or less: ${own} to ${other}`);
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'publishes a wake-up when tasks may be claimed again',
    async run(t) {
      const published: string[] = [];
      const unsubscribe = t.storage.wakeups.subscribe(({ kind }) => published.push(kind));
      const publishes = async (step: () => Promise<unknown>) => {
        await t.advance(0);
        published.length = 0;
        await step();
        await t.advance(0);
        return published.includes('ready');
      };
      await t.claim();
      await configure(t, { maxRunning: 1, paused: true });
      await submit(t, 3);
      assert.ok(await publishes(() => configure(t, { paused: false })), 'it is resumed');
      const claim = await t.claimOne();
      assert.ok(await publishes(() => t.settle(claim, { kind: 'completed', result: 1 })), 'a slot is free');
      await t.claimOne();
      assert.ok(await publishes(() => configure(t, { maxRunning: null })), 'the limit is lifted');
      unsubscribe();
    },
  },
  {
    part: 'tenants',
    method: 'configure',
    name: 'explains why a ready task of a limited or paused tenant is not claimed',
    async run(t) {
      await t.storage.workers.announce({ workerId: t.id(), runs: t.runs() });
      await configure(t, { maxRunning: 3 });
      await submit(t, 3);
      const last = await t.submit({ priority: 0 });
      await t.claim();
      const explained = async () => {
        const { state, reason } = (await t.storage.tasks.explain({
          tenantId: t.tenantId,
          taskId: last.task_id,
        })) ?? { state: '', reason: '' };
        return [state, reason];
      };
      assert.deepEqual(await explained(), ['ready', 'the tenant has 3 of at most 3 tasks running']);
      await configure(t, { paused: true });
      assert.deepEqual(await explained(), ['ready', `tenant "${t.tenantId}" is paused`]);
    },
  },
];

const listCases: readonly ConformanceCase[] = [
  {
    part: 'tenants',
    method: 'list',
    name: 'lists known tenants by id, in pages, as get returns them',
    async run(t) {
      await t.leased();
      await t.submit();
      await configure(t, { paused: true, weight: 7 }, t.otherTenantId);
      for (const limit of [2, 100]) {
        const all = await listed(t, limit);
        for (const tenantId of [t.tenantId, t.otherTenantId]) {
          assert.deepEqual(
            all.find((each) => each.tenantId === tenantId),
            await stats(t, tenantId),
          );
        }
      }
      const [first] = (await t.storage.tenants.list({ limit: 1 })).tenants;
      assert.equal((await listed(t, 100))[0]?.tenantId, first?.tenantId);
    },
  },
  {
    part: 'tenants',
    method: 'list',
    name: 'continues after the last tenant of the page before',
    async run(t) {
      await submit(t, 1);
      await submit(t, 1, t.otherTenantId);
      const first = await t.storage.tenants.list({ limit: 1 });
      assert.equal(first.tenants.length, 1);
      assert.ok(first.next !== undefined, 'there is another one');
      const second = await t.storage.tenants.list({ limit: 1, after: first.next });
      assert.equal(second.tenants.length, 1);
      assert.ok((second.tenants[0]?.tenantId ?? '') > (first.tenants[0]?.tenantId ?? ''));
    },
  },
];

export const tenantCases: readonly ConformanceCase[] = [
  ...getCases,
  ...configureCases,
  ...freedCases,
  ...listCases,
];
