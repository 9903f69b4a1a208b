import { accepted, Orchestrator, type ServiceCall } from '@agent-orchestrator/core';
import { median, table } from './measure.js';

const TASKS = 100_000;
const STEPS = 1_000;
const HOUR_MS = 3_600_000;

/** Bytes in use after garbage collection. */
function heapInUse(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** Resolves once `done` was called `times` times. */
function countdown(times: number): { readonly done: () => void; readonly ended: Promise<void> } {
  let left = times;
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const done = () => {
    left -= 1;
    if (left === 0) end();
  };
  return { done, ended };
}

async function untilParked(
  tasks: ReturnType<Orchestrator['tenant']>['tasks'],
  taskId: string,
): Promise<void> {
  while ((await tasks.explain(taskId)).state !== 'parked') {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Tasks that each wait for a service: the cost of one while it waits, and the rate at which all are woken.
 */
async function manyParked() {
  const calls: string[] = [];
  const slow = (call: ServiceCall) => {
    calls.push(call.call_id);
    return accepted(`job-${call.call_id}`);
  };
  await using orchestrator = new Orchestrator({ services: { slow: { run: slow, silenceMs: HOUR_MS } } });
  const { done, ended } = countdown(TASKS);
  orchestrator.workflow('waits', async (ctx, task: number) => {
    const answer = await ctx.call('slow', 'work', { task });
    done();
    return answer;
  });
  await orchestrator.start();
  const { tasks } = orchestrator.tenant('acme');
  const before = heapInUse();
  let began = performance.now();
  const ids: string[] = [];
  for (let task = 0; task < TASKS; task += 1) {
    ids.push((await tasks.submit({ type: 'waits', payload: task })).task_id);
  }
  for (const id of ids.slice(-1_000)) await untilParked(tasks, id);
  const parkUs = ((performance.now() - began) * 1_000) / TASKS;
  ids.length = 0;
  const bytes = (heapInUse() - before) / TASKS;
  began = performance.now();
  const hub = orchestrator.hub('slow');
  const { signal } = new AbortController();
  for (const callId of calls) {
    const about = { service: 'slow', task_id: `job-${callId}`, call_id: callId, tenant_id: 'acme' };
    await hub.receive({ event: 'task_completed', ...about, data: 1 }, { signal });
  }
  await ended;
  return { bytes, parkUs, wakeUs: ((performance.now() - began) * 1_000) / TASKS };
}

/** Time from the wake-up to the end of a task with 1,000 recorded steps. */
async function longReplay(): Promise<number> {
  await using orchestrator = new Orchestrator();
  orchestrator.workflow('long', async (ctx) => {
    let sum = 0;
    for (let step = 1; step < STEPS; step += 1) sum += await ctx.run('one', () => 1);
    await ctx.waitForSignal('go');
    return sum;
  });
  await orchestrator.start();
  const { tasks } = orchestrator.tenant('acme');
  const { task_id: taskId } = await tasks.submit({ type: 'long' });
  await untilParked(tasks, taskId);
  const began = performance.now();
  await tasks.signal(taskId, 'go');
  const { result } = await tasks.wait(taskId);
  if (result !== STEPS - 1) throw new Error(`expected ${STEPS - 1}, got ${JSON.stringify(result)}`);
  return performance.now() - began;
}

/** The cost of waiting. There is no peer: a waiting promise cannot be found again. */
export async function parked({ rounds }: { readonly rounds: number }): Promise<unknown> {
  const many = await manyParked();
  const replays: number[] = [];
  for (let round = 0; round < rounds; round += 1) replays.push(await longReplay());
  const replayMs = median(replays);
  console.log(
    table([
      ['what', 'figure'],
      [`${TASKS} parked tasks, heap of each (call, job and journal included)`, `${Math.round(many.bytes)} B`],
      ['submit, call, 202, park: each', `${many.parkUs.toFixed(1)} µs`],
      ['notification, wake, replay, complete: each', `${many.wakeUs.toFixed(1)} µs`],
      [`wake-up to end of a task with ${STEPS} steps, median of ${rounds}`, `${replayMs.toFixed(1)} ms`],
    ]),
  );
  return { tasks: TASKS, ...many, replaySteps: STEPS, replayMs };
}
