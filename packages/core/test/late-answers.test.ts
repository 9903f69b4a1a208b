import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OrchestratorError } from '../src/index.js';
import type { Claim } from '../src/storage/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

/** A request without an answer. */
async function lost(): Promise<never> {
  throw new OrchestratorError('storage_unavailable', 'no answer');
}

/** The task is leased to another worker before this process reads the answer, as after a freeze. */
async function loseMeanwhile(claim: Pick<Claim, 'token'>, taskId: string, ms: number): Promise<void> {
  await h.storage.queue.settle({
    ...{ tenantId: 'acme', taskId, token: claim.token },
    settlement: { kind: 'released' },
  });
  await h.clock.advance(ms);
}

describe('an answer read late', () => {
  it('grants nothing that has expired meanwhile', async () => {
    h.orchestrator.workflow('work', (ctx) => ctx.call('slow', 'count'));
    const begin = h.storage.journal.begin.bind(h.storage.journal);
    let isFirst = true;
    h.storage.journal.begin = async (params) => {
      const answer = await begin(params);
      if (isFirst) {
        isFirst = false;
        await loseMeanwhile(params, params.taskId, 1_500);
      }
      return answer;
    };
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'work' });
    await settled();
    await h.clock.advance(5_000);
    expect(await h.ended(task)).toMatchObject({ status: 'processing' });
    expect(h.calls).toHaveLength(1);
  });
});

describe('own work, whose step is stored afterwards', () => {
  /** A run that continues when the test says so, and then does own work. */
  async function startWaiting() {
    await h.stop();
    h = harness({ concurrency: 1 });
    const { journal, queue } = h.storage;
    const sent: string[] = [];
    for (const method of ['begin', 'record', 'changesSince'] as const) {
      const original = journal[method].bind(journal) as (params: never) => Promise<never>;
      journal[method] = (params: never) => {
        sent.push(method);
        return original(params);
      };
    }
    const claims: Claim[] = [];
    const claim = queue.claim.bind(queue);
    queue.claim = async (params) => {
      const claimed = await claim(params);
      claims.push(...claimed);
      return claimed;
    };
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    let worked = 0;
    h.orchestrator.workflow('work', async (ctx) => {
      await released;
      return ctx.run('own', () => (worked += 1));
    });
    await h.orchestrator.start();
    const task = await h.acme.tasks.submit({ type: 'work' });
    await settled();
    const goOn = async () => {
      sent.length = 0;
      release();
      await settled();
    };
    return { task, claims, goOn, sent, worked: () => worked };
  }

  it('begins without a question while the lease is renewed', async () => {
    const { task, goOn, sent, worked } = await startWaiting();
    await h.clock.advance(120_000);
    await goOn();
    expect(sent).toEqual(['record']);
    expect(worked()).toBe(1);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it('begins only after a question once the lease may have ended, and not at all if it has', async () => {
    const { task, claims, goOn, sent, worked } = await startWaiting();
    // A frozen process renews nothing.
    h.storage.queue.renew = lost;
    await h.clock.advance(29_000);
    const [claim] = claims as [Claim];
    await loseMeanwhile(claim, task.task_id, 1_000);
    await goOn();
    expect(sent).toEqual(['changesSince', 'record']);
    expect(claims).toHaveLength(2);
    expect(worked()).toBe(1);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 1 });
  });

  it('begins after a question that finds the lease still held', async () => {
    const { task, goOn, sent, worked } = await startWaiting();
    const lease = h.storage.queue.renew.bind(h.storage.queue);
    // Renewals arrive, and their answers are lost.
    h.storage.queue.renew = async (params) => {
      await lease(params);
      return lost();
    };
    await h.clock.advance(31_000);
    await goOn();
    expect(sent).toEqual(['changesSince', 'record']);
    expect(worked()).toBe(1);
    expect(await h.ended(task)).toMatchObject({ status: 'completed', attempt: 1 });
  });
});
