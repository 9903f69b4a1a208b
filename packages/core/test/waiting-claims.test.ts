import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClaimParams } from '../src/storage/index.js';
import { type Harness, harness } from './harness.js';

type Params = ClaimParams;

let h: Harness;
/** What was asked, in order; and whether it was allowed to wait. */
let asked: boolean[] = [];
beforeEach(() => {
  h = harness();
  asked = [];
  const { queue, wakeups } = h.storage;
  const claim = queue.claim.bind(queue);
  // A storage with long polls: a claim waits until a wakeup is published, or the time is over.
  queue.claim = async (params: Params) => {
    const { waitMs, signal, ...rest } = params;
    asked.push(waitMs !== undefined);
    const found = await claim(rest);
    if (found.length > 0 || waitMs === undefined || signal?.aborted) return found;
    await new Promise<void>((resolve) => {
      const unsubscribe = wakeups.subscribe(() => go());
      const cancel = h.clock.after(waitMs, () => go());
      const go = () => {
        unsubscribe();
        cancel();
        resolve();
      };
      signal?.addEventListener('abort', go);
    });
    return signal?.aborted ? [] : claim({ ...rest, claimId: `${rest.claimId}.again` });
  };
});
afterEach(() => h.stop());

const submit = async (type: string) => (await h.acme.tasks.submit({ type })).task_id;

describe('a worker on a storage with long polls', () => {
  it('polls whenever it is idle, one claim at a time', async () => {
    h.orchestrator.workflow('quick', () => 'done');
    await h.orchestrator.start();
    await h.clock.advance(0);
    const before = asked.length;
    for (let n = 1; n <= 3; n += 1) {
      const taskId = await submit('quick');
      await h.clock.advance(0);
      expect(await h.acme.tasks.get(taskId)).toMatchObject({ status: 'completed' });
      expect(asked.length).toBeGreaterThan(before);
      expect(asked.at(-1)).toBe(true);
    }
    const idle = asked.length;
    await h.clock.advance(3_500);
    expect(asked.length - idle).toBeGreaterThanOrEqual(3);
    expect(asked.length - idle).toBeLessThanOrEqual(4);
  });

  it('does not poll while it runs tasks, and still finds ready ones', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    h.orchestrator.workflow('slow', (ctx) => ctx.run('hold', () => released));
    h.orchestrator.workflow('quick', () => 'done');
    await h.orchestrator.start();
    await h.clock.advance(0);
    await submit('slow');
    await h.clock.advance(0);
    const before = asked.length;
    const taskId = await submit('quick');
    await h.clock.advance(0);
    expect(await h.acme.tasks.get(taskId)).toMatchObject({ status: 'completed' });
    expect(asked.slice(before)).toContain(false);
    expect(asked.slice(before)).not.toContain(true);
    release();
    await h.clock.advance(0);
    expect(asked.at(-1)).toBe(true);
  });

  it('ends the poll when it stops', async () => {
    h.orchestrator.workflow('quick', () => 'done');
    await h.orchestrator.start();
    await h.clock.advance(0);
    expect(asked.at(-1)).toBe(true);
    await h.orchestrator.stop();
    const taskId = await submit('quick');
    expect(await h.acme.tasks.get(taskId)).toMatchObject({ status: 'pending' });
  });
});
