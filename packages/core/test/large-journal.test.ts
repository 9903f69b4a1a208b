import { afterEach, describe, expect, it } from 'vitest';
import { type Harness, harness, settled } from './harness.js';

const PAGE = 10_000;
const HALF_A_PAGE = 'x'.repeat(PAGE / 2);
let h: Harness;

afterEach(() => h.stop());

/** Runs `steps` steps with large outcomes, and then waits for a signal. */
async function parkedWith(steps: number) {
  let runs = 0;
  const seen: string[] = [];
  h.orchestrator.workflow('long', async (ctx) => {
    for (let step = 0; step < steps; step += 1)
      seen.push(
        await ctx.run('one', () => {
          runs += 1;
          return `${step}${HALF_A_PAGE}`;
        }),
      );
    const first = await ctx.waitForSignal('go');
    const second = await ctx.waitForSignal('on');
    return [first, second];
  });
  await h.orchestrator.start();
  const task = await h.acme.tasks.submit({ type: 'long' });
  await settled(60);
  expect((await h.acme.tasks.explain(task.task_id)).state).toBe('parked');
  return { task, runs: () => runs, seen };
}

describe('a journal larger than a claim', () => {
  it('is read in pages, and replayed as any other', async () => {
    h = harness({ limits: { pageBytes: PAGE } });
    const { task, runs, seen } = await parkedWith(4);
    const { journal } = h.storage;
    const read = journal.read.bind(journal);
    const pages: number[] = [];
    journal.read = async (params) => {
      const page = await read(params);
      if (page.answer === 'page') pages.push(page.steps.length);
      return page;
    };
    await h.acme.tasks.signal(task.task_id, 'go', 1);
    await settled(60);
    await h.acme.tasks.signal(task.task_id, 'on', 2);
    await settled(60);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: [1, 2] });
    expect(runs()).toBe(4);
    expect(seen.slice(-4).map((value) => value[0])).toEqual(['0', '1', '2', '3']);
    // Of the second wake-up there is one step more.
    expect(pages).toEqual([1, 1, 1, 2, 1, 1, 1, 3]);
  });

  it('misses no change during the read', async () => {
    h = harness({ limits: { pageBytes: PAGE } });
    const { task } = await parkedWith(4);
    const { journal } = h.storage;
    const read = journal.read.bind(journal);
    let signalled = false;
    journal.read = async (params) => {
      const page = await read(params);
      const isLast = page.answer === 'page' && page.next === undefined;
      if (isLast && !signalled) {
        signalled = true;
        await h.acme.tasks.signal(task.task_id, 'go', 1);
        await h.acme.tasks.signal(task.task_id, 'on', 2);
      }
      return page;
    };
    await h.storage.queue.wake({ tenantId: 'acme', taskId: task.task_id });
    await settled(100);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: [1, 2] });
  });

  it('is abandoned when the task is cancelled during the read', async () => {
    h = harness({ limits: { pageBytes: PAGE } });
    const { task } = await parkedWith(4);
    const { journal } = h.storage;
    const read = journal.read.bind(journal);
    journal.read = async (params) => {
      await h.acme.tasks.cancel(params.taskId);
      return read(params);
    };
    await h.storage.queue.wake({ tenantId: 'acme', taskId: task.task_id });
    await settled(100);
    expect(await h.ended(task)).toMatchObject({ status: 'cancelled' });
  });
});

describe('a full journal', () => {
  it('rejects the step whose outcome does not fit, and the workflow continues or fails', async () => {
    h = harness({ limits: { maxJournalBytes: 2 * PAGE } });
    h.orchestrator.workflow('catches', async (ctx) => {
      for (let step = 1; ; step += 1) {
        try {
          await ctx.run('one', () => HALF_A_PAGE);
        } catch (error) {
          return [step, (error as { code: string }).code, await ctx.run('small', () => 'still fits')];
        }
      }
    });
    h.orchestrator.workflow('fails', async (ctx) => {
      for (;;) await ctx.run('one', () => HALF_A_PAGE);
    });
    await h.orchestrator.start();
    const catches = await h.acme.tasks.submit({ type: 'catches' });
    const fails = await h.acme.tasks.submit({ type: 'fails' });
    await settled(100);
    expect((await h.ended(catches)).result).toEqual([4, 'result_too_large', 'still fits']);
    expect(await h.ended(fails)).toMatchObject({ status: 'failed', error: { code: 'result_too_large' } });
  });

  it('refuses a signal that does not fit, and the task keeps waiting', async () => {
    h = harness({ limits: { maxJournalBytes: PAGE } });
    h.orchestrator.workflow('waits', (ctx) => ctx.waitForSignal('go'));
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'waits' });
    await settled();
    const large = h.acme.tasks.signal(task.task_id, 'go', HALF_A_PAGE + HALF_A_PAGE);
    await expect(large).rejects.toMatchObject({ code: 'payload_too_large' });
    await h.acme.tasks.signal(task.task_id, 'go', 'small');
    await settled();
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'small' });
  });
});
