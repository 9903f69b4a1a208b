import assert from 'node:assert/strict';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const MAX = 100_000;
const limits = { maxEventBytes: MAX };
const EVENTS = 60;

async function tell(t: CaseTools, taskId: string, message: string) {
  const { answer } = await t.storage.tasks.progress({ tenantId: t.tenantId, taskId, progress: { message } });
  assert.equal(answer, 'told');
}

async function kept(t: CaseTools) {
  const after = await t.beginning();
  const page = await t.storage.events.read({ tenantId: t.tenantId, after, limit: 1_000 });
  return { ...page, bytes: page.events.reduce((sum, { data }) => sum + JSON.stringify(data).length, 0) };
}

/** What is kept of a log whose events are large. */
export const logBytesCases: readonly ConformanceCase[] = [
  {
    part: 'events',
    method: 'read',
    name: 'has no more than so many bytes of the newest events, without a gap among them',
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
    name: 'has the newest event, however large, and small ones again after it',
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
];
