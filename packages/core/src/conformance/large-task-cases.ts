import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const { pageBytes } = DEFAULTS;
/** Two of these fit into a claim, three do not. */
const LARGE = 'x'.repeat(Math.floor(0.4 * pageBytes));
/** The largest allowed payload: no other large one fits beside it. */
const LARGEST = 'x'.repeat(pageBytes - 2);
const SMALL = 'small';

async function submitAll(
  t: CaseTools,
  payloads: readonly string[],
  priority = 4,
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const payload of payloads) ids.push((await t.submit({ payload, priority })).task_id);
  return ids;
}

const idsOf = (claims: readonly Claim[]) => claims.map(({ task }) => task.task_id);

/** Size of a claim: as many tasks as requested, within a limit on the bytes of their payloads. */
export const largeTaskCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'returns at most 1 MiB of large payloads, and leaves the rest queued in order',
    async run(t) {
      const ids = await submitAll(t, [LARGE, LARGE, LARGE, LARGE, LARGE]);
      for (const some of [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]) {
        const claims = await t.claim();
        assert.deepEqual(idsOf(claims), some);
        assert.deepEqual(new Set(claims.map(({ task }) => task.payload)), new Set([LARGE]));
      }
      assert.deepEqual(await t.claim(), []);
      const { counts } = await t.storage.tasks.counts({ tenantId: t.tenantId });
      assert.deepEqual([counts.pending, counts.processing], [0, 5]);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'returns at least one large task, and small ones in any number',
    async run(t) {
      const [first, second, ...small] = await submitAll(t, [LARGEST, LARGEST, SMALL, SMALL]);
      assert.deepEqual(idsOf(await t.claim()), [first]);
      assert.deepEqual(idsOf(await t.claim()), [second, ...small]);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'counts no small tasks towards the limit of large ones',
    async run(t) {
      const ids = await submitAll(t, [
        LARGE,
        ...Array.from({ length: 40 }, () => SMALL),
        LARGE,
        SMALL,
        LARGE,
      ]);
      assert.deepEqual(idsOf(await t.claim({ max: 60 })), ids.slice(0, 43));
      assert.deepEqual(idsOf(await t.claim({ max: 60 })), ids.slice(43));
      const more = await submitAll(t, [SMALL, SMALL]);
      assert.deepEqual(idsOf(await t.claim()), more);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'returns large tasks by priority, and leaves a skipped one to a worker of its type',
    async run(t) {
      const [low, alsoLow] = await submitAll(t, [LARGE, LARGE], 2);
      const [high] = await submitAll(t, [LARGE], 8);
      const foreign = await t.submit({ type: t.otherType, payload: LARGE, priority: 9 });
      assert.deepEqual(idsOf(await t.claim()), [high, low]);
      assert.deepEqual(idsOf(await t.claim()), [alsoLow]);
      const others = await t.claim({ runs: [{ type: t.otherType, versions: [1] }], workerId: 'other' });
      assert.deepEqual(idsOf(others), [foreign.task_id]);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'alternates tenants whose tasks fill a claim each',
    async run(t) {
      const both = [t.tenantId, t.otherTenantId];
      for (let n = 0; n < 3; n += 1)
        for (const tenantId of both) {
          const submission = t.submission({ payload: LARGEST });
          await t.storage.tasks.submit({ tenantId, submission, maxWaiting: 100 });
        }
      for (let n = 0; n < 3; n += 1) {
        const claims = [...(await t.claimOfBoth()), ...(await t.claimOfBoth())];
        assert.deepEqual(new Set(claims.map(({ task }) => task.tenant_id)), new Set(both));
        assert.equal(claims.length, 2);
      }
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'returns the same large tasks for a repeated claim id',
    async run(t) {
      const ids = await submitAll(t, [LARGE, LARGE, LARGE]);
      const claimId = t.id();
      for (let n = 0; n < 2; n += 1) assert.deepEqual(idsOf(await t.claim({ claimId })), ids.slice(0, 2));
      assert.deepEqual(idsOf(await t.claim()), ids.slice(2));
    },
  },
];
