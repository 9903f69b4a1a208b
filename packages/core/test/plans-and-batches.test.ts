import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkPlan } from '../src/workflows/plan-check.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
const asked: unknown[] = [];
beforeEach(async () => {
  asked.length = 0;
  h = harness({
    services: {
      echo: {
        run: (call) => {
          asked.push(call.input);
          if (call.operation === 'fail') throw new Error('told to fail');
          return { said: call.input };
        },
      },
    },
  });
  await h.orchestrator.start();
});
afterEach(() => h.stop());

const step = (id: string, more: object = {}) => ({ id, service: 'echo', operation: 'say', ...more });
const plan = (steps: object[], more: object = {}) =>
  h.acme.tasks.submit({ type: 'workflow', payload: { plan: { steps, ...more } } });

describe('a plan', () => {
  it('passes results along, and runs independent steps concurrently', async () => {
    const task = await plan(
      [
        step('c', {
          input: { both: [{ $from: 'steps.a.result.said.x' }, { $from: 'steps.b.result.said' }] },
        }),
        step('a', { input: { x: { $from: 'input.start.0' } } }),
        step('b', { input: 'plain' }),
      ],
      { input: { start: ['first'] }, output: { end: { $from: 'steps.c.result.said' } } },
    );
    expect((await h.ended(task)).result).toEqual({ end: { both: ['first', 'plain'] } });
    expect(asked).toHaveLength(3);
  });

  it('returns all results without an output, and null for a failed optional step', async () => {
    const task = await plan([
      step('a'),
      step('b', { operation: 'fail', optional: true }),
      step('c', { input: { $from: 'steps.b.result.said' } }),
    ]);
    expect((await h.ended(task)).result).toEqual({ a: { said: {} }, b: null, c: { said: null } });
  });

  const long = 'y'.repeat(400_000);
  const references = (count: number) => Array.from({ length: count }, () => ({ $from: 'input.s' }));

  it.each([
    ['an output', [step('a')], { output: references(20_000) }],
    ['the input of a step', [step('a', { input: { x: references(1_200) } })], {}],
    ['results without an output', ['a', 'b', 'c'].map((id) => step(id, { input: { $from: 'input.s' } })), {}],
  ])('whose references produce more than 1 MiB of %s fails with that reason', async (_, steps, more) => {
    const task = await plan(steps, { input: { s: long }, ...more });
    expect(await h.acme.tasks.wait(task.task_id)).toMatchObject({
      status: 'failed',
      error: {
        code: expect.stringMatching('too_large'),
        message: expect.stringContaining('at most 1048576'),
      },
    });
  });

  it('with all-to-all dependencies is checked once per dependency', async () => {
    const ids = Array.from({ length: 300 }, (_, at) => `s${at}`);
    const steps = ids.map((id, at) => step(id, { depends_on: ids.slice(at + 1) }));
    await expect(plan([...steps.slice(0, -1), step('s299', { depends_on: ['none'] })])).rejects.toMatchObject(
      { code: 'invalid_request' },
    );
    let looks = 0;
    const services = { has: () => (looks += 1) > 0 };
    expect(checkPlan({ steps }, services).dependencies.size).toBe(300);
    expect(looks).toBe(300);
  });

  it('with a cycle of a thousand steps is refused with the first ten', async () => {
    const steps = Array.from({ length: 1_000 }, (_, at) =>
      step(`s${at}`, { depends_on: [`s${(at + 1) % 1_000}`] }),
    );
    await expect(plan(steps)).rejects.toMatchObject({
      code: 'invalid_request',
      message:
        'plan, step "s0": expected steps without a dependency cycle, got the cycle ' +
        's0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8 -> … -> s0',
    });
  });

  it('fails with its step', async () => {
    const task = await plan([step('a', { operation: 'fail' }), step('b', { depends_on: ['a'] })]);
    expect(await h.ended(task)).toMatchObject({
      status: 'failed',
      error: { code: 'service_error', message: expect.stringContaining('unexpected error in step "#a"') },
    });
    expect(asked).toHaveLength(1);
  });

  it.each([
    [
      'a cycle',
      [step('a', { depends_on: ['b'] }), step('b', { depends_on: ['a'] })],
      'invalid_request',
      'a -> b -> a',
    ],
    ['a step that waits for itself', [step('a', { depends_on: ['a'] })], 'invalid_request', '"a"'],
    ['an unknown step', [step('a', { depends_on: ['nowhere'] })], 'invalid_request', '"nowhere"'],
    [
      'an unknown step in a path',
      [step('a', { input: { $from: 'steps.nowhere.result' } })],
      'invalid_request',
      '"nowhere"',
    ],
    ['a path to nowhere', [step('a', { input: { $from: 'output.x' } })], 'invalid_request', '"output.x"'],
    ['an unknown service', [step('a', { service: 'ghost' })], 'unknown_service', '"ghost"'],
    ['an id twice', [step('a'), step('a')], 'invalid_request', '"a"'],
    ['no steps', [], 'invalid_request', 'steps'],
    ['a bad id', [step('A b')], 'invalid_request', 'steps.0.id'],
  ])('with %s is refused at submission', async (_, steps, code, part) => {
    await expect(plan(steps)).rejects.toMatchObject({ code, message: expect.stringContaining(part) });
    expect((await h.acme.tasks.list()).tasks).toEqual([]);
  });
});

describe('a batch', () => {
  const request = (n: number, type = 'gate') => ({ type, payload: { n } });
  let running: Map<number, (result: unknown) => void>;
  beforeEach(() => {
    running = new Map();
    h.orchestrator.workflow('gate', (ctx, { n }: { n: number }) => {
      return new Promise((resolve, reject) => {
        running.set(n, resolve);
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error));
      });
    });
  });

  it('runs its items, an invalid one fails alone', async () => {
    const { batch } = await h.acme.batches.submit({
      requests: [request(0), { type: 'no_such_type' }, request(2), { message: '' }, 'nonsense'],
    });
    expect(batch).toMatchObject({ total: 5, counts: { pending: 2, failed: 3 } });
    expect(batch.items[1]?.error?.code).toBe('unknown_workflow');
    expect(batch.items[3]?.error?.code).toBe('invalid_request');
    await settled();
    running.get(0)?.('zero');
    running.get(2)?.('two');
    await settled();
    expect(await h.acme.batches.get(batch.batch_id, { results: true })).toMatchObject({
      counts: { completed: 2, failed: 3 },
      items: [
        { index: 0, result: 'zero' },
        { index: 1 },
        { index: 2, result: 'two' },
        { index: 3 },
        { index: 4 },
      ],
    });
  });

  it('runs at most max_in_flight at once', async () => {
    await h.acme.batches.submit({
      requests: Array.from({ length: 10 }, (_, n) => request(n)),
      max_in_flight: 3,
    });
    for (let done = 0; done < 10; done += 1) {
      await settled();
      expect(running.size).toBe(Math.min(3, 10 - done));
      const [[n, go]] = [...running] as [[number, (result: unknown) => void]];
      running.delete(n);
      go(n);
    }
    await settled();
    expect(await h.acme.tasks.counts()).toMatchObject({ completed: 10 });
  });

  it('ends at its first failure with fail_fast', async () => {
    h.orchestrator.workflow('bad', () => {
      throw new Error('bad');
    });
    const { batch } = await h.acme.batches.submit({
      requests: [request(0), request(1), request(2, 'bad'), request(3), request(4)],
      max_in_flight: 3,
      fail_fast: true,
    });
    await settled(100);
    expect((await h.acme.batches.get(batch.batch_id)).counts).toMatchObject({ failed: 1, cancelled: 4 });
  });

  it('is cancelled as a whole', async () => {
    const { batch } = await h.acme.batches.submit({
      requests: [0, 1, 2, 3].map((n) => request(n)),
      max_in_flight: 2,
    });
    await settled();
    running.get(0)?.('kept');
    await settled();
    await h.acme.batches.cancel(batch.batch_id, { reason: 'enough' });
    await settled();
    const cancelled = await h.acme.batches.get(batch.batch_id, { results: true });
    expect(cancelled.counts).toMatchObject({ completed: 1, cancelled: 3 });
    expect(cancelled.items[0]?.result).toBe('kept');
  });

  it('with the same key is the same batch', async () => {
    const body = { requests: [request(0)] };
    const first = await h.acme.batches.submit(body, { idempotencyKey: 'b' });
    const second = await h.acme.batches.submit(body, { idempotencyKey: 'b' });
    expect(second).toMatchObject({ replayed: true, batch: { batch_id: first.batch.batch_id } });
    await expect(h.orchestrator.tenant('globex').batches.get(first.batch.batch_id)).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});
