import { type Explanation, type TaskError } from '@agent-orchestrator/core';
import { isFinalState } from '@agent-orchestrator/core/protocol';
import { type WorkerEntry } from '@agent-orchestrator/core/storage';
import { type StoredTask, TaskView } from './task-codec.js';

/** Context of a task. */
export interface ExplainContext {
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
export function explainTask(tenantId: string, stored: StoredTask, context: ExplainContext): Explanation {
  const { state, header } = stored;
  return {
    task: new TaskView(tenantId, stored),
    state: state.state,
    reason: reasonOf(tenantId, stored, context),
    since: iso(state.ended ?? state.since ?? header.at),
    ...(context.position !== undefined && { position: context.position }),
    ...(stored.diagnostic && { diagnostic: stored.diagnostic }),
  };
}

function reasonOf(tenantId: string, stored: StoredTask, context: ExplainContext): string {
  const { state, header } = stored;
  if (isFinalState(state.state)) {
    if (state.state === 'completed') return 'it is completed';
    const { code, message } = JSON.parse(stored.outcome ?? '{}') as TaskError;
    return `${code}: ${message}`;
  }
  if (state.state === 'scheduled') return `not before ${iso(state.due ?? header.at)}`;
  if (state.state === 'waiting') return waitingReason(stored, context);
  if (state.state === 'leased')
    return state.cancel === undefined
      ? `worker ${state.worker} runs it, attempt ${state.attempt}`
      : `worker ${state.worker} is to end it: ${state.cancel}`;
  if (state.state === 'parked' || state.state === 'tracked') return parkedReason(stored);
  return queuedReason(tenantId, stored, context);
}

function waitingReason({ taskId, header }: StoredTask, context: ExplainContext): string {
  const { sessionTask, inBatch, maxInBatch } = context;
  if (sessionTask !== null && sessionTask !== taskId && !header.parallel)
    return `session ${header.session_id} is busy with task ${sessionTask}`;
  if (header.batch_id !== undefined && inBatch >= maxInBatch)
    return `batch ${header.batch_id} has ${inBatch} of at most ${maxInBatch} in flight`;
  return 'it waits for its turn';
}

function queuedReason(tenantId: string, { header, state }: StoredTask, context: ExplainContext): string {
  const { type } = header;
  const { version } = state;
  if (context.paused) return `tenant "${tenantId}" is paused`;
  if (context.maxRunning !== undefined && context.running >= context.maxRunning)
    return `the tenant has ${context.running} of at most ${context.maxRunning} tasks running`;
  const runs = context.workers.some((worker) =>
    worker.runs.some((run) => run.type === type && (version === undefined || run.versions.includes(version))),
  );
  if (runs) return `${context.position ?? 0} tasks of this tenant go first`;
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
