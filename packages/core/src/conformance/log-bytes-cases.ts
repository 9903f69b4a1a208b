import assert from 'node:assert/strict';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const MAX = 100_000;
const limits = { maxEventBytes: MAX };
const EVENTS = 60;

async function tell(t: CaseTools, taskId: string, message: string) {
  const { answer } = await t.storage.tasks.progress({ tenantId: t.tenantId, taskId, progress: { message } });
  assert.equal(answer, 'reported');
}

async function kept(t: CaseTools) {
  const after = await t.beginning();
  const page = await t.storage.events.read({ tenantId: t.tenantId, after, limit: 1_000 });
  return { ...page, bytes: page.events.reduce((sum, { data }) => sum + JSON.stringify(data).length, 0) };
}

/** Retention of a log with large events. */
export const logBytesCases: readonly ConformanceCase[] = [
  {
    part: 'events',
    method: 'read',
    name: 'keeps the newest events up to a size, without a gap among them',
    limits,
    async run(t) {
      const { task_id } = await t.registered();
      for (let n = 0; n < EVENTS; n += 1) {
        await tell(t, task_id, `${n} ${'x'.repeat(MAX / 20)}`);
        assert.ok((await kept(t)).bytes <= MAX);
      }
      const { events, gap, bytes } = await kept(t);
      assert.ok(gap, 'expected a gap');
      assert.ok(bytes > MAX / 2, `expected most of ${MAX} bytes, got ${bytes}`);
      const numbers = events.map(({ rev }) => rev);
      const last = EVENTS + 2;
      assert.deepEqual(
        numbers,
        Array.from(numbers, (_, at) => last - numbers.length + 1 + at),
      );
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'keeps the newest event however large, and small ones after it',
    limits,
    async run(t) {
      const { task_id } = await t.registered();
      await tell(t, task_id, 'x'.repeat(1.5 * MAX));
      assert.deepEqual(
        (await kept(t)).events.map(({ rev }) => rev),
        [3],
      );
      await tell(t, task_id, 'small');
      await tell(t, task_id, 'y'.repeat(MAX / 2));
      const { events, bytes } = await kept(t);
      assert.equal(events.at(-1)?.rev, 5);
      assert.ok(bytes <= MAX);
    },
  },
  {
    part: 'events',
    method: 'read',
    name: 'trims expired events in a sweep, however large and many, and no others',
    limits: { maxEventAgeMs: 10_000, pageBytes: 2_000 },
    async run(t) {
      const { task_id } = await t.registered();
      for (let n = 0; n < EVENTS; n += 1) await tell(t, task_id, 'x'.repeat(n % 3 === 0 ? 3_000 : 100));
      await t.advance(5_000);
      for (let n = 0; n < 5; n += 1) await tell(t, task_id, 'y'.repeat(3_000));
      assert.equal((await t.log()).length, EVENTS + 7);
      await t.pass(5_001);
      const { events, gap } = await kept(t);
      assert.ok(gap, 'expected a gap');
      assert.equal(events[0]?.rev, EVENTS + 3);
      assert.equal((await t.log()).length, 5);
      await t.pass(5_001);
      assert.deepEqual(await t.log(), []);
    },
  },
];
