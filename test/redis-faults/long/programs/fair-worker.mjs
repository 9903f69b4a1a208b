// A worker whose tasks say when they were begun, and which writes down those of tenants that are watched.
import { setTimeout as pause } from 'node:timers/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { note, now, openStorage, settings } from './child.mjs';

const { concurrency, watched } = settings;
const orchestrator = new Orchestrator({ storage: openStorage(), role: 'worker', concurrency });

orchestrator.workflow('quick', async (ctx, ms) => {
  const begunAt = now();
  await pause(ms);
  if (watched.includes(ctx.tenant_id)) {
    note('ran', { tenant: ctx.tenant_id, task: ctx.task_id, begunAt, endedAt: now() });
  }
  return begunAt;
});

await orchestrator.start();
process.send?.('up');
