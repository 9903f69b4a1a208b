// A process that follows one tenant through all faults, from cursor to cursor.
import { setTimeout as pause } from 'node:timers/promises';
import { Orchestrator } from '@agent-orchestrator/core';
import { logEntry, logError, openStorage, settings } from './child.mjs';

const [tenant] = settings.tenants;
const orchestrator = new Orchestrator({ storage: openStorage(), role: 'api' });
const { events } = orchestrator.tenant(tenant);
const { signal } = new AbortController();
process.send?.('up');
let after = 'new:0';
for (;;) {
  try {
    for await (const event of events.log({ after, signal })) {
      if (event.event === 'gap') {
        logEntry('gap', { from: event.from, to: event.to });
        after = event.to;
      } else {
        logEntry('event', { cursor: event.cursor, event: event.event, task: event.task_id, rev: event.rev });
        after = event.cursor;
      }
    }
  } catch (error) {
    logError('follow', error);
    await pause(200);
  }
}
