import { afterEach, beforeEach, expect, it } from 'vitest';
import { OrchestratorError } from '../src/index.js';
import { type Harness, harness } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

it('waiting for a task outlasts a log that can not be followed for a while', async () => {
  h.orchestrator.workflow('waits', (ctx) => ctx.waitForSignal('go'));
  await h.orchestrator.start();
  const follow = h.storage.events.follow.bind(h.storage.events);
  let failures = 2;
  h.storage.events.follow = (params) => {
    failures -= 1;
    if (failures >= 0) throw new OrchestratorError('storage_unavailable', 'gone for a moment');
    return follow(params);
  };
  const { task_id } = await h.acme.tasks.submit({ type: 'waits' });
  const waiting = h.acme.tasks.wait(task_id);
  await h.clock.advance(3_000);
  // The third attempt has begun to follow again; what happens from now on is heard of through it.
  expect(failures).toBe(-1);
  await h.acme.tasks.signal(task_id, 'go', 'at last');
  expect(await waiting).toMatchObject({ status: 'completed', result: 'at last' });
});
