import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OrchestratorError, type Task, type WorkflowFunction } from '../src/index.js';
import { type Harness, harness } from './harness.js';

let h: Harness;
/** Operations that the service `shop` was asked for, in their order. */
let asked: string[];
/** What it fails, by operation: how often, and whether that may pass. */
let failing: Map<string, { times: number; readonly retryable: boolean }>;

beforeEach(() => {
  asked = [];
  failing = new Map();
  const run = ({ operation }: { readonly operation: string }) => {
    asked.push(operation);
    const failure = failing.get(operation);
    if (!failure || failure.times === 0) return `${operation} done`;
    failure.times -= 1;
    throw new OrchestratorError('service_error', `${operation} failed`, { retryable: failure.retryable });
  };
  h = harness({ services: { shop: { run } } });
});
afterEach(() => h.stop());

async function ended(fn: WorkflowFunction): Promise<Task> {
  h.orchestrator.workflow('buys', fn);
  await h.orchestrator.start();
  const task = await h.acme.tasks.submit({ type: 'buys' });
  await h.clock.advance(5 * 60_000);
  return h.acme.tasks.get(task.task_id);
}

const passing = () => new OrchestratorError('service_error', 'this may pass', { retryable: true });

describe('a new attempt', () => {
  it('keeps successes, and repeats failed steps, also those the workflow had caught', async () => {
    failing.set('gift', { times: 1, retryable: false });
    failing.set('pay', { times: 1, retryable: false });
    let own = 0;
    const task = await ended(async (ctx) => {
      const picked = await ctx.call('shop', 'pick');
      const gift = await ctx.call('shop', 'gift').catch(() => 'no gift');
      const noted = await ctx
        .run('note', () => {
          own += 1;
          if (own === 1) throw new Error('no paper');
          return own;
        })
        .catch(() => 'not noted');
      const paid = await ctx.call('shop', 'pay').catch(() => {
        throw passing();
      });
      return { picked, gift, noted, paid };
    });
    expect(task).toMatchObject({
      status: 'completed',
      attempt: 2,
      result: { picked: 'pick done', gift: 'gift done', noted: 2, paid: 'pay done' },
    });
    expect(asked).toEqual(['pick', 'gift', 'pay', 'gift', 'pay']);
  });

  it('may take another path, and omit steps of the previous one', async () => {
    failing.set('card', { times: 1, retryable: false });
    const task = await ended(async (ctx) => {
      const card = await ctx.call('shop', 'card').catch(() => undefined);
      if (card !== undefined) return ctx.call('shop', 'ship');
      await ctx.call('shop', 'invoice');
      throw passing();
    });
    expect(task).toMatchObject({ status: 'completed', attempt: 2, result: 'ship done' });
    expect(asked).toEqual(['card', 'invoice', 'card', 'ship']);
  });

  it('does not repeat steps after the failure, so a compensation is not known', async () => {
    failing.set('ship', { times: 1, retryable: false });
    const task = await ended(async (ctx) => {
      await ctx.call('shop', 'reserve');
      try {
        return await ctx.call('shop', 'ship');
      } catch {
        await ctx.call('shop', 'free');
        throw passing();
      } finally {
        await ctx.call('shop', 'tidy');
      }
    });
    // It ships what is no longer reserved: such a workflow is to end with an error that is not retryable.
    expect(task).toMatchObject({ status: 'completed', attempt: 2, result: 'ship done' });
    expect(asked).toEqual(['reserve', 'ship', 'free', 'tidy', 'ship']);
  });

  it('knows timed-out waits, and replays a race as before', async () => {
    const winners: string[] = [];
    failing.set('pay', { times: 1, retryable: true });
    const task = await ended(async (ctx) => {
      await ctx.waitForSignal('word', { timeoutMs: 60_000 }).catch(() => 'none');
      const winner = await Promise.race([
        ctx.sleep(2_000).then(() => 'later'),
        ctx.sleep(1_000).then(() => 'sooner'),
      ]);
      winners.push(winner);
      await ctx.sleep(2_000, { id: 'both_are_over' });
      return ctx.call('shop', 'pay');
    });
    expect(task).toMatchObject({ status: 'completed', attempt: 2 });
    expect(new Set(winners)).toEqual(new Set(['sooner']));
    // One minute for the word in all: the second attempt did not wait again.
    expect(Date.parse(task.finished_at ?? '') - Date.parse(task.created_at)).toBeLessThan(2 * 60_000 - 1);
  });
});
