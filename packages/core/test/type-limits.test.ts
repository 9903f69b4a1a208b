import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, harness, settled } from './harness.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let h: Harness;
beforeEach(() => {
  // Nothing is due for long: looking seldom keeps the hand-moved clock quick.
  h = harness({ sweepMs: 10 * MINUTE, leaseMs: 24 * HOUR });
});
afterEach(() => h.stop());

const never = () => new Promise<never>(() => {});

describe('the limits of a type', () => {
  it('apply to tasks submitted without limits of their own', async () => {
    h.orchestrator.workflow('long', { timeoutMs: 2 * HOUR, maxAttempts: 2 }, () => never());
    const { tasks, batches } = h.acme;
    const own = { metadata: { timeout_ms: MINUTE }, max_attempts: 3 };
    const made = [
      await tasks.submit({ type: 'long' }),
      await tasks.submit({ type: 'long', ...own }),
      await tasks.submit({ type: 'long', max_attempts: 3 }),
    ];
    const limits = made.map(({ task: { metadata, max_attempts } }) => [metadata.timeout_ms, max_attempts]);
    expect(limits).toEqual([
      [2 * HOUR, 2],
      [MINUTE, 3],
      [2 * HOUR, 3],
    ]);
    const { batch } = await batches.submit({ requests: [{ type: 'long' }, { type: 'long', ...own }] });
    const inBatch = await Promise.all(batch.items.map(({ task_id = '' }) => tasks.get(task_id)));
    expect(inBatch.map(({ metadata, max_attempts }) => [metadata.timeout_ms, max_attempts])).toEqual([
      [2 * HOUR, 2],
      [MINUTE, 3],
    ]);
  });

  it('end a task at their time, and after their attempts', async () => {
    h.orchestrator.workflow('long', { timeoutMs: HOUR }, () => never());
    h.orchestrator.service('down', {
      run: () => {
        throw Object.assign(new Error('down'), { retryable: true });
      },
    });
    h.orchestrator.workflow('twice', { maxAttempts: 2 }, (ctx) => ctx.call('down', 'work'));
    await h.orchestrator.start();
    const long = await h.acme.tasks.submit({ type: 'long' });
    const twice = await h.acme.tasks.submit({ type: 'twice' });
    await h.clock.advance(HOUR - 1);
    expect(await h.ended(long)).toMatchObject({ status: 'processing' });
    expect(await h.ended(twice)).toMatchObject({
      status: 'failed',
      attempt: 2,
      error: { code: 'attempts_exhausted', message: expect.stringContaining('2 of 2 attempts failed') },
    });
    await h.clock.advance(1);
    expect(await h.ended(long)).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
  });

  it('are those of the last registration, whatever its version', async () => {
    h.orchestrator.workflow('long', { version: 2, timeoutMs: HOUR, maxAttempts: 2 }, () => never());
    h.orchestrator.workflow('long', { version: 1, timeoutMs: 2 * HOUR }, () => never());
    const { metadata, max_attempts } = (await h.acme.tasks.submit({ type: 'long' })).task;
    expect([metadata.timeout_ms, max_attempts]).toEqual([2 * HOUR, 5]);
  });

  it('are known to a process without workers, and updated within a minute', async () => {
    const api = h.another({ role: 'api' });
    await api.start();
    const worker = async (timeoutMs: number) => {
      const made = h.another({ role: 'worker' });
      made.workflow('elsewhere', { timeoutMs, maxAttempts: 2 }, async (ctx) => ctx.waitForSignal('go'));
      await made.start();
      return made;
    };
    const submitted = async () => {
      const { tasks, batches } = api.tenant('acme');
      const { batch } = await batches.submit({ requests: [{ type: 'elsewhere' }] });
      const task = await tasks.get(batch.items[0]?.task_id ?? '');
      const { metadata, max_attempts } = (await tasks.submit({ type: 'elsewhere' })).task;
      expect([task.metadata.timeout_ms, task.max_attempts]).toEqual([metadata.timeout_ms, max_attempts]);
      return [metadata.timeout_ms, max_attempts];
    };
    const first = await worker(HOUR);
    expect(await submitted()).toEqual([HOUR, 2]);
    await first.stop();
    await worker(3 * HOUR);
    await h.clock.advance(MINUTE + 1);
    expect(await submitted()).toEqual([3 * HOUR, 2]);
  });

  it.each([
    [{ timeoutMs: 0 }, /workflow "odd".*timeoutMs/],
    [{ timeoutMs: 1.5 }, /timeoutMs/],
    [{ timeoutMs: 30 * 24 * HOUR + 1 }, /timeoutMs/],
    [{ maxAttempts: 0 }, /maxAttempts/],
    [{ maxAttempts: 101 }, /maxAttempts/],
  ])('%j are refused at registration', (options, message) => {
    expect(() => h.orchestrator.workflow('odd', options, () => 1)).toThrow(message);
  });
});

describe('a wait beyond the deadline of its task', () => {
  const overdue = {
    code: 'workflow_error',
    retryable: false,
    message: expect.stringMatching(
      /would end at 2026-01-31T10:15:00\.001Z, after the deadline of the task at 2026-01-31T10:15:00\.000Z/,
    ),
  };

  it.each(['sleep', 'signal'] as const)('fails at once, naming both times: %s', async (kind) => {
    h.orchestrator.workflow('waits', (ctx) =>
      kind === 'sleep'
        ? ctx.sleep(15 * MINUTE + 1)
        : ctx.waitForSignal('word', { timeoutMs: 15 * MINUTE + 1 }),
    );
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'waits' });
    expect(await h.ended(task)).toMatchObject({ status: 'failed', attempt: 1, error: overdue });
  });

  it('is measured from its request, and can be caught; one that ends in time is accepted', async () => {
    const caught: unknown[] = [];
    h.orchestrator.workflow('waits', async (ctx) => {
      await ctx.sleep(10 * MINUTE);
      await ctx.sleep(5 * MINUTE + 1).catch((error: unknown) => caught.push(error));
      await ctx.sleep(MINUTE);
      return 'in time';
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'waits' });
    await h.clock.advance(12 * MINUTE);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'in time', attempt: 1 });
    // Each run over the same journal decides alike.
    expect(caught.length).toBeGreaterThan(1);
    for (const error of caught) expect(error).toMatchObject(overdue);
  });

  it('is measured from run_at of a scheduled task', async () => {
    h.orchestrator.workflow('waits', (ctx) => ctx.sleep(15 * MINUTE - 1).then(() => 'in time'));
    await h.orchestrator.start();
    const run_at = new Date(h.clock.now() + 10 * MINUTE).toISOString();
    const task = await h.acme.tasks.submit({ type: 'waits', run_at });
    await h.clock.advance(25 * MINUTE);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'in time' });
  });

  it('without a limit of its own lasts until the deadline', async () => {
    h.orchestrator.workflow('waits', { timeoutMs: HOUR }, (ctx) => ctx.waitForSignal('word'));
    await h.orchestrator.start();
    const [one, other] = [
      await h.acme.tasks.submit({ type: 'waits' }),
      await h.acme.tasks.submit({ type: 'waits' }),
    ];
    await h.clock.advance(HOUR - 1);
    await h.acme.tasks.signal(one.task_id, 'word', 'just in time');
    await settled();
    expect(await h.ended(one)).toMatchObject({ status: 'completed', result: 'just in time' });
    await h.clock.advance(1);
    expect(await h.ended(other)).toMatchObject({
      status: 'failed',
      error: { code: 'timeout', message: `not ended within ${HOUR} ms` },
    });
  });
});
