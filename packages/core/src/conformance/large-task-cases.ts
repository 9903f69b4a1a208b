import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const { pageBytes } = DEFAULTS;
/** Two of these come with a claim, a third one is too much. */
const LARGE = 'x'.repeat(Math.floor(0.4 * pageBytes));
/** As large as a payload may be: no other large one comes with it. */
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

/** What a claim brings: as many as are asked for, but no more than so many bytes of them. */
export const largeTaskCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'brings no more large tasks than 1 MiB, and leaves the others where they are, the next one first',
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
    name: 'brings one large task at least, however large, and small ones whatever came before',
    async run(t) {
      const [first, second, ...small] = await submitAll(t, [LARGEST, LARGEST, SMALL, SMALL]);
      assert.deepEqual(idsOf(await t.claim()), [first]);
      assert.deepEqual(idsOf(await t.claim()), [second, ...small]);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'counts no small tasks among large ones',
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
    name: 'takes large tasks by their priority, and leaves a large one that was set aside to a worker that runs it',
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
    name: 'lets tenants take turns where each of their tasks fills a claim',
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
    name: 'is the same claim when it is asked again, also of large tasks',
    async run(t) {
      const ids = await submitAll(t, [LARGE, LARGE, LARGE]);
      const claimId = t.id();
      for (let n = 0; n < 2; n += 1) assert.deepEqual(idsOf(await t.claim({ claimId })), ids.slice(0, 2));
      assert.deepEqual(idsOf(await t.claim()), ids.slice(2));
    },
  },
];
