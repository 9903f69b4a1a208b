import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type JsonValue, OrchestratorError, type WorkflowContext } from '../../src/index.js';
import { type Harness, harness, settled } from '../harness.js';
import type { Failpoint } from './failpoints.js';
import { TENANT, World } from './world.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

async function ended(workflow: (ctx: WorkflowContext) => Promise<unknown>) {
  h.orchestrator.service('quick', { run: () => 'done' }).workflow('found', workflow);
  await h.orchestrator.start();
  const task = await h.acme.tasks.submit({ type: 'found' });
  await h.clock.advance(5 * 60_000);
  return h.ended(task);
}

/** Does its work the next time, but its answer is lost. */
function loseNextAnswer<T extends object>(part: T, method: keyof T): void {
  const original = part[method] as (...args: unknown[]) => Promise<unknown>;
  part[method] = (async (...args: unknown[]) => {
    part[method] = original as T[keyof T];
    await original.apply(part, args);
    throw new OrchestratorError('storage_unavailable', 'the answer was lost');
  }) as T[keyof T];
}

describe('a repeated request after a lost answer', () => {
  it('redrives a task once', async () => {
    const failed = await ended(() => Promise.reject(new Error('broken')));
    loseNextAnswer(h.storage.tasks, 'redrive');
    await expect(h.acme.tasks.redrive(failed.task_id)).rejects.toMatchObject({ code: 'storage_unavailable' });
    await h.acme.tasks.redrive(failed.task_id);
    const { tasks } = await h.acme.tasks.list();
    expect(tasks.filter(({ redriven_from }) => redriven_from === failed.task_id)).toHaveLength(1);
  });

  it('delivers a signal once', async () => {
    h.orchestrator.workflow('letters', async (ctx) => [
      await ctx.waitForSignal('letter'),
      await ctx.waitForSignal('letter', { timeoutMs: 1_000 }).catch(() => 'no second one'),
    ]);
    await h.orchestrator.start();
    const { task_id } = await h.acme.tasks.submit({ type: 'letters' });
    await settled();
    loseNextAnswer(h.storage.tasks, 'signal');
    const send = () => h.acme.tasks.signal(task_id, 'letter', 1, { idempotencyKey: 'letter-1' });
    await expect(send()).rejects.toMatchObject({ code: 'storage_unavailable' });
    await send();
    await h.clock.advance(2_000);
    expect((await h.ended({ task_id })).result).toEqual([1, 'no second one']);
  });

  it('sends the gateway call that a dead process had not sent', async () => {
    const decide = (point: Failpoint) => point === 'service.send:before' && world.drops.length === 0;
    const world: World = new World({
      seed: 'gateway',
      processes: 1,
      services: ['quick'],
      furnish: () => undefined,
      decide,
    });
    const about = { from: { service: 'slow' }, tenant_id: TENANT };
    const request = { ...about, service: 'quick', operation: 'work', input: { step: 'done' } };
    let came: JsonValue | undefined;
    const story = async () => {
      const { signal } = new AbortController();
      const answer = await world.insist(({ gateway }) =>
        gateway.request({ ...request, idempotencyKey: 'once' }, { signal }),
      );
      await world.pause(5 * 60_000);
      const job =
        answer.answer === 'job' &&
        (await world.insist(({ gateway }) => gateway.job({ ...about, job_id: answer.job_id })));
      came = job ? job.result : answer.answer === 'result' ? answer.result : undefined;
    };
    await world.run(story, 3_600_000);
    expect(world.drops).toHaveLength(1);
    expect(world.services.sends.size).toBe(1);
    expect(came).toBe('done');
  });
});

describe('an early or late report', () => {
  const about = { service: 'slow', tenant_id: 'acme', task_id: 'job-1' };
  const { signal } = new AbortController();

  it('on a step that a new attempt will begin anew is answered stale', async () => {
    h.orchestrator.workflow('again', (ctx) => ctx.call('slow', 'work', {}, { retry: { maxAttempts: 1 } }));
    await h.orchestrator.start();
    await h.acme.tasks.submit({ type: 'again' });
    await settled();
    const from = { service: 'slow' };
    const failed = { error: 'busy', error_type: 'service_error', retryable: true };
    await h.orchestrator.intake.receive({ ...about, event: 'task_failed', data: failed }, from, { signal });
    await settled();
    // The attempt has ended and its failed step is dropped; the next attempt is not due yet.
    const late = { ...about, event: 'task_status_update', data: { status: 'still here' } };
    const { outcome } = await h.orchestrator.intake.receive(late, from, { signal });
    expect(['stale', 'late']).toContain(outcome);
  });

  it('that is held and resent is held once', async () => {
    h.orchestrator.service('slow', { run: () => new Promise(() => {}) });
    h.orchestrator.workflow('early', (ctx) => ctx.call('slow', 'work'));
    await h.orchestrator.start();
    await h.acme.tasks.submit({ type: 'early' });
    await settled();
    const report = {
      tenantId: 'acme',
      service: 'slow',
      jobId: 'job-1',
      messageId: 'message-1',
      body: { kind: 'outcome', outcome: { ok: true, value: 1 } },
    } as const;
    const first = await h.storage.journal.report(report);
    expect(first.answer).toBe('held');
    expect(await h.storage.journal.report(report)).toEqual(first);
  });
});
