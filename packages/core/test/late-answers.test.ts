import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Claim } from '../src/storage/index.js';
import { type Harness, harness, settled } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

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
    let worked = 0;
    h.orchestrator.workflow('work', (ctx) => ctx.run('own', () => (worked += 1)));
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
    expect(await h.ended(task)).toMatchObject({ status: 'completed', result: 1 });
    expect(worked).toBe(1);
  });
});
