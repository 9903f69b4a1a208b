import {
  type JsonValue,
  type Progress,
  type Task,
  type TaskError,
  type TaskMetadata,
  type TaskStatus,
} from '@agent-orchestrator/core';
import { type Diagnostic } from '@agent-orchestrator/core/storage';
import { statusOf, type TaskState, addFromText } from '@agent-orchestrator/core/protocol';
import { type DelegatedService } from '@agent-orchestrator/core/server';
import { type JournalStep, type NewTask, type StepOutcome } from '@agent-orchestrator/core/storage';
import type { Reply } from '../scripts/script-runner.js';

/** The first line of a stored task; the second one is its payload. Both never change. */
export interface TaskHeader {
  readonly at: number;
  readonly sequence: number;
  readonly type: string;
  readonly priority: number;
  readonly timeout: number;
  readonly attempts: number;
  readonly metadata: TaskMetadata;
  readonly session_id?: string;
  /** Belongs to its session, but not to the session's concurrency group. */
  readonly parallel?: boolean;
  readonly agent_id?: string;
  readonly parent_task_id?: string;
  readonly requested_by?: string;
  readonly run_at?: number;
  /** Tokens. */
  readonly budget?: number;
  readonly batch_id?: string;
  readonly redriven_from?: string;
}

/** State of a task. A task that was only submitted has none of this. */
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
  /** A number: as text it keeps its digits. */
  readonly tokens?: string;
  /** Tokens drawn from its budget, and what of it is reserved. */
  readonly drawn?: string;
  readonly reserved?: string;
  readonly seed?: string;
  readonly replayed_to?: number;
  readonly lost?: number;
  /** Number of failed attempts. */
  readonly failures?: number;
  readonly inherited?: number;
  readonly prefetched?: boolean;
  /**
   * The previous attempt failed, and its failed steps are being dropped: the key of one besides calls and own
   * work, or ''.
   */
  readonly dropping?: string;
}

interface StoredCall {
  readonly id: string;
  readonly state: 'sending' | 'waiting' | 'ended';
  readonly job?: string;
  readonly ok?: boolean;
  /** Its usage is in the ledger. */
  readonly counted?: boolean;
}

export interface StoredStep {
  readonly key: string;
  /** Its sequence among the steps of the task, in order of their requests. */
  readonly at: number;
  readonly kind: JournalStep['kind'];
  readonly name: string;
  readonly rev: number;
  readonly service?: string;
  readonly operation?: string;
  readonly calls?: readonly StoredCall[];
  readonly ended?: number;
  readonly failed?: boolean;
  readonly retry?: number;
  readonly due?: number;
  /** Number of failed attempts when it was begun; -1: inherited from the redriven task. */
  readonly era?: number;
}

/** Id, record, state and steps, as the scripts return a task. */
type TaskReply = readonly [string, string, string, readonly string[]];

export interface StoredTask {
  readonly taskId: string;
  readonly header: TaskHeader;
  /** JSON. */
  readonly payload: string;
  readonly state: StoredState;
  /** The result, or the error, once it has ended: JSON. */
  readonly outcome?: string | undefined;
  /** The thrown value. */
  readonly diagnostic?: Diagnostic | undefined;
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
  const fast = { version: Number(version), began: Number(began), attempt: 1 };
  if (letter === 'l' || letter === 'a') {
    const leased = { ...fast, state: 'leased', rev: 2, since: fast.began, token, worker } as const;
    return letter === 'l' ? leased : { ...leased, prefetched: true };
  }
  return { ...fast, state: letter === 'c' ? 'completed' : 'failed', rev: 3, ended: Number(at) };
}

/** State of a task that was only submitted. */
export const NOT_TOUCHED: StoredState = Object.freeze({ state: 'ready', attempt: 0, rev: 1 });

export const NO_STEPS: readonly never[] = Object.freeze([]);

/** A stored task. A class, like all short-lived values: see ADR 10. */
export class ReadTask implements StoredTask {
  readonly header: TaskHeader;
  readonly payload: string;

  /** @param record the two lines of the task. */
  constructor(
    readonly taskId: string,
    record: string,
    readonly state: StoredState,
    readonly outcome?: string | undefined,
    readonly steps: readonly StoredStep[] = NO_STEPS,
    readonly diagnostic?: Diagnostic | undefined,
  ) {
    const end = record.indexOf('\n');
    this.header = JSON.parse(record.slice(0, end)) as TaskHeader;
    this.payload = record.slice(end + 1);
  }
}

/** Steps that are still to be dropped count as dropped. */
function readKept(steps: readonly string[], { dropping }: StoredState): StoredStep[] {
  const read = steps.map((step) => JSON.parse(step) as StoredStep).toSorted((a, b) => a.at - b.at);
  if (dropping === undefined) return read;
  return read.filter(
    ({ failed, kind, key }) => failed !== true || (kind !== 'call' && kind !== 'run' && key !== dropping),
  );
}

export function readTask(reply: Reply): StoredTask {
  const [taskId, record, text, steps] = reply as unknown as TaskReply;
  const [state, end] = twoLines(text);
  const [outcome, diagnostic] = twoLines(end);
  const stored = text === '' ? NOT_TOUCHED : stateOf(state);
  return new ReadTask(
    taskId,
    record,
    stored,
    outcome === '' ? undefined : outcome,
    readKept(steps ?? [], stored),
    diagnostic === '' ? undefined : (JSON.parse(diagnostic) as Diagnostic),
  );
}

/**
 * Cached timestamps as text: those of many tasks are of the same few milliseconds, and formatting one costs
 * more than the rest.
 */
const ISO_KEPT = 64;
const isoKept: { readonly at: number; readonly text: string }[] = [];

function iso(at: number): string {
  const slot = at % ISO_KEPT;
  let kept = isoKept[slot];
  if (kept?.at !== at) isoKept[slot] = kept = { at, text: new Date(at).toISOString() };
  return kept.text;
}

/** An error as it is stored: the script `list` expects its code first. */
export function errorText({ code, ...more }: TaskError): string {
  return JSON.stringify({ code, ...more });
}

/** The beginning of a stored error with this code. */
export function codeText(code: string): string {
  return JSON.stringify({ code }).slice(0, -1);
}

/** A task of the wire protocol. A class, like all short-lived values: see ADR 10. */
export class TaskView implements Task {
  readonly task_id: string;
  readonly tenant_id: string;
  readonly status: TaskStatus;
  readonly type: string;
  readonly priority: number;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly rev: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly metadata: TaskMetadata;
  readonly delegated_services: readonly DelegatedService[];
  readonly payload: JsonValue;
  // Declared only: an absent value has no field.
  declare readonly session_id?: string;
  declare readonly agent_id?: string;
  declare readonly parent_task_id?: string;
  declare readonly requested_by?: string;
  declare readonly batch_id?: string;
  declare readonly redriven_from?: string;
  declare readonly run_at?: string;
  declare readonly version?: number;
  declare readonly progress?: Progress;
  declare readonly budget?: NonNullable<Task['budget']>;
  declare readonly usage?: NonNullable<Task['usage']>;
  declare readonly finished_at?: string;
  declare readonly result?: JsonValue;
  declare readonly error?: TaskError;

  constructor(tenantId: string, { taskId, header, payload, state, outcome, steps }: StoredTask) {
    this.task_id = taskId;
    this.tenant_id = tenantId;
    this.status = statusOf(state.state);
    this.type = header.type;
    this.priority = header.priority;
    this.attempt = state.attempt;
    this.max_attempts = header.attempts;
    this.rev = state.rev;
    this.created_at = iso(header.at);
    this.updated_at = iso(state.ended ?? state.updated ?? state.since ?? header.at);
    this.metadata = { ...header.metadata, timeout_ms: header.timeout };
    const isOver = state.ended !== undefined;
    this.delegated_services = steps.flatMap((step) => viewCalls(step, isOver));
    this.payload = null;
    addFromText(this as Writable<Task>, 'payload', payload);
    addOrigin(this, header);
    const runAt = state.state === 'scheduled' ? state.due : header.run_at;
    if (runAt !== undefined) this.run_at = iso(runAt);
    if (state.version !== undefined) this.version = state.version;
    if (state.progress !== undefined) this.progress = JSON.parse(state.progress) as Progress;
    if (header.budget !== undefined) this.budget = { tokens: header.budget };
    if (Number(state.tokens) > 0) this.usage = { tokens: Number(state.tokens) };
    if (state.ended !== undefined) this.finished_at = iso(state.ended);
    if (outcome === undefined) return;
    if (state.state === 'completed') addFromText(this as Writable<Task>, 'result', outcome);
    else this.error = JSON.parse(outcome) as TaskError;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function addOrigin(task: Writable<Task>, header: TaskHeader): void {
  for (const field of [
    'session_id',
    'agent_id',
    'parent_task_id',
    'requested_by',
    'batch_id',
    'redriven_from',
  ] as const) {
    const value = header[field];
    if (value !== undefined) task[field] = value;
  }
}

/** @param isOver the task has ended, and with it every call, also those still stored as open. */
function viewCalls(
  { calls = [], service = '', operation = '' }: StoredStep,
  isOver: boolean,
): DelegatedService[] {
  return calls.map(({ id, job, state, ok }) => ({
    service,
    ...(job !== undefined && { task_id: job }),
    call_id: id,
    operation,
    status: state !== 'ended' && !isOver ? 'processing' : ok === true ? 'completed' : 'failed',
  }));
}

/** A step for its worker. */
export function viewStep(
  step: StoredStep,
  outcome: string | null | undefined,
  failures: number,
): JournalStep {
  const call = step.calls?.at(-1);
  return {
    key: step.key,
    kind: step.kind,
    name: step.name,
    rev: step.rev,
    tries: step.calls?.length ?? 0,
    backingOff: step.retry !== undefined,
    inherited: (step.era ?? 0) < failures,
    ...(outcome && { outcome: readOutcome(outcome) }),
    ...(step.ended !== undefined && { endedAt: step.ended }),
    ...(call &&
      call.state !== 'ended' && {
        call: { call_id: call.id, ...(call.job !== undefined && { job_id: call.job }) },
      }),
  };
}

/** Start of a stored successful outcome. */
const SUCCESS = '{"ok":true,"value":';

/** A large value is parsed on first use. */
function readOutcome(text: string): StepOutcome {
  if (!text.startsWith(SUCCESS)) return JSON.parse(text) as StepOutcome;
  const outcome: { ok: true; value: JsonValue } = { ok: true, value: null };
  addFromText(outcome, 'value', text.slice(SUCCESS.length, -1));
  return outcome;
}

/** Origin of a new task. */
export interface TaskOrigin {
  readonly parallel?: boolean;
  readonly batchId?: string;
  readonly redrivenFrom?: string;
}

/**
 * The first line of a task, without the fields that the script adds. The type comes first: claims look for
 * it.
 */
export function headerOf(
  task: NewTask,
  { parallel, batchId, redrivenFrom }: TaskOrigin = {},
): Omit<TaskHeader, 'at' | 'sequence'> {
  return {
    type: task.type,
    priority: task.priority,
    timeout: task.timeoutMs,
    attempts: task.maxAttempts,
    metadata: { ...task.metadata },
    ...(task.session_id !== undefined && { session_id: task.session_id }),
    ...(parallel && { parallel }),
    ...(task.agent_id !== undefined && { agent_id: task.agent_id }),
    ...(task.parent_task_id !== undefined && { parent_task_id: task.parent_task_id }),
    ...(task.requested_by !== undefined && { requested_by: task.requested_by }),
    ...(task.runAt !== undefined && { run_at: task.runAt }),
    ...(task.budgetTokens !== undefined && { budget: task.budgetTokens }),
    ...(batchId !== undefined && { batch_id: batchId }),
    ...(redrivenFrom !== undefined && { redriven_from: redrivenFrom }),
  };
}

/** The same as JSON, without its opening brace: after `at` and `sequence`, which the script adds. */
export function tailOf(header: Omit<TaskHeader, 'at' | 'sequence'>): string {
  return JSON.stringify(header).slice(1);
}

/** For `"at":<13 digits>,"sequence":<at most 14 digits>`: JSON ignores spaces. */
const ROOM = ' '.repeat('"at":,"sequence":'.length + 13 + 14);

/**
 * A stored task, with room for the time and the sequence that the script writes.
 * @param tail the end of its first line, see `tailOf`.
 * @param payload JSON.
 */
export function recordOf(tail: string, payload: string): string {
  return `{${ROOM},${tail}\n${payload}`;
}
