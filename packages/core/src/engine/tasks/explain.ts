import type { Explanation } from '../../storage/task-records.js';
import type { EngineState } from '../engine-state.js';
import { openCalls } from './task-life.js';
import { viewTask } from './task-view.js';
import type { TaskEntry } from './task-entry.js';
import type { TenantState } from '../tenants/tenant-state.js';

/** Reason for the current state of a task, as text for operators. */
export function explainTask(state: EngineState, tenant: TenantState, entry: TaskEntry): Explanation {
  const position = positionOf(tenant, entry);
  return {
    task: viewTask(tenant.tenantId, entry),
    state: entry.state,
    reason: reasonOf(state, tenant, entry),
    since: new Date(entry.since).toISOString(),
    ...(position !== undefined && { position }),
    ...(entry.diagnostic && { diagnostic: structuredClone(entry.diagnostic) }),
  };
}

/** Number of the tenant's ready tasks before this one, over all types. */
function positionOf(tenant: TenantState, entry: TaskEntry): number | undefined {
  if (!entry.queued) return undefined;
  let ahead = 0;
  for (const levels of tenant.ready.values()) ahead += levels.ahead(entry);
  return ahead;
}

function reasonOf(state: EngineState, tenant: TenantState, entry: TaskEntry): string {
  switch (entry.state) {
    case 'scheduled':
      return `not before ${new Date(entry.dueAt ?? entry.createdAt).toISOString()}`;
    case 'waiting':
      return waitingReason(entry);
    case 'ready':
    case 'woken':
      return heldBackReason(tenant) ?? queuedReason(state, tenant, entry);
    case 'leased':
      return entry.cancelling
        ? `worker ${entry.lease?.workerId} is to end it: ${entry.cancelling.reason}`
        : `worker ${entry.lease?.workerId} runs it, attempt ${entry.attempt}`;
    case 'parked':
    case 'tracked':
      return parkedReason(entry);
    case 'completed':
      return 'it is completed';
    case 'failed':
    case 'cancelled':
      return `${entry.error?.code}: ${entry.error?.message}`;
    default:
      return entry.state satisfies never;
  }
}

function waitingReason(entry: TaskEntry): string {
  for (const group of entry.groups) {
    if (group.holders.has(entry) || group.holders.size < group.capacity) continue;
    const [head] = group.holders;
    return group.inOrder
      ? `session ${entry.spec.session_id} is busy with task ${head?.spec.task_id}`
      : `batch ${entry.batch?.batchId} has ${group.holders.size} of at most ${group.capacity} in flight`;
  }
  return 'it waits for its turn';
}

function heldBackReason({ tenantId, settings, leased, room }: TenantState): string | undefined {
  if (settings.paused) return `tenant "${tenantId}" is paused`;
  if (room > 0) return undefined;
  return `the tenant has ${leased.size} of at most ${settings.maxRunning} tasks running`;
}

function queuedReason(state: EngineState, tenant: TenantState, entry: TaskEntry): string {
  const { type } = entry.spec;
  const now = state.now();
  const runs = [...state.workers.values()].some(
    (worker) =>
      worker.aliveUntil > now &&
      worker.runs.some(
        (run) => run.type === type && (entry.version === undefined || run.versions.includes(entry.version)),
      ),
  );
  if (runs) return `${positionOf(tenant, entry) ?? 0} tasks of this tenant go first`;
  const version = entry.version === undefined ? '' : ` in version ${entry.version}`;
  return `no live worker runs this type, "${type}"${version}`;
}

function parkedReason(entry: TaskEntry): string {
  const waits: string[] = [];
  for (const call of openCalls(entry)) {
    waits.push(`${call.service}.${call.operation}${call.jobId === undefined ? '' : ` (job ${call.jobId})`}`);
  }
  for (const step of entry.journal.steps.values()) {
    if (step.outcome || step.kind === 'call') continue;
    waits.push(
      step.dueAt === undefined ? step.name : `${step.name} until ${new Date(step.dueAt).toISOString()}`,
    );
  }
  return waits.length > 0 ? `waits for ${waits.join(', ')}` : 'waits for its service to report';
}
