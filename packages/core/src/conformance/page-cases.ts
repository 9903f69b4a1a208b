import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const { scannedAtOnce, pageBytes } = DEFAULTS;
/** Two of these fit into a page, three do not. */
const LARGE = 'x'.repeat(Math.floor(0.4 * pageBytes));
/** Concurrent requests of a case with many more. */
const AT_ONCE = 100;

interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string | undefined;
}

/** All pages from the first on. */
async function pagesOf<T>(read: (after: string | undefined) => Promise<Page<T>>): Promise<Page<T>[]> {
  const pages: Page<T>[] = [];
  let after: string | undefined;
  do {
    const page = await read(after);
    pages.push(page);
    after = page.next;
    assert.ok(pages.length < 200, 'expected the pages to come to an end');
  } while (after !== undefined);
  return pages;
}

async function many(count: number, make: () => Promise<unknown>): Promise<void> {
  for (let made = 0; made < count; made += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - made) }, make));
}

async function taskPages(t: CaseTools, filter: object, limit = 10) {
  return pagesOf(async (after) => {
    const more = after === undefined ? {} : { after };
    const { tasks, next } = await t.storage.tasks.list({ tenantId: t.tenantId, filter, limit, ...more });
    return { items: tasks.map(({ task_id }) => task_id), next };
  });
}

async function sessionPages(t: CaseTools, status?: 'closed') {
  return pagesOf(async (after) => {
    const more = { ...(after !== undefined && { after }), ...(status && { status }) };
    const page = await t.storage.sessions.list({ tenantId: t.tenantId, limit: 10, ...more });
    return { items: page?.sessions.map(({ session_id }) => session_id) ?? [], next: page?.next };
  });
}

/** Pages are bounded by entries scanned and by bytes, and name the start of the next one. */
export const pageCases: readonly ConformanceCase[] = [
  {
    part: 'tasks',
    method: 'list',
    name: 'scans a bounded number of tasks for a page, and continues at next',
    async run(t) {
      const oldest = await t.submit({ type: t.otherType });
      await many(scannedAtOnce + 5, () => t.submit());
      for (const filter of [{ type: t.otherType }, { type: t.otherType, status: 'pending' }]) {
        const pages = await taskPages(t, filter);
        assert.deepEqual(
          pages.map(({ items }) => items),
          [[], [oldest.task_id]],
        );
      }
      assert.deepEqual(
        (await taskPages(t, { status: 'failed' })).flatMap(({ items }) => items),
        [],
      );
    },
  },
  {
    part: 'tasks',
    method: 'list',
    name: 'ends a page before it is too large, but returns a single larger task',
    async run(t) {
      const ids: string[] = [];
      const most = 'x'.repeat(pageBytes - 2);
      for (const payload of [LARGE, most, LARGE, LARGE, LARGE])
        ids.unshift((await t.submit({ payload })).task_id);
      const pages = await taskPages(t, {});
      assert.deepEqual(
        pages.map(({ items }) => items),
        [ids.slice(0, 2), ids.slice(2, 3), ids.slice(3, 4), ids.slice(4)],
      );
      assert.deepEqual(
        (await taskPages(t, {}, 1)).flatMap(({ items }) => items),
        ids,
      );
    },
  },
  {
    part: 'tasks',
    method: 'list',
    name: 'counts large results, and finds ended tasks by status without them',
    async run(t) {
      const ended: string[] = [];
      for (let n = 0; n < 3; n += 1) {
        const claim = await t.leased();
        await t.settle(claim, { kind: 'completed', result: LARGE });
        ended.unshift(claim.task.task_id);
      }
      const pages = await taskPages(t, { status: 'completed' });
      assert.deepEqual(
        pages.map(({ items }) => items),
        [ended.slice(0, 2), ended.slice(2)],
      );
      assert.equal((await t.get(ended[0] ?? '')).result, LARGE);
      assert.deepEqual(await taskPages(t, { status: 'pending' }), [{ items: [], next: undefined }]);
    },
  },
  {
    part: 'sessions',
    method: 'list',
    name: 'scans a bounded number of sessions for a page, and ends it before it is too large',
    async run(t) {
      const create = (sessionId: string, context = {}) =>
        t.storage.sessions.create({ tenantId: t.tenantId, sessionId, context });
      await create('first');
      await t.storage.sessions.close({ tenantId: t.tenantId, sessionId: 'first', graceMs: 0 });
      await many(scannedAtOnce + 5, () => create(t.name('s')));
      assert.deepEqual(
        (await sessionPages(t, 'closed')).map(({ items }) => items),
        [[], ['first']],
      );
      for (const sessionId of ['a', 'b', 'c']) await create(sessionId, { text: LARGE });
      const [first, second] = await sessionPages(t);
      assert.deepEqual(first?.items, ['c', 'b']);
      assert.deepEqual([second?.items[0], second?.items.length], ['a', 10]);
    },
  },
  {
    part: 'sessions',
    method: 'messages',
    name: 'returns fewer large messages: earlier ones come before the oldest returned',
    async run(t) {
      const where = { tenantId: t.tenantId, sessionId: 's' };
      await t.storage.sessions.create({ ...where, context: {} });
      for (const id of ['m1', 'm2', 'm3', 'm4', 'm5']) {
        const message = { message_id: id, role: 'user', content: id === 'm3' ? 'small' : LARGE } as const;
        await t.storage.sessions.append({ ...where, message });
      }
      const ids = async (before?: string) => {
        const more = before === undefined ? {} : { before };
        const found = await t.storage.sessions.messages({ ...where, limit: 10, ...more });
        return found?.map(({ message_id }) => message_id);
      };
      assert.deepEqual(await ids(), ['m3', 'm4', 'm5']);
      assert.deepEqual(await ids('m3'), ['m1', 'm2']);
    },
  },
  {
    part: 'sessions',
    method: 'get',
    name: 'returns the oldest live tasks, and says that there are more',
    async run(t) {
      const where = { tenantId: t.tenantId, sessionId: 's' };
      const ids: string[] = [];
      for (let n = 0; n < 3; n += 1) ids.push((await t.submit({ session_id: 's', payload: LARGE })).task_id);
      const state = await t.storage.sessions.get(where);
      assert.deepEqual([state?.tasks.map(({ task_id }) => task_id), state?.more], [ids.slice(0, 2), true]);
      await t.storage.tasks.cancel({
        tenantId: t.tenantId,
        taskId: ids[2] ?? '',
        reason: 'enough',
        graceMs: 0,
      });
      assert.equal((await t.storage.sessions.get(where))?.more, undefined);
      await many(DEFAULTS.sessionTasks, () => t.submit({ session_id: 'many' }));
      const inMany = { ...where, sessionId: 'many' };
      assert.equal((await t.storage.sessions.get(inMany))?.more, undefined);
      await t.submit({ session_id: 'many' });
      const full = await t.storage.sessions.get(inMany);
      assert.deepEqual([full?.tasks.length, full?.more], [DEFAULTS.sessionTasks, true]);
    },
  },
  {
    part: 'tasks',
    method: 'getBatch',
    name: 'returns large items in pages, with all of them counted on each',
    async run(t) {
      const items = Array.from({ length: 4 }, () => t.submission());
      const batchId = t.id();
      const batch = { batchId, maxInFlight: 4, failFast: false, items };
      await t.storage.tasks.submitBatch({ tenantId: t.tenantId, batch, maxWaiting: 10 });
      for (const claim of await t.claim()) await t.settle(claim, { kind: 'completed', result: LARGE });
      const read = (results: boolean) =>
        pagesOf(async (after) => {
          const more = after === undefined ? {} : { after };
          const page = await t.storage.tasks.getBatch({ tenantId: t.tenantId, batchId, results, ...more });
          assert.deepEqual([page?.total, page?.counts.completed], [4, 4]);
          return { items: page?.items ?? [], next: page?.next };
        });
      const withResults = await read(true);
      assert.deepEqual(
        withResults.map((page) => page.items.map(({ index, result }) => [index, result === LARGE])),
        [
          [
            [0, true],
            [1, true],
          ],
          [
            [2, true],
            [3, true],
          ],
        ],
      );
      assert.deepEqual(
        (await read(false)).map((page) => page.items.length),
        [4],
      );
    },
  },
  {
    part: 'tasks',
    method: 'firstReady',
    name: 'returns the first ready tasks over all types by priority, and no waiting or foreign one',
    async run(t) {
      const low = await t.submit({ priority: 1 });
      const other = await t.submit({ priority: 9, type: t.otherType });
      const normal = await t.submit({ session_id: 's' });
      await t.submit({ session_id: 's' });
      await t.submit({ runAt: t.now() + 60_000 });
      const second = await t.submit();
      const first = async (limit: number, tenantId = t.tenantId) =>
        (await t.storage.tasks.firstReady({ tenantId, limit })).map(({ task_id }) => task_id);
      const inOrder = [other, normal, second, low].map(({ task_id }) => task_id);
      assert.deepEqual(await first(10), inOrder);
      assert.deepEqual(await first(2), inOrder.slice(0, 2));
      assert.deepEqual(await first(10, t.otherTenantId), []);
      // Tasks that this worker does not run are set aside, and stay queued.
      await t.claim({ max: 1 });
      assert.deepEqual(await first(10), [other.task_id, ...inOrder.slice(2)]);
      const [shown] = await t.storage.tasks.firstReady({ tenantId: t.tenantId, limit: 1 });
      assert.deepEqual(shown, await t.get(other.task_id));
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'ends before it is too large, and continues at its cursor without a gap',
    async run(t) {
      for (let n = 0; n < 3; n += 1)
        await t.settle(await t.leased(), { kind: 'completed', result: [n, LARGE] });
      const seen: unknown[] = [];
      let pages = 0;
      let after = await t.beginning();
      for (; pages < 100; pages += 1) {
        const page = await t.storage.events.read({ tenantId: t.tenantId, after, limit: 1_000 });
        if (page.events.length === 0) break;
        assert.equal(page.gap, undefined);
        assert.ok(Buffer.byteLength(JSON.stringify(page.events)) <= pageBytes + 2);
        for (const { event, data } of page.events)
          if (event === 'task_completed') seen.push((data as unknown[])[0]);
        after = page.cursor;
      }
      assert.deepEqual(seen, [0, 1, 2]);
      assert.equal(pages, 2);
      assert.equal((await t.log()).length, 9);
    },
  },
];
