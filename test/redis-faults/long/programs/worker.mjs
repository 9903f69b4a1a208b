// A process that runs workflows, and logs each action before it.
import { setTimeout as pause } from 'node:timers/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { logEntry, openStorage, settings } from './child.mjs';

const error = (text, details) => logEntry('error', { what: 'log', code: 'logged', text, ...details });
const logger = { debug() {}, info() {}, warn() {}, error };
const { leaseMs } = settings;

/** Logs claimed and settled tasks. */
function watched(storage) {
  const { queue } = storage;
  const [claim, settle] = [queue.claim.bind(queue), queue.settle.bind(queue)];
  queue.claim = async (params) => {
    const claims = await claim(params);
    for (const { task } of claims) logEntry('claimed', { task: task.task_id });
    return claims;
  };
  queue.settle = async (params) => {
    const answer = await settle(params);
    logEntry('settled', { task: params.taskId });
    return answer;
  };
  return storage;
}

const orchestrator = new Orchestrator({
  storage: watched(openStorage()),
  role: 'worker',
  concurrency: 20,
  leaseMs,
  // Parks tasks, so that other workers resume them.
  parkAfterMs: 0,
  logger,
});

orchestrator.service('echo', {
  async run(call) {
    logEntry('call', { task: call.task_id, step: call.input.step, call: call.call_id });
    await pause(40);
    return { step: call.input.step };
  },
});

orchestrator.workflow('steps', async (ctx) => {
  logEntry('started', { task: ctx.taskId, attempt: ctx.attempt });
  const own = async (step) => {
    await ctx.run(step, async () => {
      logEntry('own', { task: ctx.taskId, step });
      await pause(40);
      return step;
    });
    logEntry('recorded', { task: ctx.taskId, step });
  };
  const call = async (step) => {
    await ctx.call('echo', 'work', { step });
    logEntry('recorded', { task: ctx.taskId, step });
  };
  await own('one');
  await call('two');
  await ctx.sleep(300);
  await own('three');
  await call('four');
  logEntry('ended', { task: ctx.taskId });
  return ctx.taskId;
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
logEntry('up');
process.send?.('up');
