import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { FairSystem, percentile, type Ran } from './fair-system.js';

const TASKS_OF_A = Number(process.env['FAIR_TASKS'] ?? 100_000);
const TASKS_OF_B = 200;
const A_TASK_MS = 10;
const rows: Record<string, string | number>[] = [];
afterAll(() => console.table(rows));

function printWaits(label: string, waits: readonly number[]): void {
  const [p50, p99] = [percentile(waits, 50), percentile(waits, 99)];
  rows.push({ label, tasks: waits.length, 'wait p50, ms': p50, 'p99, ms': p99 });
}

/** Maximum of concurrent runs. */
function maxConcurrent(ran: readonly Ran[]): number {
  const steps = ran.flatMap(({ begunAt, endedAt }) => [
    [begunAt, 1],
    [endedAt, -1],
  ]) as [number, number][];
  let now = 0;
  let max = 0;
  for (const [, change] of steps.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
    now += change;
    max = Math.max(max, now);
  }
  return max;
}

describe('two workers, of ten slots each', () => {
  it(`serve B, which submits one by one, beside A with ${TASKS_OF_A} tasks`, async () => {
    await using system = await FairSystem.start([]);
    const body = { payload: 1 };
    await system.waits('b', 20, body);
    const idle = await system.waits('b', TASKS_OF_B, body);
    printWaits('B alone', idle);
    await system.fill('a', TASKS_OF_A, { payload: A_TASK_MS });
    const before = await system.storage.tenants.get({ tenantId: 'a' });
    const busy = await system.waits('b', TASKS_OF_B, body);
    printWaits(`B, beside ${before.ready} waiting tasks of A of ${A_TASK_MS} ms`, busy);
    const after = await system.storage.tenants.get({ tenantId: 'a' });
    rows.push({
      label: 'p99 of B beside A, of its p99 alone',
      'p99, ms': Math.round((percentile(busy, 99) / percentile(idle, 99)) * 10) / 10,
    });
    // All of B's tasks came while A's still waited, and A's continued meanwhile.
    expect(busy).toHaveLength(TASKS_OF_B);
    expect(after.ready).toBeGreaterThan(0);
    expect(after.ready).toBeLessThan(before.ready);
  });

  it('run a task of priority 0 under a continuous load of priority 9', async () => {
    await using system = await FairSystem.start(['a']);
    const over = new AbortController();
    const backlog = 500;
    await system.fill('a', backlog, { payload: A_TASK_MS, priority: 9 });
    const loading = (async () => {
      while (!over.signal.aborted) {
        const { ready } = await system.storage.tenants.get({ tenantId: 'a' });
        if (ready < backlog) await system.fill('a', backlog - ready, { payload: A_TASK_MS, priority: 9 });
        await pause(10);
      }
    })();
    const { tasks } = system.orchestrator.tenant('a');
    const passed: number[] = [];
    for (let n = 0; n < 10; n += 1) {
      const begun = (await system.ran()).length;
      const { ready } = await system.storage.tenants.get({ tenantId: 'a' });
      const { task_id } = await tasks.submit({ type: 'quick', payload: 1, priority: 0 });
      await tasks.wait(task_id);
      const ran = await system.ran();
      passed.push(ran.findIndex(({ task }) => task === task_id) - begun - ready);
    }
    over.abort();
    await loading;
    rows.push({
      label: `priority 0 under priority 9: tasks that overtook it, besides the ${backlog} before it`,
      tasks: passed.length,
      'wait p50, ms': `${percentile(
        passed.toSorted((a, b) => a - b),
        50,
      )} tasks`,
      'p99, ms': `${Math.max(...passed)} tasks`,
    });
    // Every tenth claimed task is the oldest: then it is this one.
    for (const count of passed) expect(count).toBeLessThan(200);
  });

  it('run no task of a paused tenant and keep another to its limit, beside a busy one', async () => {
    await using system = await FairSystem.start(['limited', 'paused']);
    const { tenants } = system.storage;
    await tenants.configure({ tenantId: 'limited', maxRunning: 2 });
    await tenants.configure({ tenantId: 'paused', paused: true });
    await system.fill('a', 20_000, { payload: A_TASK_MS });
    await system.fill('paused', 100, { payload: 1 });
    await system.fill('limited', 200, { payload: 5 });
    const waits = await system.waits('b', TASKS_OF_B, { payload: 1 });
    printWaits('B, beside A, one that is paused and one at its limit', waits);
    const whilePaused = await system.ran();
    expect(whilePaused.filter(({ tenant }) => tenant === 'paused')).toEqual([]);
    await tenants.configure({ tenantId: 'paused', paused: false });
    const ended = async (tenantId: string) =>
      (await system.storage.tasks.counts({ tenantId })).counts.completed;
    await expect.poll(() => ended('paused'), { timeout: 60_000 }).toBe(100);
    await expect.poll(() => ended('limited'), { timeout: 60_000 }).toBe(200);
    const limited = (await system.ran()).filter(({ tenant }) => tenant === 'limited');
    rows.push({
      label: 'maximum of concurrent tasks with max_running 2',
      tasks: limited.length,
      'p99, ms': maxConcurrent(limited),
    });
    rows.push({ label: 'tasks of a paused tenant that ran', tasks: 0 });
    expect(maxConcurrent(limited)).toBeLessThanOrEqual(2);
  });
});
