import type { TaskError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import type { MessageRole } from '../protocol/session.js';
import type { Diagnostic } from '../protocol/thrown.js';
import type { Batch, OnBusy, Progress, Task, TaskMetadata, TaskStatus } from '../protocol/task.js';

/** A task that is to be stored. Everything in it stays as it is for the task's whole life. */
export interface NewTask {
  readonly task_id: string;
  readonly type: string;
  readonly priority: number;
  readonly payload: JsonValue;
  readonly metadata: TaskMetadata;
  readonly session_id?: string;
  readonly agent_id?: string;
  readonly parent_task_id?: string;
  /** The service that asked for it at the gateway. */
  readonly requested_by?: string;
  /** Milliseconds since 1970; not before this. */
  readonly runAt?: number;
  /** From creation, or `runAt` if later, to the end. */
  readonly timeoutMs: number;
  readonly maxAttempts: number;
}

/** The message that a chat task answers; stored in the step that stores the task. */
export interface NewMessage {
  readonly message_id: string;
  readonly role: MessageRole;
  readonly content: string;
}

export interface Idempotency {
  readonly key: string;
  /** A hash of what was asked; the same key with another one is a conflict. */
  readonly fingerprint: string;
}

export interface Submission {
  readonly task: NewTask;
  readonly onBusy: OnBusy;
  readonly message?: NewMessage;
}

export type SubmitRefusal =
  | 'idempotency_conflict'
  | 'conflict'
  | 'session_busy'
  | 'session_closed'
  | 'queue_full';

export type SubmitAnswer =
  | { readonly answer: 'submitted' | 'replayed'; readonly task: Task; readonly cursor: string }
  | { readonly answer: SubmitRefusal };

export interface BatchSubmission {
  readonly batchId: string;
  readonly maxInFlight: number;
  readonly failFast: boolean;
  /** By index; an item that was refused before it came here carries its error instead of a task. */
  readonly items: readonly (Submission | { readonly error: TaskError })[];
}

/** A call that a registered task begins with: the service is at work already. */
export interface TrackedCall {
  readonly callId: string;
  readonly service: string;
  readonly operation: string;
  /** Absent while the service has not answered yet. */
  readonly jobId?: string;
  readonly silenceMs: number;
}

export interface TaskFilter {
  readonly status?: TaskStatus;
  readonly type?: string;
  readonly sessionId?: string;
}

/** The outcome that `finish` gives to a registered task. */
export type FinalOutcome =
  | { readonly kind: 'completed'; readonly result: JsonValue }
  | { readonly kind: 'failed'; readonly error: TaskError };

/** Why a task is not running, or that it is. `since` is an ISO timestamp. */
export interface Explanation {
  readonly task: Task;
  readonly state: string;
  readonly reason: string;
  readonly since: string;
  /** How many tasks of this tenant are claimed before it; 0 is next. */
  readonly position?: number;
  /** Of a failed task: what was thrown, for operators. */
  readonly diagnostic?: Diagnostic;
}

/** What the registry and the API ask of the storage about tasks. Each method is one atomic step. */
export interface TaskRecords {
  /** Stores task, message and `task_created` together, or nothing. */
  submit(params: {
    readonly tenantId: string;
    readonly submission: Submission;
    readonly idempotency?: Idempotency | undefined;
    readonly maxWaiting: number;
  }): Promise<SubmitAnswer>;

  /** Stores a batch and all its tasks together, or nothing. */
  submitBatch(params: {
    readonly tenantId: string;
    readonly batch: BatchSubmission;
    readonly idempotency?: Idempotency | undefined;
    readonly maxWaiting: number;
  }): Promise<
    | { readonly answer: 'submitted' | 'replayed'; readonly batch: Batch }
    | { readonly answer: 'idempotency_conflict' | 'queue_full' }
  >;
  /**
   * The counts of all its items, and a page of items: as many as have 1 MiB, unless one is larger, from `after` on, which is the
   * `next` of the page before. Results only if they are asked for.
   */
  getBatch(params: {
    readonly tenantId: string;
    readonly batchId: string;
    readonly results?: boolean;
    readonly after?: string;
  }): Promise<Batch | undefined>;
  /**
   * Cancels every task of the batch that has not ended, a portion a step; nothing that waits in it begins meanwhile. If the
   * process dies before the last step, or `signal` fires, the sweeper goes on.
   */
  cancelBatch(params: {
    readonly tenantId: string;
    readonly batchId: string;
    readonly reason: string;
    readonly graceMs: number;
    readonly signal?: AbortSignal;
  }): Promise<Batch | undefined>;

  /** Stores a task without a workflow: never queued, but tracked, timed out, cancelled and followed like any other. */
  register(params: {
    readonly tenantId: string;
    readonly task: NewTask;
    readonly call?: TrackedCall;
    /** Of all tasks that have not ended: what is registered never waits. */
    readonly maxWaiting: number;
  }): Promise<
    | { readonly answer: 'registered' | 'replayed'; readonly task: Task; readonly cursor: string }
    | { readonly answer: 'queue_full' }
  >;
  /** Ends a registered task. */
  finish(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly outcome: FinalOutcome;
  }): Promise<
    | { readonly answer: 'finished' | 'already_final' | 'not_tracked'; readonly task: Task }
    | { readonly answer: 'not_found' }
  >;
  /** Tells followers how far a task is. With a token, only while that lease holds. */
  progress(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly token?: string;
    readonly progress: Progress;
  }): Promise<{ readonly answer: 'told' | 'already_final' | 'lease_lost' | 'not_found' }>;

  /** The task at exactly `cursor`, and `startCursor`: the position just before its first event. */
  get(params: {
    readonly tenantId: string;
    readonly taskId: string;
  }): Promise<{ readonly task: Task; readonly cursor: string; readonly startCursor: string } | undefined>;
  /**
   * Newest first. `after` is the `next` of the page before. A page has at most 1 MiB, unless its only task is larger, and looks
   * at 1,000 tasks at most: it may have fewer than `limit`, even none, and a `next` all the same.
   */
  list(params: {
    readonly tenantId: string;
    readonly filter: TaskFilter;
    readonly limit: number;
    readonly after?: string;
  }): Promise<{ readonly tasks: readonly Task[]; readonly next?: string }>;
  counts(params: {
    readonly tenantId: string;
  }): Promise<{ readonly counts: Readonly<Record<TaskStatus, number>>; readonly cursor: string }>;

  /** Pending and parked tasks end at once; a leased one hears its wakeup and has `graceMs` to end by itself. */
  cancel(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly reason: string;
    readonly graceMs: number;
  }): Promise<
    | { readonly answer: 'cancelled' | 'cancelling' | 'already_final'; readonly task: Task }
    | { readonly answer: 'not_found' }
  >;
  /** Gives a waiting workflow what it waits for; kept until it asks. */
  signal(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly name: string;
    readonly payload: JsonValue;
    /** The same id again is the same signal. */
    readonly signalId: string;
    /** Of what the id was used for: with another one the id is refused. */
    readonly fingerprint?: string | undefined;
  }): Promise<{
    readonly answer:
      | 'idempotency_conflict'
      | 'delivered'
      | 'kept'
      | 'repeated'
      | 'too_many'
      | 'queue_full'
      | 'journal_full'
      | 'already_final'
      | 'not_found';
  }>;
  /** A dead letter as a new task, which takes over the successes of the old journal. Once: again is the same new task. */
  redrive(params: {
    readonly tenantId: string;
    readonly taskId: string;
    readonly newTaskId: string;
    readonly maxWaiting: number;
  }): Promise<
    | { readonly answer: 'redriven'; readonly task: Task }
    | { readonly answer: 'not_failed' | 'not_found' | 'queue_full' }
  >;
  /**
   * The tasks that are first in line, whoever runs them: the most urgent first, and in one priority the oldest. At most `limit`,
   * and 1 MiB unless the first one is larger. (A claim takes now and then one that has waited longer.)
   */
  firstReady(params: { readonly tenantId: string; readonly limit: number }): Promise<readonly Task[]>;
  explain(params: { readonly tenantId: string; readonly taskId: string }): Promise<Explanation | undefined>;
}
