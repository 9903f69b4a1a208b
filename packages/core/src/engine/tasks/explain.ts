import type { ExplainFacts } from '../../storage/explain.js';
import type { EngineState } from '../engine-state.js';
import { openCalls } from './task-life.js';
import { viewTask } from './task-view.js';
import type { TaskEntry } from './task-entry.js';
import type { TenantState } from '../tenants/tenant-state.js';

/** The facts that explain why a task is where it is. */
export function factsOf(state: EngineState, tenant: TenantState, entry: TaskEntry): ExplainFacts {
  const { settings, leased } = tenant;
  const now = state.now();
  const live = [...state.workers.values()].filter(({ aliveUntil }) => aliveUntil > now);
  return {
    task: viewTask(tenant.tenantId, entry),
    state: entry.state,
    since: entry.since,
    version: entry.version,
    dueAt: entry.dueAt,
    worker: entry.lease?.workerId,
    cancelReason: entry.cancelling?.reason,
    sessionHolder: sessionHolderOf(entry),
    batch: entry.batch && { inFlight: entry.batch.group.holders.size, max: entry.batch.group.capacity },
    position: positionOf(tenant, entry),
    tenant: { paused: settings.paused, running: leased.size, maxRunning: settings.maxRunning },
    runs: live.flatMap(({ runs }) => runs),
    calls: openCalls(entry).map(({ service, operation, jobId }) => ({ service, operation, job: jobId })),
    steps: [...entry.journal.steps.values()]
      .filter(({ outcome, kind }) => !outcome && kind !== 'call')
      .map(({ name, dueAt }) => ({ name, dueAt })),
    diagnostic: structuredClone(entry.diagnostic),
  };
}

function sessionHolderOf({ groups }: TaskEntry): string | undefined {
  const [holder] = groups.find(({ inOrder }) => inOrder)?.holders ?? [];
  return holder?.spec.task_id;
}

/** Number of the tenant's ready tasks before this one, over all types. */
function positionOf(tenant: TenantState, entry: TaskEntry): number | undefined {
  if (!entry.queued) return undefined;
  let ahead = 0;
  for (const levels of tenant.ready.values()) ahead += levels.ahead(entry);
  return ahead;
}
