import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkflowFunction } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

const MISMATCH_MS = 5_000;
const warnings: string[] = [];

let h: Harness;
beforeEach(() => {
  warnings.length = 0;
  const none = () => {};
  const logger = { debug: none, info: none, error: none, warn: (text: string) => warnings.push(text) };
  h = harness({ logger, mismatchMs: MISMATCH_MS });
});
afterEach(() => h.stop());

/** Something foreign, such as a `fetch`: at once in the first run, `ms` by the clock in each replay. */
function foreign(ms: number): () => Promise<void> {
  let runs = 0;
  return () => {
    runs += 1;
    return runs === 1 ? Promise.resolve() : new Promise((resolve) => void h.clock.after(ms, resolve));
  };
}

/** A task of this workflow has called the service `slow` once, and is parked. */
async function parked(fn: WorkflowFunction) {
  h.orchestrator.workflow('awaits', fn);
  await h.orchestrator.start();
  const task = await h.acme.tasks.submit({ type: 'awaits' });
  await settled();
  expect(h.calls).toHaveLength(1);
  expect(await h.acme.tasks.explain(task.task_id)).toMatchObject({ state: 'parked' });
  return task;
}

const complete = (n: number) =>
  h.slow.notifyTaskCompletion({ task_id: `job-${n}`, tenant_id: 'acme', result: n });

describe('a foreign await before a step', () => {
  it.each([MISMATCH_MS - 1, 60_000])('may take %s ms in a replay', async (ms) => {
    const wait = foreign(ms);
    const task = await parked(async (ctx) => {
      await wait();
      return ctx.call('slow', 'work');
    });
    await complete(1);
    await h.clock.advance(ms - 1);
    expect(await h.ended(task)).toMatchObject({ status: 'processing', attempt: 1 });
    await h.clock.advance(1);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 1, attempt: 1 });
    const slow = 'workflow: the replay waits for the function to request "slow.work"';
    expect(warnings).toEqual(ms > MISMATCH_MS ? [expect.stringContaining(slow)] : []);
  });

  it.each([
    ['asks for something new', MISMATCH_MS - 1, 'completed'],
    ['asks for something new', MISMATCH_MS + 1, 'failed'],
    ['waits for what the journal has', MISMATCH_MS + 1, 'completed'],
  ] as const)('while another branch %s, for %s ms: %s', async (what, ms, status) => {
    const wait = foreign(ms);
    let runs = 0;
    const task = await parked(async (ctx) => {
      runs += 1;
      const other = async () => {
        if (what === 'asks for something new' && runs > 1) await ctx.run('new', () => 'made');
      };
      const slow = async () => {
        await wait();
        return ctx.call('slow', 'work');
      };
      const [result] = await Promise.all([slow(), other()]);
      return result;
    });
    await complete(1);
    await h.clock.advance(ms);
    const ended = await h.ended(task);
    expect(ended.status).toBe(status);
    if (status === 'completed') return;
    expect(ended.error).toMatchObject({ code: 'workflow_error', retryable: false });
    expect(ended.error?.message).toMatch(
      /expected the step "slow\.work" of the journal .*, the workflow requested "run new"/,
    );
    expect(ended.error?.message).toContain(`a promise other than a step for more than ${MISMATCH_MS} ms`);
  });

  it('fails a replay whose function returns without requesting its journal', async () => {
    let runs = 0;
    const task = await parked((ctx) => {
      runs += 1;
      return runs === 1 ? ctx.call('slow', 'work') : Promise.resolve('another way');
    });
    await complete(1);
    await h.clock.advance(MISMATCH_MS - 1);
    expect(await h.ended(task)).toMatchObject({ status: 'processing' });
    await h.clock.advance(1);
    expect(await h.ended(task)).toMatchObject({
      status: 'failed',
      error: { code: 'workflow_error', message: expect.stringContaining('requested "nothing more"') },
    });
  });

  it('has a limit from the request of the other branch, not from the start of the replay', async () => {
    const wait = foreign(30_000 + MISMATCH_MS - 1);
    let runs = 0;
    const task = await parked(async (ctx) => {
      runs += 1;
      const other = async () => {
        if (runs === 1) return;
        await new Promise<void>((resolve) => void h.clock.after(30_000, resolve));
        await ctx.run('new', () => 'made');
      };
      const slow = async () => {
        await wait();
        return ctx.call('slow', 'work');
      };
      const [result] = await Promise.all([slow(), other()]);
      return result;
    });
    await complete(1);
    await h.clock.advance(30_000 + MISMATCH_MS - 2);
    expect(await h.ended(task)).toMatchObject({ status: 'processing' });
    await h.clock.advance(1);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 1 });
  });
});
