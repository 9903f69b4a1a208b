import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OrchestratorError } from '../src/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

const away = () => new OrchestratorError('storage_unavailable', 'gone for a moment');

/** Fails the next `times` calls of a method, before or after it has done its work. */
function failing<T extends object>(part: T, method: keyof T, when: 'before' | 'after', times = 1): void {
  const original = (part[method] as (...args: unknown[]) => Promise<unknown>).bind(part);
  let left = times;
  part[method] = (async (...args: unknown[]) => {
    if (left === 0) return original(...args);
    left -= 1;
    if (when === 'after') await original(...args);
    throw away();
  }) as T[keyof T];
}

describe.each(['before', 'after'] as const)('a storage that fails %s its work', (when) => {
  it.each(['begin', 'record'] as const)(
    'in %s: the call is made with one key, and the task completes',
    async (method) => {
      const keys = new Set<string>();
      h.orchestrator.service('quick', {
        run: (call) => {
          keys.add(call.call_id);
          return call.input;
        },
      });
      h.orchestrator.workflow('call', (ctx) => ctx.call('quick', 'work', 7));
      await h.orchestrator.start();
      failing(h.storage.journal, method, when, 3);
      const task = await h.acme.tasks.submit({ type: 'call' });
      await h.clock.advance(10_000);
      expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 7, attempt: 1 });
      expect(keys.size).toBe(1);
    },
  );

  it('storage unavailable in settle: the task ends once', async () => {
    h.orchestrator.workflow('quick', () => 'done');
    await h.orchestrator.start();
    failing(h.storage.queue, 'settle', when, 2);
    const task = await h.acme.tasks.submit({ type: 'quick' });
    await h.clock.advance(5_000);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 'done', rev: 3 });
  });

  it('storage unavailable in parking: no wake-up is missed', async () => {
    h.orchestrator.workflow('waits', (ctx) => ctx.call('slow', 'work'));
    await h.orchestrator.start();
    failing(h.storage.queue, 'settle', when, 1);
    const task = await h.acme.tasks.submit({ type: 'waits' });
    await h.clock.advance(5_000);
    await h.slow.notifyTaskCompletion({ task_id: 'job-1', tenant_id: 'acme', result: 1 });
    await h.clock.advance(1_000);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 1 });
    expect(h.calls).toHaveLength(1);
  });

  it('storage unavailable in submit: the same key finds the same task', async () => {
    h.orchestrator.workflow('quick', () => 'done');
    failing(h.storage.tasks, 'submit', when, 1);
    const once = { idempotencyKey: 'k' };
    await expect(h.acme.tasks.submit({ type: 'quick' }, once)).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    await h.acme.tasks.submit({ type: 'quick' }, once);
    expect((await h.acme.tasks.list()).tasks).toHaveLength(1);
  });

  it('storage unavailable in claim: the same claim is repeated', async () => {
    let runs = 0;
    h.orchestrator.workflow('counted', () => (runs += 1));
    failing(h.storage.queue, 'claim', when, 1);
    const task = await h.acme.tasks.submit({ type: 'counted' });
    await h.orchestrator.start();
    await h.clock.advance(1_000);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(runs).toBe(1);
  });
});

describe('a storage that is unavailable at the start', () => {
  it('rejects the start, which may be repeated', async () => {
    failing(h.storage, 'ping', 'before', 1);
    await expect(h.orchestrator.start()).rejects.toMatchObject({ code: 'storage_unavailable' });
    await h.orchestrator.start();
    h.orchestrator.workflow('quick', () => 'done');
    const task = await h.acme.tasks.submit({ type: 'quick' });
    await settled();
    expect(await h.ended(task)).toMatchObject({ status: 'completed' });
  });
});
