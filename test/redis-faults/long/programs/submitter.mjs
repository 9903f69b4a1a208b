// A process that submits, and repeats a request with the same key until it has an answer.
import { setTimeout as pause } from 'node:timers/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { logEntry, logError, openStorage, settings } from './child.mjs';

const { tenants, perSecond } = settings;
const orchestrator = new Orchestrator({ storage: openStorage(), role: 'api' });
const over = new AbortController();

async function submit(tenant, key) {
  for (;;) {
    try {
      logEntry('requested', { tenant, key });
      const body = { type: 'steps', payload: key };
      const { task_id: task } = await orchestrator.tenant(tenant).tasks.submit(body, { idempotencyKey: key });
      logEntry('acknowledged', { tenant, key, task });
      return;
    } catch (error) {
      logError('submit', error);
      await pause(200);
    }
  }
}

async function submitContinuously() {
  const inFlight = new Set();
  for (let n = 0; !over.signal.aborted; n += 1) {
    const one = submit(tenants[n % tenants.length], `key-${n}`);
    inFlight.add(one);
    void one.then(() => inFlight.delete(one));
    await pause(1_000 / perSecond);
  }
  await Promise.all(inFlight);
}

process.on('message', () => over.abort());
for (;;) {
  try {
    await orchestrator.start();
    break;
  } catch (error) {
    logError('start', error);
    await pause(100);
  }
}
process.send?.('up');
await submitContinuously();
logEntry('done');
process.send?.('done');
