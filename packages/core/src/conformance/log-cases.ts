import assert from 'node:assert/strict';
import type { TaskEvent } from '../protocol/events.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { LogGap } from '../storage/event-log.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

/** Reads `count` events after `after` while `meanwhile` runs. */
async function take(
  t: CaseTools,
  after: string,
  count: number,
  meanwhile: () => Promise<unknown> = async () => undefined,
) {
  const over = new AbortController();
  const taken: (TaskEvent | LogGap)[] = [];
  const following = (async () => {
    for await (const event of t.storage.events.follow({ tenantId: t.tenantId, after, signal: over.signal })) {
      taken.push(event);
      if (taken.length === count) break;
    }
  })();
  await meanwhile();
  await following;
  over.abort();
  return taken;
}

export const logCases: readonly ConformanceCase[] = [
  {
    part: 'events',
    method: 'head',
    name: 'returns the last position, separately for each tenant',
    async run(t) {
      const before = await t.storage.events.head({ tenantId: t.tenantId });
      await t.submit();
      const after = await t.storage.events.head({ tenantId: t.tenantId });
      const seq = (cursor: string) => Number(cursor.split(':')[1]);
      assert.equal(seq(after), seq(before) + 1);
      assert.equal(seq(await t.storage.events.head({ tenantId: t.otherTenantId })), 0);
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'returns events in order, in pages, without holes',
    async run(t) {
      for (let n = 0; n < 5; n += 1) await t.submit();
      const seen: string[] = [];
      let after = await t.beginning();
      for (;;) {
        const page = await t.storage.events.read({ tenantId: t.tenantId, after, limit: 2 });
        if (page.events.length === 0) break;
        assert.ok(page.events.length <= 2);
        assert.equal(page.gap, undefined);
        seen.push(...page.events.map(({ cursor }) => cursor));
        assert.equal(page.cursor, seen.at(-1));
        after = page.cursor;
      }
      assert.deepEqual(
        seen.map((cursor) => Number(cursor.split(':')[1])),
        [1, 2, 3, 4, 5],
      );
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'numbers the events of a task without holes',
    async run(t) {
      const { claim, jobId } = await t.withJob();
      await t.report(jobId, null, { body: { kind: 'status', status: 'x', details: {} } });
      await t.settle(claim, { kind: 'completed', result: 1 });
      const events = (await t.log()).filter(({ task_id }) => task_id === claim.task.task_id);
      assert.deepEqual(
        events.map(({ event, rev }) => [event, rev]),
        [
          ['task_created', 1],
          ['task_started', 2],
          ['task_status_update', 3],
          ['task_completed', 4],
        ],
      );
      for (const event of events) {
        assert.equal(event.tenant_id, t.tenantId);
        assert.equal(event.global_task_id, claim.task.task_id);
        assert.equal(event.timestamp, new Date(t.now()).toISOString());
      }
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'reports a gap for a cursor that cannot be resumed',
    async run(t) {
      await t.submit();
      const head = await t.storage.events.head({ tenantId: t.tenantId });
      const [epoch, seq] = head.split(':');
      for (const after of [`x${epoch}:1`, `${epoch}:${Number(seq) + 5}`]) {
        const page = await t.storage.events.read({ tenantId: t.tenantId, after, limit: 10 });
        assert.equal(page.gap?.from, after);
        assert.equal(page.gap?.event, 'gap');
      }
    },
  },
  {
    part: 'events',
    method: 'follow',
    name: 'leaves the position before the first event valid after the last follower of an empty log',
    async run(t) {
      const { tenantId } = t;
      const start = await t.storage.events.head({ tenantId });
      const over = new AbortController();
      const events = t.storage.events.follow({ tenantId, after: start, signal: over.signal });
      const first = events[Symbol.asyncIterator]().next();
      over.abort();
      await first;
      for (let sweep = 0; sweep < 5; sweep += 1) {
        await t.pass(60_000);
        await t.storage.queue.sweep({ max: 100 });
      }
      await t.submit();
      const page = await t.storage.events.read({ tenantId, after: start, limit: 10 });
      assert.deepEqual([page.gap, page.events.length], [undefined, 1]);
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'keeps events for a day, and reports a gap where older ones are missing',
    async run(t) {
      const dayMs = 86_400_000;
      const submit = async () => (await t.submit({ timeoutMs: 9 * dayMs })).task_id;
      await submit();
      await t.pass(dayMs - 1_000);
      const second = await submit();
      const beginning = await t.beginning();
      const [epoch] = beginning.split(':');
      const read = (after: string) => t.storage.events.read({ tenantId: t.tenantId, after, limit: 10 });
      assert.equal((await read(beginning)).events.length, 2);
      await t.pass(2_000);
      const third = await submit();
      assert.equal((await read(beginning)).gap?.from, beginning);
      const kept = await read(`${epoch}:1`);
      assert.equal(kept.gap, undefined);
      assert.deepEqual(
        kept.events.map(({ task_id }) => task_id),
        [second, third],
      );
      await t.pass(2 * dayMs);
      const last = await submit();
      assert.equal((await read(`${epoch}:2`)).gap?.from, `${epoch}:2`);
      assert.deepEqual(
        (await read(`${epoch}:3`)).events.map(({ task_id, cursor }) => [task_id, cursor]),
        [[last, `${epoch}:4`]],
      );
    },
  },
  {
    part: 'events',
    method: 'follow',
    name: 'delivers stored events, then new ones, each once',
    async run(t) {
      await t.submit();
      await t.submit();
      const events = await take(t, await t.beginning(), 4, async () => {
        await t.submit();
        await t.submit();
      });
      const seqs = events.map((event) => ('cursor' in event ? Number(event.cursor.split(':')[1]) : 'gap'));
      assert.deepEqual(seqs, [1, 2, 3, 4]);
    },
  },
  {
    part: 'events',
    method: 'follow',
    name: 'begins with a gap for a cursor of another log, and continues with the stored events',
    async run(t) {
      await t.submit();
      const [gap, event] = await take(t, 'elsewhere:7', 2);
      assert.equal(gap?.event, 'gap');
      assert.equal(event?.event, 'task_created');
    },
  },
  {
    part: 'events',
    method: 'follow',
    name: 'ends with its signal, and delivers no events of other tenants',
    async run(t) {
      const over = new AbortController();
      const taken: unknown[] = [];
      const following = (async () => {
        const after = await t.storage.events.head({ tenantId: t.otherTenantId });
        for await (const event of t.storage.events.follow({
          tenantId: t.otherTenantId,
          after,
          signal: over.signal,
        }))
          taken.push(event);
      })();
      await t.submit();
      over.abort();
      await following;
      assert.deepEqual(taken, []);
    },
  },
  {
    part: 'usage',
    method: 'add',
    name: 'adds the usage of an id once',
    async run(t) {
      const add = (id: string, tokens: number) =>
        t.storage.usage.add({ tenantId: t.tenantId, id, model: 'm', operation: 'o', tokens, savedTokens: 1 });
      await Promise.all([add('a', 5), add('a', 5), add('b', 7)]);
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const rows = await t.storage.usage.sum({ tenantId: t.tenantId, from: day, to: day });
      assert.deepEqual(rows, [{ day, model: 'm', operation: 'o', tokens: 12, requests: 2, saved_tokens: 2 }]);
    },
  },
  {
    part: 'usage',
    method: 'sum',
    name: 'returns a row for each day, model and operation, of the tenant and days requested',
    async run(t) {
      const add = (model: string, operation: string) =>
        t.storage.usage.add({
          tenantId: t.tenantId,
          id: t.id(),
          model,
          operation,
          tokens: 1,
          savedTokens: 0,
        });
      await add('m', 'o');
      await add('n', 'o');
      const first = new Date(t.now()).toISOString().slice(0, 10);
      await t.advance(86_400_000);
      await add('m', 'p');
      const second = new Date(t.now()).toISOString().slice(0, 10);
      const rows = async (from: string, to: string, tenantId = t.tenantId) =>
        (await t.storage.usage.sum({ tenantId, from, to }))
          .map(({ day, model, operation }) => [day, model, operation].join(' '))
          .toSorted();
      assert.deepEqual(await rows(first, second), [`${first} m o`, `${first} n o`, `${second} m p`]);
      assert.deepEqual(await rows(second, second), [`${second} m p`]);
      assert.deepEqual(await rows(first, second, t.otherTenantId), []);
    },
  },
  {
    part: 'usage',
    method: 'add',
    name: 'bounds the rows of a day, and sums the rest in one',
    async run(t) {
      const { maxUsageRows } = DEFAULTS;
      const add = (model: string) =>
        t.storage.usage.add({
          tenantId: t.tenantId,
          id: t.id(),
          model,
          operation: 'o',
          tokens: 1,
          savedTokens: 2,
        });
      const models = Array.from({ length: maxUsageRows + 5 }, (_, n) => `model-${n}`);
      for (const model of models) await add(model);
      await add('model-0');
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const rows = await t.storage.usage.sum({ tenantId: t.tenantId, from: day, to: day });
      assert.equal(rows.length, maxUsageRows);
      const other = rows.find(({ model }) => model === 'other');
      assert.deepEqual(other, {
        day,
        model: 'other',
        operation: 'other',
        tokens: 6,
        requests: 6,
        saved_tokens: 12,
      });
      assert.equal(rows.find(({ model }) => model === 'model-0')?.tokens, 2);
    },
  },
  {
    part: 'usage',
    method: 'sum',
    name: 'keeps a day until its retention ends, and no longer',
    async run(t) {
      const day = new Date(t.now()).toISOString().slice(0, 10);
      const addition = { id: t.id(), model: 'm', operation: 'o', tokens: 1, savedTokens: 0 };
      await t.storage.usage.add({ tenantId: t.tenantId, ...addition });
      const kept = async () =>
        (await t.storage.usage.sum({ tenantId: t.tenantId, from: '2000-01-01', to: '2999-12-31' })).map(
          (row) => row.day,
        );
      await t.advance(DEFAULTS.usageRetentionMs);
      assert.deepEqual(await kept(), [day]);
      await t.advance(3 * 86_400_000);
      assert.deepEqual(await kept(), []);
    },
  },
  {
    part: 'workers',
    method: 'announce',
    name: 'lists what workers run, by their last announcement',
    async run(t) {
      const [workerId, type] = [t.id(), t.name(`type-${t.tenantId}`)];
      await t.storage.workers.announce({ workerId, runs: [{ type: 'old', versions: [1] }] });
      await t.storage.workers.announce({ workerId, runs: [{ type, versions: [1, 2] }] });
      const found = (await t.storage.workers.list()).filter((worker) => worker.workerId === workerId);
      assert.deepEqual(
        found.map(({ runs, seenAt }) => [runs, seenAt]),
        [[[{ type, versions: [1, 2] }], t.now()]],
      );
    },
  },
  {
    part: 'workers',
    method: 'announced',
    name: 'returns the time since a type was announced, if ever',
    async run(t) {
      const type = t.name(`type-${t.tenantId}`);
      assert.equal(await t.storage.workers.announced({ type }), undefined);
      await t.storage.workers.announce({ workerId: t.id(), runs: [{ type, versions: [1] }] });
      await t.advance(5_000);
      assert.deepEqual(await t.storage.workers.announced({ type }), { agoMs: 5_000 });
      const runs = [{ type, versions: [1], timeoutMs: 60_000, maxAttempts: 2 }];
      await t.storage.workers.announce({ workerId: t.id(), runs });
      assert.deepEqual(await t.storage.workers.announced({ type }), {
        agoMs: 0,
        timeoutMs: 60_000,
        maxAttempts: 2,
      });
    },
  },
  {
    part: 'workers',
    method: 'leave',
    name: 'removes a worker from the list, and remembers its types',
    async run(t) {
      const [workerId, type] = [t.id(), t.name(`type-${t.tenantId}`)];
      await t.storage.workers.announce({ workerId, runs: [{ type, versions: [1] }] });
      await t.storage.workers.leave({ workerId });
      assert.equal(
        (await t.storage.workers.list()).some((worker) => worker.workerId === workerId),
        false,
      );
      assert.deepEqual(await t.storage.workers.announced({ type }), { agoMs: 0 });
    },
  },
  {
    part: 'workers',
    method: 'list',
    name: 'lists every worker',
    async run(t) {
      const ids = [t.id(), t.id()];
      for (const workerId of ids) await t.storage.workers.announce({ workerId, runs: [] });
      const listed = (await t.storage.workers.list()).map(({ workerId }) => workerId);
      assert.ok(ids.every((id) => listed.includes(id)));
    },
  },
  {
    part: 'wakeups',
    method: 'subscribe',
    name: 'publishes a wake-up when tasks become ready, and when the journal of a leased task changes',
    async run(t) {
      const published: string[] = [];
      await t.claim();
      await t.advance(0);
      const unsubscribe = t.storage.wakeups.subscribe((wakeup) => published.push(wakeup.kind));
      const { jobId } = await t.withJob();
      await t.advance(0);
      assert.ok(published.includes('ready'));
      published.length = 0;
      await t.report(jobId, 1);
      await t.advance(0);
      assert.ok(published.includes('task'));
      unsubscribe();
      published.length = 0;
      await t.submit();
      await t.advance(0);
      assert.deepEqual(published, []);
    },
  },
  {
    part: 'storage',
    method: 'close',
    name: 'rejects every call after close',
    async run(t) {
      await t.storage.ping();
      await t.storage.close();
      const refused = { code: 'storage_unavailable' };
      await assert.rejects(t.storage.ping(), refused);
      await assert.rejects(t.submit(), refused);
      await assert.rejects(t.claim(), refused);
      await assert.rejects(t.storage.events.head({ tenantId: t.tenantId }), refused);
      await assert.rejects(t.storage.tenants.get({ tenantId: t.tenantId }), refused);
      await assert.rejects(t.storage.tenants.list({ limit: 1 }), refused);
    },
  },
];
