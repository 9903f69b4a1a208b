import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkflowContext } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

const LINGER_MS = 1_000;
const warnings: string[] = [];
const nothing = () => undefined;
let h: Harness;
beforeEach(() => {
  warnings.length = 0;
  const logger = {
    debug: nothing,
    info: nothing,
    error: nothing,
    warn: (text: string) => warnings.push(text),
  };
  h = harness({ parkAfterMs: LINGER_MS, concurrency: 1, logger, services: { quick: { run: () => 'done' } } });
});
afterEach(() => h.stop());

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

async function begun(workflow: (ctx: WorkflowContext) => unknown) {
  h.orchestrator.workflow('waits', workflow);
  await h.orchestrator.start();
  const task = await h.acme.tasks.submit({ type: 'waits' });
  await settled();
  const state = async () => (await h.acme.tasks.explain(task.task_id)).state;
  return { task, state };
}

/** Foreign work of so many milliseconds in one branch, while the other one waits for a signal. */
const raceWithForeign = (ms: number) => (ctx: WorkflowContext) => {
  const work = async () => {
    await new Promise<void>((resolve) => h.clock.after(ms, resolve));
    return ctx.call<string>('quick', 'work');
  };
  return Promise.race([ctx.waitForSignal('stop'), work()]);
};

describe('a run whose branches all seem to wait', () => {
  it('continues with foreign work that ends in time', async () => {
    const { task } = await begun(raceWithForeign(LINGER_MS - 1));
    await h.clock.advance(LINGER_MS);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'done', attempt: 1 });
    expect(warnings).toEqual([]);
  });

  it('is parked before longer foreign work, which is logged', async () => {
    const { task, state } = await begun(raceWithForeign(LINGER_MS + 1));
    await h.clock.advance(LINGER_MS);
    expect(await state()).toBe('parked');
    await h.clock.advance(1);
    expect(warnings).toEqual([expect.stringContaining('do such work in ctx.run')]);
    await h.acme.tasks.signal(task.task_id, 'stop', 'enough');
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'enough' });
  });

  it.each(['asks for more', 'returns'] as const)(
    'is run again when it %s just while its task is being parked',
    async (what) => {
      const { queue } = h.storage;
      const settle = queue.settle.bind(queue);
      let finish = () => {};
      queue.settle = async (params) => {
        const answer = await settle(params);
        // The task is parked; the foreign work ends before its worker gets the answer.
        if (params.settlement.kind === 'parked') {
          finish();
          await turns(3);
        }
        return answer;
      };
      let runs = 0;
      const { task } = await begun((ctx) => {
        runs += 1;
        const work = async () => {
          if (runs === 1) await new Promise<void>((resolve) => (finish = resolve));
          return what === 'returns' ? 'done' : ctx.call<string>('quick', 'work');
        };
        return Promise.race([ctx.waitForSignal('stop'), work()]);
      });
      await h.clock.advance(LINGER_MS);
      expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'done', attempt: 1 });
      expect(runs).toBe(2);
    },
  );

  it('gets outcomes in time without a replay', async () => {
    let runs = 0;
    const { task, state } = await begun((ctx) => {
      runs += 1;
      return ctx.waitForSignal('go');
    });
    await h.clock.advance(LINGER_MS - 1);
    expect(await state()).toBe('leased');
    await h.acme.tasks.signal(task.task_id, 'go', 'now');
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'now' });
    expect(runs).toBe(1);
  });

  it('takes no slot, and is cancelled at once', async () => {
    const { task } = await begun((ctx) => ctx.waitForSignal('never'));
    h.orchestrator.workflow('other', () => 'ran');
    const other = await h.acme.tasks.submit({ type: 'other' });
    expect(await h.ended(other)).toMatchObject({ status: 'completed', result: 'ran' });
    await h.acme.tasks.cancel(task.task_id);
    expect(await h.ended(task)).toMatchObject({ status: 'cancelled' });
  });

  it('is one of at most ten per slot: further ones are parked at once', async () => {
    const { state } = await begun((ctx) => ctx.waitForSignal('go'));
    const more = [];
    for (let count = 0; count < 12; count += 1) more.push(await h.acme.tasks.submit({ type: 'waits' }));
    await settled(60);
    const states = [await state()];
    for (const { task_id } of more) states.push((await h.acme.tasks.explain(task_id)).state);
    expect(states.filter((each) => each === 'leased')).toHaveLength(10);
    expect(states.filter((each) => each === 'parked')).toHaveLength(3);
    await h.clock.advance(LINGER_MS);
    for (const { task_id } of more) expect((await h.acme.tasks.explain(task_id)).state).toBe('parked');
  });

  it('is parked at once when the worker stops', async () => {
    const { task, state } = await begun((ctx) => ctx.waitForSignal('go'));
    const stopped = h.orchestrator.stop({ graceMs: 60_000 });
    await settled();
    await stopped;
    expect(await state()).toBe('parked');
    const other = h.another();
    other.workflow('waits', (ctx) => ctx.waitForSignal('go'));
    await other.start();
    await h.acme.tasks.signal(task.task_id, 'go', 'later');
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'later', attempt: 1 });
  });
});

describe('a run that reports progress', () => {
  it('is not parked meanwhile, however slow the storage', async () => {
    await h.stop();
    h = harness({ services: { quick: { run: () => 'done' } } });
    const { tasks } = h.storage;
    const progress = tasks.progress.bind(tasks);
    tasks.progress = async (params) => {
      await turns(3);
      return progress(params);
    };
    const { task } = await begun((ctx) => {
      const work = async () => {
        await ctx.call('quick', 'first');
        await ctx.progress({ percent: 50 });
        return ctx.call<string>('quick', 'second');
      };
      return Promise.race([ctx.waitForSignal('stop'), work()]);
    });
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'done' });
  });
});
