import { type Explanation, isFinalState, type TaskError, type WorkerEntry } from '@agent-orchestrator/core';
import { type StoredTask, TaskView } from './task-codec.js';

/** Context of a task. */
export interface Surroundings {
  readonly position: number | undefined;
  /** The task that holds its session. */
  readonly sessionTask: string | null;
  readonly inBatch: number;
  readonly maxInBatch: number;
  readonly paused: boolean;
  readonly running: number;
  readonly maxRunning: number | undefined;
  readonly workers: readonly WorkerEntry[];
}

const iso = (at: number) => new Date(at).toISOString();

/** Explains to an operator why a task is where it is. */
export function explainTask(tenantId: string, stored: StoredTask, around: Surroundings): Explanation {
  const { state, header } = stored;
  return {
    task: new TaskView(tenantId, stored),
    state: state.state,
    reason: reasonOf(tenantId, stored, around),
    since: iso(state.ended ?? state.since ?? header.at),
    ...(around.position !== undefined && { position: around.position }),
    ...(stored.diagnostic && { diagnostic: stored.diagnostic }),
  };
}

function reasonOf(tenantId: string, stored: StoredTask, around: Surroundings): string {
  const { state, header } = stored;
  if (isFinalState(state.state)) {
    if (state.state === 'completed') return 'it is completed';
    const { code, message } = JSON.parse(stored.outcome ?? '{}') as TaskError;
    return `${code}: ${message}`;
  }
  if (state.state === 'scheduled') return `not before ${iso(state.due ?? header.at)}`;
  if (state.state === 'waiting') return waitingReason(stored, around);
  if (state.state === 'leased')
    return state.cancel === undefined
      ? `worker ${state.worker} runs it, attempt ${state.attempt}`
      : `worker ${state.worker} is to end it: ${state.cancel}`;
  if (state.state === 'parked' || state.state === 'tracked') return parkedReason(stored);
  return queuedReason(tenantId, stored, around);
}

function waitingReason({ taskId, header }: StoredTask, around: Surroundings): string {
  const { sessionTask, inBatch, maxInBatch } = around;
  if (sessionTask !== null && sessionTask !== taskId && !header.parallel)
    return `session ${header.session_id} is busy with task ${sessionTask}`;
  if (header.batch_id !== undefined && inBatch >= maxInBatch)
    return `batch ${header.batch_id} has ${inBatch} of at most ${maxInBatch} in flight`;
  return 'it waits for its turn';
}

function queuedReason(tenantId: string, { header, state }: StoredTask, around: Surroundings): string {
  const { type } = header;
  const { version } = state;
  if (around.paused) return `tenant "${tenantId}" is paused`;
  if (around.maxRunning !== undefined && around.running >= around.maxRunning)
    return `the tenant has ${around.running} of at most ${around.maxRunning} tasks running`;
  const runs = around.workers.some((worker) =>
    worker.runs.some((run) => run.type === type && (version === undefined || run.versions.includes(version))),
  );
  if (runs) return `${around.position ?? 0} tasks of this tenant go first`;
  return `no live worker runs this type, "${type}"${version === undefined ? '' : ` in version ${version}`}`;
}

function parkedReason({ steps }: StoredTask): string {
  const waits: string[] = [];
  for (const step of steps) {
    for (const call of step.calls ?? []) {
      if (call.state === 'ended') continue;
      waits.push(`${step.service}.${step.operation}${call.job === undefined ? '' : ` (job ${call.job})`}`);
    }
  }
  for (const step of steps) {
    if (step.ended !== undefined || step.kind === 'call') continue;
    waits.push(step.due === undefined ? step.name : `${step.name} until ${iso(step.due)}`);
  }
  return waits.length > 0 ? `waits for ${waits.join(', ')}` : 'waits for its service to report';
}
