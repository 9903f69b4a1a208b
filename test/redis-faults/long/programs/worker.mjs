// A process that runs workflows, and writes down what it does before it does it.
import { setTimeout as pause } from 'node:timers/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { note, openStorage, settings } from './child.mjs';

const error = (text, details) => note('error', { what: 'log', code: 'logged', text, ...details });
const logger = { debug() {}, info() {}, warn() {}, error };
const { leaseMs } = settings;

/** What this process has in hand, as the storage says it. */
function watched(storage) {
  const { queue } = storage;
  const [claim, settle] = [queue.claim.bind(queue), queue.settle.bind(queue)];
  queue.claim = async (params) => {
    const claims = await claim(params);
    for (const { task } of claims) note('claimed', { task: task.task_id });
    return claims;
  };
  queue.settle = async (params) => {
    const answer = await settle(params);
    note('settled', { task: params.taskId });
    return answer;
  };
  return storage;
}

const orchestrator = new Orchestrator({
  storage: watched(openStorage()),
  role: 'worker',
  concurrency: 20,
  leaseMs,
  // So that tasks are parked, and others take them up.
  parkAfterMs: 0,
  logger,
});

orchestrator.service('echo', {
  async run(call) {
    note('call', { task: call.task_id, step: call.input.step, call: call.call_id });
    await pause(40);
    return { step: call.input.step };
  },
});

orchestrator.workflow('steps', async (ctx) => {
  note('started', { task: ctx.task_id, attempt: ctx.attempt });
  const own = async (step) => {
    await ctx.run(step, async () => {
      note('own', { task: ctx.task_id, step });
      await pause(40);
      return step;
    });
    note('recorded', { task: ctx.task_id, step });
  };
  const call = async (step) => {
    await ctx.call('echo', 'work', { step });
    note('recorded', { task: ctx.task_id, step });
  };
  await own('one');
  await call('two');
  await ctx.sleep(300);
  await own('three');
  await call('four');
  note('ended', { task: ctx.task_id });
  return ctx.task_id;
});

async function begin() {
  for (;;) {
    try {
      await orchestrator.start();
      return;
    } catch (thrown) {
      error('start', { error: String(thrown) });
      await pause(100);
    }
  }
}

await begin();
note('up');
process.send?.('up');
