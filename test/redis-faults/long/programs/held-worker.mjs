// A process that runs tasks which take a while and record nothing: all are running when it is killed.
import { setTimeout as pause } from 'node:timers/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { logEntry, openStorage, settings } from './child.mjs';

const { leaseMs, concurrency, takesMs } = settings;
const orchestrator = new Orchestrator({ storage: openStorage(), role: 'worker', concurrency, leaseMs });
orchestrator.workflow('held', async (ctx) => {
  logEntry('started', { task: ctx.taskId, attempt: ctx.attempt });
  await pause(takesMs);
  return ctx.attempt;
});
await orchestrator.start();
process.send?.('up');
