import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, harness } from './harness.js';

let h: Harness;
let claims = 0;
beforeEach(() => {
  h = harness();
  claims = 0;
  const { queue } = h.storage;
  const claim = queue.claim.bind(queue);
  queue.claim = (params) => {
    claims += 1;
    return claim(params);
  };
});
afterEach(() => h.stop());

describe('a worker that claims', () => {
  it('does not claim again after a short answer, nor when those tasks end', async () => {
    h.orchestrator.workflow('quick', () => 'done');
    await h.orchestrator.start();
    await h.clock.advance(0);
    const before = claims;
    for (let n = 1; n <= 3; n += 1) {
      const { task_id } = await h.acme.tasks.submit({ type: 'quick' });
      await h.clock.advance(0);
      expect(await h.acme.tasks.get(task_id)).toMatchObject({ status: 'completed' });
      expect(claims - before).toBe(n);
    }
  });

  it('claims again while answers are full', async () => {
    h.orchestrator.workflow('quick', () => 'done');
    const ids: string[] = [];
    for (let n = 0; n < 500; n += 1) ids.push((await h.acme.tasks.submit({ type: 'quick' })).task_id);
    await h.orchestrator.start();
    await h.clock.advance(0);
    for (const id of ids) expect(await h.acme.tasks.get(id)).toMatchObject({ status: 'completed' });
  });

  it('claims again after an answer that was short because of its size', async () => {
    h.orchestrator.workflow('large', () => 'done');
    const payload = { text: 'x'.repeat(700_000) };
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push((await h.acme.tasks.submit({ type: 'large', payload })).task_id);
    await h.orchestrator.start();
    await h.clock.advance(0);
    for (const id of ids) expect(await h.acme.tasks.get(id)).toMatchObject({ status: 'completed' });
  });

  it('claims again after the end of a suspect: the next one publishes no wake-up', async () => {
    h.orchestrator.workflow('poison', () => 'survived');
    const ids: string[] = [];
    for (let n = 0; n < 4; n += 1) ids.push((await h.acme.tasks.submit({ type: 'poison' })).task_id);
    const dead = { workerId: 'dead', claimId: 'c', max: 10, leaseMs: 1_000 };
    expect(await h.storage.queue.claim({ ...dead, runs: [{ type: 'poison', versions: [1] }] })).toHaveLength(
      4,
    );
    await h.clock.advance(2_000);
    await h.storage.queue.sweep({ max: 100 });
    await h.orchestrator.start();
    await h.clock.advance(0);
    for (const id of ids)
      expect(await h.acme.tasks.get(id)).toMatchObject({ status: 'completed', attempt: 2 });
  });
});
