import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { OrchestratorError, type WorkflowFunction } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

const result = z.object({ n: z.number() });
const contracts = { now: { count: { result } }, slow: { count: { result } } };
const GOOD = { n: 1 };
/** More than is parsed at once. */
const LARGE = { n: 'x'.repeat(300_000) };

let h: Harness;
/** What the service `now` answers, call by call; the last answer stays. */
let answers: unknown[];
let asked: number;

beforeEach(() => {
  answers = [GOOD];
  asked = 0;
  const run = () => {
    asked += 1;
    return answers.length > 1 ? answers.shift() : answers[0];
  };
  h = harness({ contracts, services: { now: { run } } });
});
afterEach(() => h.stop());

/** Reports the result of the n-th job, the first being 1. */
async function report(n: number, value: object): Promise<void> {
  const call = h.calls[n - 1];
  if (!call) throw new Error(`expected ${n} calls, got ${h.calls.length}`);
  const ids = { global_task_id: call.task_id, call_id: call.call_id, tenant_id: call.tenant_id };
  const ack = await h.slow.notifyTaskCompletion({ task_id: `job-${n}`, ...ids, result: value });
  expect(ack.outcome).toBe('applied');
  await settled();
}

async function start(fn: WorkflowFunction): Promise<string> {
  h.orchestrator.workflow('counts', fn);
  await h.orchestrator.start();
  const { task_id } = await h.acme.tasks.submit({ type: 'counts' });
  await settled();
  return task_id;
}

async function redrive(taskId: string): Promise<string> {
  const { task_id } = await h.acme.tasks.redrive(taskId);
  await settled();
  return task_id;
}

describe('a result that breaks its contract', () => {
  it.each([
    ['small', { n: 'x' }],
    ['large', LARGE],
  ])('fails the call that answered it (%s), and a redrive makes the call again', async (_, broken) => {
    answers = [broken, GOOD];
    const first = await start((ctx) => ctx.call('now', 'count'));
    const failed = await h.acme.tasks.get(first);
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'invalid_response', retryable: false } });
    expect(failed.error?.message).toMatch('result of now.count at "n": expected number');
    expect(await h.acme.tasks.get(await redrive(first))).toMatchObject({ status: 'completed', result: GOOD });
    expect(asked).toBe(2);
  });

  it.each([
    ['small', { n: 'x' }],
    ['large', LARGE],
  ])('fails the job that reported it (%s), and a redrive makes the call again', async (_, broken) => {
    const first = await start((ctx) => ctx.call('slow', 'count'));
    await report(1, broken);
    const error = { code: 'invalid_response', retryable: false };
    expect(await h.acme.tasks.get(first)).toMatchObject({ status: 'failed', error });
    const second = await redrive(first);
    await report(2, broken);
    expect(await h.acme.tasks.get(second)).toMatchObject({ status: 'failed', error });
    const third = await redrive(second);
    await report(3, GOOD);
    expect(await h.acme.tasks.get(third)).toMatchObject({ status: 'completed', result: GOOD });
    expect(h.calls).toHaveLength(3);
  });

  it('is not inherited by a redrive if the workflow caught it and failed later', async () => {
    let isDown = true;
    const first = await start(async (ctx) => {
      const counted = await ctx.call('slow', 'count').catch(() => 'not counted');
      await ctx.run('other', () => {
        if (isDown) throw new OrchestratorError('service_error', 'down');
      });
      return counted;
    });
    await report(1, { n: 'x' });
    expect((await h.acme.tasks.get(first)).error?.code).toBe('service_error');
    isDown = false;
    const second = await redrive(first);
    await report(2, GOOD);
    expect((await h.acme.tasks.get(second)).result).toEqual(GOOD);
  });

  it('is not inherited by the next attempt, which replays its own call', async () => {
    const runs: number[] = [];
    const first = await start(async (ctx) => {
      runs.push(ctx.attempt);
      const counted = await ctx.call('slow', 'count').catch(() => 'not counted');
      if (ctx.attempt === 1) throw new OrchestratorError('service_error', 'may pass', { retryable: true });
      await ctx.waitForSignal('go');
      return counted;
    });
    await report(1, { n: 'x' });
    await h.clock.advance(60_000);
    await report(2, GOOD);
    await h.acme.tasks.signal(first, 'go');
    await settled();
    expect(await h.acme.tasks.get(first)).toMatchObject({ status: 'completed', attempt: 2, result: GOOD });
    expect(h.calls).toHaveLength(2);
    // Parked for the report and for the signal: the second attempt was replayed.
    expect(runs.filter((attempt) => attempt === 2)).toHaveLength(3);
  });

  it('is inherited once the contract has been mended instead of the service', async () => {
    const first = await start((ctx) => ctx.call('slow', 'count'));
    await report(1, { n: 'x' });
    await h.orchestrator.stop();
    const mended = h.another({ contracts: { slow: { count: { result: z.object({ n: z.string() }) } } } });
    mended.workflow('counts', (ctx) => ctx.call('slow', 'count'));
    await mended.start();
    const again = await mended.tenant('acme').tasks.redrive(first);
    await settled();
    expect((await mended.tenant('acme').tasks.get(again.task_id)).result).toEqual({ n: 'x' });
    expect(h.calls).toHaveLength(1);
  });
});
