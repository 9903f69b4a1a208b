import assert from 'node:assert/strict';
import { isFinal, OrchestratorError, type Task, type WorkflowContext } from '../../src/index.js';
import type { Behaviour } from './outside-services.js';
import type { SimulatedProcess } from './simulated-process.js';
import { TENANT, type World } from './world.js';

/**
 * A caller's requests with their expected effects, whichever process dies. Every request is repeated until it
 * is answered.
 */
export type Scenario = (world: World) => Promise<void>;

export const SERVICES = ['quick', 'slow'];

const ask = (behaviour: Behaviour) => behaviour;

/** The workflows that the scenarios need, as one process runs them. */
export function furnish(process: SimulatedProcess, world: World): void {
  const effect = (ctx: WorkflowContext) => world.effect(process, ctx.taskId, '#effect');
  const answer = ask({ step: 'answer', value: { content: 'hi' } });
  process.orchestrator.service('agent_execution', {
    run: (call) =>
      process.through('service.send', () =>
        world.services.run('agent_execution', { ...call, input: answer }),
      ),
  });
  process.orchestrator
    .workflow('journey', async (ctx) => {
      await ctx.progress({ message: 'begun' });
      const quick = await ctx.call<string>('quick', 'work', ask({ step: 'quick', takesMs: 12_000 }));
      const job = ask({ step: 'slow', job: { afterMs: 4_000, names: 'call', progress: true } });
      const slow = await ctx.call<string>('slow', 'work', job);
      await ctx.run('effect', () => effect(ctx), { id: 'effect' });
      await ctx.sleep(2_000);
      const word = await ctx.waitForSignal<string>('word', { timeoutMs: 600_000 });
      return { quick, slow, word };
    })
    .workflow('busy', async (ctx) => {
      await ctx.run('effect', () => effect(ctx), { id: 'effect' });
      return ctx.call<string>('quick', 'work', ask({ step: 'busy', takesMs: 20_000 }));
    })
    .workflow('short', (ctx) => ctx.call<string>('quick', 'work', ask({ step: 'short' })))
    .workflow('unsteady', async (ctx) => {
      const flaky = await ctx.call<string>('quick', 'work', ask({ step: 'flaky', failures: 1 }));
      const job = ask({ step: 'again', failures: 1, job: { afterMs: 500 } });
      return [flaky, await ctx.call<string>('slow', 'work', job)];
    })
    .workflow('broken', async (ctx) => {
      const first = await ctx.call<string>('quick', 'work', ask({ step: 'first' }));
      const second = ask({ step: 'second', ...(!mended.has(world) && { error: 'broken' }) });
      return [first, await ctx.call<string>('quick', 'work', second, { id: 'second' })];
    })
    .workflow('early', (ctx) =>
      ctx.call<string>('slow', 'work', ask({ step: 'early', job: { afterMs: 0, early: true } })),
    );
}

/** Worlds in which what broke the workflow `broken` was mended. */
const mended = new WeakSet<World>();

async function submit(world: World, body: { readonly type: string; readonly session_id?: string }) {
  const idempotencyKey = `${body.type}-once`;
  const task = await world.insist(({ registry }) =>
    registry.submit({ tenantId: TENANT, body, idempotencyKey }),
  );
  world.acknowledged.add(task.task.task_id);
  return task.task.task_id;
}

const look = (world: World, taskId: string): Promise<Task> =>
  world.insist(({ registry }) => registry.get({ tenantId: TENANT, taskId }));

async function ended(world: World, taskId: string): Promise<Task> {
  for (;;) {
    const task = await look(world, taskId);
    if (isFinal(task.status)) return task;
    await world.pause(500);
  }
}

async function tasksOf(world: World): Promise<readonly Task[]> {
  const { tasks } = await world.insist(({ registry }) => registry.list({ tenantId: TENANT }));
  return tasks;
}

async function journey(world: World): Promise<void> {
  const taskId = await submit(world, { type: 'journey' });
  await world.pause(5_000);
  const received = { tenantId: TENANT, taskId, name: 'word', payload: 'go', idempotencyKey: 'word' };
  await world.insist(({ registry }) => registry.signal(received).then(() => true));
  const task = await ended(world, taskId);
  assert.deepEqual(task.result, { quick: 'quick', slow: 'slow', word: 'go' }, task.error?.message);
  assert.equal((await tasksOf(world)).length, 1);
}

/** A task is cancelled during its call while a caller waits for it. */
async function cancelled(world: World): Promise<void> {
  const taskId = await submit(world, { type: 'busy' });
  const waited = world.insist(({ registry }) => registry.wait({ tenantId: TENANT, taskId }));
  await world.pause(2_000);
  await world.insist(({ registry }) => registry.cancel({ tenantId: TENANT, taskId, reason: 'enough' }));
  assert.equal((await waited).status, 'cancelled');
  const task = await ended(world, taskId);
  assert.equal(task.status, 'cancelled');
}

async function stopped(world: World): Promise<void> {
  const taskId = await submit(world, { type: 'busy' });
  await world.pause(2_000);
  const process = world.someone();
  if (process) await world.stop(process);
  const task = await ended(world, taskId);
  assert.equal(task.result, 'busy');
}

async function unsteady(world: World): Promise<void> {
  const task = await ended(world, await submit(world, { type: 'unsteady' }));
  assert.deepEqual(task.result, ['flaky', 'again'], task.error?.message);
}

async function redriven(world: World): Promise<void> {
  const taskId = await submit(world, { type: 'broken' });
  const { error } = await ended(world, taskId);
  assert.equal(error?.message, 'broken');
  mended.add(world);
  await world.insist(async ({ registry }) => {
    // After a lost answer the caller first checks whether the task was redriven.
    const { tasks } = await registry.list({ tenantId: TENANT });
    const known = tasks.find(({ redriven_from }) => redriven_from === taskId);
    return known ?? registry.redrive({ tenantId: TENANT, taskId });
  });
  const tasks = await tasksOf(world);
  assert.equal(tasks.length, 2);
  const second = tasks.find(({ redriven_from }) => redriven_from === taskId);
  assert.ok(second);
  world.acknowledged.add(second.task_id);
  assert.deepEqual((await ended(world, second.task_id)).result, ['first', 'second']);
  // The old journal's success was taken over.
  assert.equal(world.services.triesOf(second.task_id, 'first'), 0);
  // After a lost answer it is not found.
  await world.insist(({ registry }) =>
    registry.discard({ tenantId: TENANT, taskId }).catch((thrown: unknown) => {
      if (!(thrown instanceof OrchestratorError) || thrown.code !== 'not_found') throw thrown;
    }),
  );
  assert.equal((await tasksOf(world)).length, 1);
}

async function tracked(world: World): Promise<void> {
  const [reported, finished] = [
    'b7c1d8e2-0c7d-4f3a-9a51-3f0f6f1d2a01',
    'b7c1d8e2-0c7d-4f3a-9a51-3f0f6f1d2a02',
  ] as const;
  const work = { service: 'slow', jobId: 'tracked-job' };
  const task = { tenantId: TENANT, type: 'import' };
  await world.insist(({ registry }) => registry.register({ ...task, taskId: reported, ...work }));
  await world.insist(({ registry }) => registry.register({ ...task, taskId: finished }));
  for (const id of [reported, finished]) world.acknowledged.add(id);
  const progress = { tenantId: TENANT, taskId: finished, percent: 50 };
  await world.insist(({ registry }) => registry.progress(progress).then(() => true));
  const about = { service: 'slow', task_id: 'tracked-job', tenant_id: TENANT };
  const frame = { ...about, event: 'task_completed', data: 'imported', message_id: 'once' };
  const heard = await world.insist((orchestrator) =>
    orchestrator.hub('slow').receive(frame, { signal: new AbortController().signal }),
  );
  assert.ok(heard.outcome === 'applied' || heard.outcome === 'duplicate', heard.outcome);
  await world.insist(({ registry }) =>
    registry.finish({ tenantId: TENANT, taskId: finished, result: 'done' }),
  );
  assert.equal((await ended(world, reported)).result, 'imported');
  assert.equal((await ended(world, finished)).result, 'done');
  assert.equal((await tasksOf(world)).length, 2);
}

async function batches(world: World): Promise<void> {
  const one = { type: 'short' };
  const body = { requests: [one, one, one], max_in_flight: 1 };
  const twice = async (key: string) => {
    const request = { tenantId: TENANT, body, idempotencyKey: key };
    return (await world.insist(({ registry }) => registry.submitBatch(request))).batch;
  };
  const [kept, dismissed] = [await twice('kept'), await twice('dismissed')];
  for (const { task_id } of [...kept.items, ...dismissed.items]) world.acknowledged.add(task_id ?? '');
  const { batch_id: batchId } = dismissed;
  await world.insist(({ registry }) => registry.cancelBatch({ tenantId: TENANT, batchId }));
  for (const { task_id = '' } of kept.items) assert.equal((await ended(world, task_id)).result, 'short');
  for (const { task_id = '' } of dismissed.items) await ended(world, task_id);
  const batch = await world.insist(({ registry }) =>
    registry.getBatch({ tenantId: TENANT, batchId: kept.batch_id }),
  );
  assert.equal(batch.counts.completed, 3);
  assert.equal((await tasksOf(world)).length, 6);
}

async function conversation(world: World): Promise<void> {
  const where = { tenantId: TENANT, sessionId: 's1' };
  await world.insist(({ sessions }) => sessions.create({ ...where, context: { lang: 'en' } }));
  const message = { role: 'user', content: 'before', message_id: 'm1' } as const;
  await world.insist(({ sessions }) => sessions.append({ ...where, message }));
  await world.insist(async ({ sessions }) => {
    // After a lost answer the caller first checks whether the change was made, possibly by itself.
    const { session } = await sessions.get(where);
    if (session.context['lang'] === 'de') return session;
    return sessions.update({ ...where, rev: session.rev, context: { lang: 'de' } });
  });
  const chat = { tenantId: TENANT, body: { message: 'hello', session_id: 's1' }, idempotencyKey: 'hello' };
  const { task } = await world.insist(({ registry }) => registry.chat(chat));
  world.acknowledged.add(task.task_id);
  assert.equal((await ended(world, task.task_id)).status, 'completed');
  const messages = await world.insist(({ sessions }) => sessions.messages(where));
  assert.deepEqual(
    messages.map(({ role, content }) => `${role}: ${content}`),
    ['user: before', 'user: hello', 'assistant: hi'],
  );
  await world.insist(({ sessions }) => sessions.close(where));
  const { session } = await world.insist(({ sessions }) => sessions.get(where));
  assert.deepEqual([session.status, session.context], ['closed', { lang: 'de' }]);
  assert.equal((await tasksOf(world)).length, 1);
}

async function early(world: World): Promise<void> {
  const task = await ended(world, await submit(world, { type: 'early' }));
  assert.equal(task.result, 'early', task.error?.message);
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  journey,
  cancelled,
  stopped,
  unsteady,
  redriven,
  tracked,
  batches,
  conversation,
  early,
};
