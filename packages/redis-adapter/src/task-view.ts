import {
  type DelegatedService,
  type JournalStep,
  type JsonValue,
  type NewTask,
  type Progress,
  statusOf,
  type StepOutcome,
  type Task,
  type TaskError,
  type TaskMetadata,
  type TaskState,
} from '@agent-orchestrator/core';
import type { Reply } from './script-runner.js';

/** The first line of a stored task; the second one is its payload. Both never change. */
export interface TaskHead {
  readonly at: number;
  readonly place: number;
  readonly type: string;
  readonly priority: number;
  readonly timeout: number;
  readonly attempts: number;
  readonly metadata: TaskMetadata;
  readonly session_id?: string;
  /** In its session, but not in its line. */
  readonly parallel?: boolean;
  readonly agent_id?: string;
  readonly parent_task_id?: string;
  readonly requested_by?: string;
  readonly run_at?: number;
  readonly batch_id?: string;
  readonly redriven_from?: string;
}

/** Where a task stands. A task that was only submitted has none of this. */
export interface StoredState {
  readonly state: TaskState;
  readonly since?: number;
  readonly updated?: number;
  readonly ended?: number;
  readonly began?: number;
  readonly due?: number;
  readonly attempt: number;
  readonly rev: number;
  readonly version?: number;
  readonly token?: string;
  readonly worker?: string;
  readonly cancel?: string;
  /** JSON. */
  readonly progress?: string;
  readonly tokens?: number;
  readonly seed?: string;
  readonly shown?: number;
  readonly lost?: number;
}

export interface StoredCall {
  readonly id: string;
  readonly state: 'sending' | 'waiting' | 'ended';
  readonly job?: string;
  readonly ok?: boolean;
}

export interface StoredStep {
  readonly key: string;
  /** Its place among the steps of the task, in the order in which they were asked for. */
  readonly at: number;
  readonly kind: JournalStep['kind'];
  readonly name: string;
  readonly changed: number;
  readonly service?: string;
  readonly operation?: string;
  readonly calls?: readonly StoredCall[];
  readonly ended?: number;
  readonly retry?: number;
  readonly due?: number;
}

/** Id, record, state and steps, as the scripts give a task. */
export type TaskReply = readonly [string, string, string, readonly string[]];

export interface StoredTask {
  readonly taskId: string;
  readonly head: TaskHead;
  readonly payload: JsonValue;
  readonly state: StoredState;
  /** The result, or the error, once it has ended. */
  readonly outcome: JsonValue | undefined;
  readonly steps: readonly StoredStep[];
}

function twoLines(text: string): [string, string] {
  const end = text.indexOf('\n');
  return end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end + 1)];
}

/** The first line of a state, as JSON or shorter: see the script `state`. */
export function stateOf(line: string): StoredState {
  if (line.startsWith('{')) return JSON.parse(line) as StoredState;
  const [letter, version, began, at, token = '', worker = ''] = line.split(' ');
  const plain = { version: Number(version), began: Number(began), attempt: 1 };
  if (letter === 'l') return { ...plain, state: 'leased', rev: 2, since: plain.began, token, worker };
  return { ...plain, state: letter === 'c' ? 'completed' : 'failed', rev: 3, ended: Number(at) };
}

/** The second line of a state, if it has one: what came of the task, as JSON. */
function readState(text: string, head: TaskHead): { state: StoredState; outcome: JsonValue | undefined } {
  if (text === '')
    return { state: { state: 'ready', since: head.at, attempt: 0, rev: 1 }, outcome: undefined };
  const [state, outcome] = twoLines(text);
  return {
    state: stateOf(state),
    outcome: outcome === '' ? undefined : (JSON.parse(outcome) as JsonValue),
  };
}

/** The two lines of a task. */
export function readRecord(record: string): { readonly head: TaskHead; readonly payload: JsonValue } {
  const [head, payload] = twoLines(record);
  return { head: JSON.parse(head) as TaskHead, payload: JSON.parse(payload) as JsonValue };
}

export function readTask(reply: Reply): StoredTask {
  const [taskId, record, stateText, steps] = reply as unknown as TaskReply;
  const { head, payload } = readRecord(record);
  const { state, outcome } = readState(stateText, head);
  return {
    taskId,
    head,
    payload,
    state,
    outcome,
    steps: (steps ?? []).map((step) => JSON.parse(step) as StoredStep).toSorted((a, b) => a.at - b.at),
  };
}

/** Timestamps as text: those of many tasks are of the same few milliseconds, and writing one costs more than the rest. */
const ISO_KEPT = 64;
const isoKept: { readonly at: number; readonly text: string }[] = [];

function iso(at: number): string {
  const place = at % ISO_KEPT;
  let kept = isoKept[place];
  if (kept?.at !== at) isoKept[place] = kept = { at, text: new Date(at).toISOString() };
  return kept.text;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A task as it crosses the wire. */
export function viewTask(
  tenantId: string,
  { taskId, head, payload, state, outcome, steps }: StoredTask,
): Task {
  const task: Writable<Task> = {
    task_id: taskId,
    tenant_id: tenantId,
    status: statusOf(state.state),
    type: head.type,
    priority: head.priority,
    attempt: state.attempt,
    max_attempts: head.attempts,
    rev: state.rev,
    created_at: iso(head.at),
    updated_at: iso(state.ended ?? state.updated ?? state.since ?? head.at),
    metadata: { ...head.metadata, timeout_ms: head.timeout },
    delegated_services: steps.flatMap(viewCalls),
    payload,
  };
  addOrigin(task, head);
  const runAt = state.state === 'scheduled' ? state.due : head.run_at;
  if (runAt !== undefined) task.run_at = iso(runAt);
  if (state.version !== undefined) task.version = state.version;
  if (state.progress !== undefined) task.progress = JSON.parse(state.progress) as Progress;
  if ((state.tokens ?? 0) > 0) task.usage = { tokens: state.tokens ?? 0 };
  if (state.ended !== undefined) task.finished_at = iso(state.ended);
  if (outcome !== undefined && state.state === 'completed') task.result = outcome;
  else if (outcome !== undefined) task.error = outcome as unknown as TaskError;
  return task;
}

function addOrigin(task: Writable<Task>, head: TaskHead): void {
  for (const field of [
    'session_id',
    'agent_id',
    'parent_task_id',
    'requested_by',
    'batch_id',
    'redriven_from',
  ] as const) {
    const value = head[field];
    if (value !== undefined) task[field] = value;
  }
}

function viewCalls({ calls = [], service = '', operation = '' }: StoredStep): DelegatedService[] {
  return calls.map(({ id, job, state, ok }) => ({
    service,
    ...(job !== undefined && { task_id: job }),
    call_id: id,
    operation,
    status: state !== 'ended' ? 'processing' : ok === true ? 'completed' : 'failed',
  }));
}

/** A step as its worker gets it. */
export function viewStep(step: StoredStep, outcome: string | null | undefined): JournalStep {
  const call = step.calls?.at(-1);
  return {
    key: step.key,
    kind: step.kind,
    name: step.name,
    changed: step.changed,
    tries: step.calls?.length ?? 0,
    backingOff: step.retry !== undefined,
    ...(outcome && { outcome: JSON.parse(outcome) as StepOutcome }),
    ...(step.ended !== undefined && { endedAt: step.ended }),
    ...(call &&
      call.state !== 'ended' && {
        call: { call_id: call.id, ...(call.job !== undefined && { job_id: call.job }) },
      }),
  };
}

/** What a new task has besides: where it comes from. */
export interface TaskOrigin {
  readonly parallel?: boolean;
  readonly batchId?: string;
  readonly redrivenFrom?: string;
}

/** The first line of a task, but for what the script adds. The type comes first: claims look for it. */
export function headOf(
  task: NewTask,
  { parallel, batchId, redrivenFrom }: TaskOrigin = {},
): Omit<TaskHead, 'at' | 'place'> {
  return {
    type: task.type,
    priority: task.priority,
    timeout: task.timeoutMs,
    attempts: task.maxAttempts,
    metadata: task.metadata,
    ...(task.session_id !== undefined && { session_id: task.session_id }),
    ...(parallel && { parallel }),
    ...(task.agent_id !== undefined && { agent_id: task.agent_id }),
    ...(task.parent_task_id !== undefined && { parent_task_id: task.parent_task_id }),
    ...(task.requested_by !== undefined && { requested_by: task.requested_by }),
    ...(task.runAt !== undefined && { run_at: task.runAt }),
    ...(batchId !== undefined && { batch_id: batchId }),
    ...(redrivenFrom !== undefined && { redriven_from: redrivenFrom }),
  };
}

/** The same as JSON, without its opening brace: after `at` and `place`, which the script adds. */
export function tailOf(head: Omit<TaskHead, 'at' | 'place'>): string {
  return JSON.stringify(head).slice(1);
}

/** For `"at":<13 digits>,"place":<at most 14 digits>`: spaces are nothing in JSON. */
const ROOM = ' '.repeat('"at":,"place":'.length + 13 + 14);

/**
 * A task as it is stored, with room where the script writes when and in which place it came.
 * @param tail the end of its first line, see `tailOf`.
 * @param payload JSON.
 */
export function recordOf(tail: string, payload: string): string {
  return `{${ROOM},${tail}\n${payload}`;
}
