// A worker whose tasks return their start time, and which logs the runs of watched tenants.
import { setTimeout as pause } from 'node:timers/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { logEntry, now, openStorage, settings } from './child.mjs';

const { concurrency, watched } = settings;
const orchestrator = new Orchestrator({ storage: openStorage(), role: 'worker', concurrency });

orchestrator.workflow('quick', async (ctx, ms) => {
  const begunAt = now();
  await pause(ms);
  if (watched.includes(ctx.tenantId)) {
    logEntry('ran', { tenant: ctx.tenantId, task: ctx.taskId, begunAt, endedAt: now() });
  }
  return begunAt;
});

await orchestrator.start();
process.send?.('up');
