import { afterEach, beforeEach, expect, it } from 'vitest';
import { GlobalTaskRegistry, OrchestratorError } from '../src/index.js';
import { type Harness, harness } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = harness();
});
afterEach(() => h.stop());

it('waiting for a task survives an outage of the log', async () => {
  h.orchestrator.workflow('waits', (ctx) => ctx.waitForSignal('go'));
  await h.orchestrator.start();
  const follow = h.storage.events.followCompletions.bind(h.storage.events);
  let failures = 2;
  h.storage.events.followCompletions = (params) => {
    failures -= 1;
    if (failures >= 0) throw new OrchestratorError('storage_unavailable', 'gone for a moment');
    return follow(params);
  };
  const { task_id } = await h.acme.tasks.submit({ type: 'waits' });
  const waiting = h.acme.tasks.wait(task_id);
  await h.clock.advance(3_000);
  // The third attempt follows again; later events arrive through it.
  expect(failures).toBe(-1);
  await h.acme.tasks.signal(task_id, 'go', 'at last');
  expect(await waiting).toMatchObject({ status: 'completed', result: 'at last' });
});

/** Tasks that end on command, and the storage calls of a waiter. */
async function waitable() {
  h.orchestrator.workflow('waits', (ctx) => ctx.waitForSignal('go'));
  await h.orchestrator.start();
  const { tasks, events } = h.storage;
  const [get, follow] = [tasks.get.bind(tasks), events.followCompletions.bind(events)];
  const asked = { gets: 0, followers: 0, following: 0 };
  tasks.get = (params) => {
    asked.gets += 1;
    return get(params);
  };
  events.followCompletions = async function* (params) {
    asked.followers += 1;
    asked.following += 1;
    try {
      yield* follow(params);
    } finally {
      asked.following -= 1;
    }
  };
  const submit = async () => (await h.acme.tasks.submit({ type: 'waits' })).task_id;
  const types = { has: () => true, checkPayload: () => undefined };
  const elsewhere = new GlobalTaskRegistry({ storage: h.storage, types });
  const submitElsewhere = async () =>
    (await elsewhere.submit({ tenantId: 'acme', body: { type: 'waits' } })).task.task_id;
  const end = async (taskId: string) => {
    await h.acme.tasks.signal(taskId, 'go', 'on');
    await h.clock.advance(0);
    asked.gets -= 1; // That of `signal`.
  };
  return { asked, submit, submitElsewhere, end, get };
}

it('waiting reads the task before and after, and not before for its own submission', async () => {
  const { asked, submit, submitElsewhere, end } = await waitable();
  const first = await submitElsewhere();
  const waiting = h.acme.tasks.wait(first);
  await h.clock.advance(0);
  expect(asked).toEqual({ gets: 1, followers: 1, following: 1 });
  const second = await submit();
  const [again, late] = [h.acme.tasks.wait(second), h.acme.tasks.wait(first)];
  await h.clock.advance(0);
  expect(asked.gets).toBe(2);
  await end(first);
  await end(second);
  for (const task of await Promise.all([waiting, again, late])) expect(task.status).toBe('completed');
  expect(asked).toEqual({ gets: 5, followers: 1, following: 1 });
});

it('waiting for a recent own submission starts with the log; an old one with a read', async () => {
  const { asked, submit, end } = await waitable();
  const early = await submit();
  await end(early);
  await h.clock.advance(1_001);
  const taskId = await submit();
  const waiting = h.acme.tasks.wait(taskId);
  await h.clock.advance(0);
  expect(asked).toEqual({ gets: 0, followers: 1, following: 1 });
  await end(taskId);
  expect((await waiting).status).toBe('completed');
  expect(asked.gets).toBe(1);
  // This one has ended before the log was followed.
  expect((await h.acme.tasks.wait(early)).status).toBe('completed');
  expect(asked.gets).toBe(2);
});

it('waiting for an own submission that has ended resolves at once', async () => {
  const { submit, end } = await waitable();
  const taskId = await submit();
  await end(taskId);
  expect((await h.acme.tasks.wait(taskId)).status).toBe('completed');
  expect((await h.acme.tasks.wait(taskId)).status).toBe('completed');
});

it('a log is followed for a while after the last waiter, and then no more', async () => {
  const { asked, submit, end } = await waitable();
  const wait = async () => {
    const taskId = await submit();
    const waiting = h.acme.tasks.wait(taskId);
    await h.clock.advance(0);
    await end(taskId);
    await waiting;
  };
  await wait();
  await h.clock.advance(9_000);
  await wait();
  await h.clock.advance(9_000);
  expect(asked).toMatchObject({ followers: 1, following: 1 });
  await h.clock.advance(2_000);
  expect(asked).toMatchObject({ followers: 1, following: 0 });
  await wait();
  expect(asked).toMatchObject({ followers: 2, following: 1 });
});

it('looks up a submission whose answer was lost', async () => {
  const { asked, submit } = await waitable();
  const over = new AbortController();
  const first = h.acme.tasks.wait(await submit(), { signal: over.signal });
  await h.clock.advance(0);
  const taskId = crypto.randomUUID();
  const store = h.storage.tasks.submit.bind(h.storage.tasks);
  h.storage.tasks.submit = async () => {
    throw new OrchestratorError('storage_unavailable', 'gone for a moment');
  };
  await expect(h.acme.tasks.submit({ type: 'waits', task_id: taskId })).rejects.toThrow('gone');
  h.storage.tasks.submit = store;
  await expect(h.acme.tasks.wait(taskId)).rejects.toMatchObject({ code: 'not_found' });
  expect(asked.gets).toBe(1);
  over.abort();
  await first;
});

it('a reader ahead of the follower reads again once another waiter follows', async () => {
  const { submitElsewhere, end, get } = await waitable();
  const [early, other] = [await submitElsewhere(), await submitElsewhere()];
  let answer = () => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const counted = h.storage.tasks.get.bind(h.storage.tasks);
  h.storage.tasks.get = async (params) => {
    const found = await get(params);
    await answered;
    return found;
  };
  const waiting = h.acme.tasks.wait(early);
  await h.clock.advance(0);
  h.storage.tasks.get = counted;
  await end(early);
  const over = new AbortController();
  const second = h.acme.tasks.wait(other, { signal: over.signal });
  await h.clock.advance(0);
  // The log is followed from behind the end of the first one, which was still running when it was looked at.
  answer();
  expect(await waiting).toMatchObject({ status: 'completed' });
  over.abort();
  await second;
});

it('gives each waiter its own copy of the task from the log, without a read', async () => {
  const { asked, submit, end, get } = await waitable();
  const { events } = h.storage;
  const follow = events.followCompletions.bind(events);
  events.followCompletions = async function* (params) {
    for await (const received of follow(params)) {
      if (received.event === 'gap') yield received;
      else {
        const found = await get({ tenantId: 'acme', taskId: received.task_id });
        if (found) yield { ...received, task: () => structuredClone(found.task) };
      }
    }
  };
  const taskId = await submit();
  const waiting = [h.acme.tasks.wait(taskId), h.acme.tasks.wait(taskId)];
  await h.clock.advance(0);
  asked.gets = 0;
  await end(taskId);
  const [one, other] = await Promise.all(waiting);
  expect(asked.gets).toBe(0);
  expect(one).toMatchObject({ status: 'completed', result: 'on' });
  expect(other).toEqual(one);
  expect(other).not.toBe(one);
});
