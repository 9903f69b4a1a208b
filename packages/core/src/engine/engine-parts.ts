import { Caches } from './cache/caches.js';
import { EventLogs } from './events/event-logs.js';
import { CallOutcomes } from './journal/call-outcomes.js';
import { Journals } from './journal/journals.js';
import { Queue } from './queue/queue.js';
import { Workers } from './queue/workers.js';
import { Sessions } from './sessions/sessions.js';
import { Submissions } from './tasks/submissions.js';
import { TaskLife } from './tasks/task-life.js';
import { Tasks } from './tasks/tasks.js';
import { Tenants } from './tenants/tenants.js';
import { Tickets } from './tenants/tickets.js';
import { UsageAccounts } from './tenants/usage.js';
import { Sweep } from './timers/sweep.js';
import { Reopening } from './reopening.js';
import type { EngineState } from './engine-state.js';

/** The parts of an engine, by domain: the handlers of its commands and reads. */
export interface EngineParts {
  readonly tasks: Tasks;
  readonly submissions: Submissions;
  readonly queue: Queue;
  readonly sweep: Sweep;
  readonly journals: Journals;
  readonly sessions: Sessions;
  readonly events: EventLogs;
  readonly tenants: Tenants;
  readonly tickets: Tickets;
  readonly usage: UsageAccounts;
  readonly cache: Caches;
  readonly workers: Workers;
  readonly reopening: Reopening;
}

export function partsOf(state: EngineState): EngineParts {
  const life = new TaskLife(state);
  const outcomes = new CallOutcomes(state, life);
  const sessions = new Sessions(state, life);
  const cache = new Caches(state);
  return {
    sessions,
    cache,
    tasks: new Tasks(state, life, outcomes),
    submissions: new Submissions(state, life, sessions),
    queue: new Queue(state, life, sessions),
    sweep: new Sweep(state, { life, outcomes, sessions, cache }),
    journals: new Journals(state, life, outcomes),
    events: new EventLogs(state),
    tenants: new Tenants(state, life),
    tickets: new Tickets(state),
    usage: new UsageAccounts(state),
    workers: new Workers(state),
    reopening: new Reopening(state),
  };
}
