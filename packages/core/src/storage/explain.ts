import type { Task } from '../protocol/task.js';
import type { TaskState } from '../protocol/task-state.js';
import type { Diagnostic } from '../protocol/thrown.js';
import type { Explanation } from './task-records.js';
import type { Runnable } from './task-queue.js';

/** What a storage knows about a task and its surroundings, read in one step. Points in time are in epoch ms. */
export interface ExplainFacts {
  readonly task: Task;
  readonly state: TaskState;
  /** Since when it is in this state. */
  readonly since: number;
  /** Version of the workflow that it has begun with, if it has. */
  readonly version: number | undefined;
  /** When a scheduled task becomes due. */
  readonly dueAt: number | undefined;
  /** Worker that holds its lease. */
  readonly worker: string | undefined;
  /** Reason of the cancellation that its worker was notified of. */
  readonly cancelReason: string | undefined;
  /** Task that holds its session, unless it runs in parallel with its session. */
  readonly sessionHolder: string | undefined;
  /** Running tasks of its batch, and their limit. */
  readonly batch: { readonly inFlight: number; readonly max: number } | undefined;
  /** Number of the tenant's tasks before it, if it is queued. */
  readonly position: number | undefined;
  readonly tenant: {
    readonly paused: boolean;
    readonly running: number;
    readonly maxRunning: number | undefined;
  };
  /** What live workers run. */
  readonly runs: readonly Runnable[];
  /** Calls without an outcome, in the order of their steps. */
  readonly calls: readonly OpenCallFacts[];
  /** Other steps without an outcome, in their order. */
  readonly steps: readonly { readonly name: string; readonly dueAt: number | undefined }[];
  readonly diagnostic: Diagnostic | undefined;
}

interface OpenCallFacts {
  readonly service: string;
  readonly operation: string;
  readonly job: string | undefined;
}

/** Explains to an operator why a task is where it is. Every storage collects the facts, and asks this function. */
export function explain(facts: ExplainFacts): Explanation {
  const { task, state, since, position, diagnostic } = facts;
  return {
    task,
    state,
    reason: reasonOf(facts),
    since: isoOf(since),
    ...(position !== undefined && { position }),
    ...(diagnostic && { diagnostic }),
  };
}

function reasonOf(facts: ExplainFacts): string {
  const { task, state, worker, cancelReason, dueAt, since } = facts;
  switch (state) {
    case 'completed':
      return 'it is completed';
    case 'failed':
    case 'cancelled':
      return `${task.error?.code}: ${task.error?.message}`;
    case 'scheduled':
      return `not before ${isoOf(dueAt ?? since)}`;
    case 'waiting':
      return waitingReason(facts);
    case 'leased':
      return cancelReason === undefined
        ? `worker ${worker} runs it, attempt ${task.attempt}`
        : `worker ${worker} is to end it: ${cancelReason}`;
    case 'parked':
    case 'tracked':
      return pendingReason(facts);
    case 'ready':
    case 'woken':
      return heldBackReason(facts) ?? queuedReason(facts);
    default:
      return state satisfies never;
  }
}

function waitingReason({ task, sessionHolder, batch }: ExplainFacts): string {
  if (sessionHolder !== undefined && sessionHolder !== task.task_id)
    return `session ${task.session_id} is busy with task ${sessionHolder}`;
  if (batch && batch.inFlight >= batch.max)
    return `batch ${task.batch_id} has ${batch.inFlight} of at most ${batch.max} in flight`;
  return 'it waits for its turn';
}

/** Why none of the tenant's tasks is claimed. */
function heldBackReason({ task, tenant }: ExplainFacts): string | undefined {
  const { paused, running, maxRunning } = tenant;
  if (paused) return `tenant "${task.tenant_id}" is paused`;
  if (maxRunning === undefined || running < maxRunning) return undefined;
  return `the tenant has ${running} of at most ${maxRunning} tasks running`;
}

function queuedReason({ task, version, runs, position = 0 }: ExplainFacts): string {
  const isRun = runs.some(
    ({ type, versions }) => type === task.type && (version === undefined || versions.includes(version)),
  );
  if (isRun) return `${position} tasks of this tenant go first`;
  const inVersion = version === undefined ? '' : ` in version ${version}`;
  return `no live worker runs this type, "${task.type}"${inVersion}`;
}

function pendingReason({ calls, steps }: ExplainFacts): string {
  const waits = [
    ...calls.map(
      ({ service, operation, job }) => `${service}.${operation}${job === undefined ? '' : ` (job ${job})`}`,
    ),
    ...steps.map(({ name, dueAt }) => (dueAt === undefined ? name : `${name} until ${isoOf(dueAt)}`)),
  ];
  return waits.length > 0 ? `waits for ${waits.join(', ')}` : 'waits for its service to report';
}

function isoOf(at: number): string {
  return new Date(at).toISOString();
}
