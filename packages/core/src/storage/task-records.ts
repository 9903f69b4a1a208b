import type { TaskError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import type { MessageRole } from '../protocol/session.js';
import type { Diagnostic } from '../protocol/thrown.js';
import type { Batch, OnBusy, Progress, Task, TaskMetadata, TaskStatus } from '../protocol/task.js';

/** A task to store. Its fields never change. */
export interface NewTask {
  readonly task_id: string;
  readonly type: string;
  readonly priority: number;
  readonly payload: JsonValue;
  readonly metadata: TaskMetadata;
  readonly session_id?: string;
  readonly agent_id?: string;
  readonly parent_task_id?: string;
  /** The service that requested it through the gateway. */
  readonly requested_by?: string;
  /** Tokens that it and its child tasks may use: reserved from the tenant's budgets while it lives. */
  readonly budgetTokens?: number;
  /** Earliest start, epoch ms. */
  readonly runAt?: number;
  /** Time limit from creation, or from `runAt` if later, to the final state. */
  readonly timeoutMs: number;
  readonly maxAttempts: number;
}

/** The message that a chat task answers; stored atomically with the task. */
export interface NewMessage {
  readonly message_id: string;
  readonly role: MessageRole;
  readonly content: string;
}

/** Idempotency key of a request, with the fingerprint of its body. */
export interface Idempotency {
  readonly key: string;
  /** Hash of the request; the same key with another fingerprint is a conflict. */
  readonly fingerprint: string;
}

/** A validated task, as the storage gets it, with the message that it answers. */
export interface Submission {
  readonly task: NewTask;
  readonly onBusy: OnBusy;
  readonly message?: NewMessage;
}

/** Reasons to refuse a submission. */
export type SubmitRefusal =
  | 'idempotency_conflict'
  | 'conflict'
  | 'session_busy'
  | 'session_closed'
  | 'type_forbidden'
  | 'queue_full';

/** The tenant's budgets have not enough left. */
export interface BudgetRefusal {
  readonly answer: 'budget_exceeded';
  /** Start of the next period of the budget, epoch ms. */
  readonly retryAt: number;
}

/** Answer of the storage to a submission. */
export type SubmitAnswer =
  | { readonly answer: 'submitted' | 'replayed'; readonly task: Task; readonly cursor: string }
  | { readonly answer: SubmitRefusal }
  | BudgetRefusal;

/** A validated batch, as the storage gets it. */
export interface BatchSubmission {
  readonly batchId: string;
  readonly maxInFlight: number;
  readonly failFast: boolean;
  /** By index; an item rejected by validation carries its error instead of a task. */
  readonly items: readonly (Submission | { readonly error: TaskError })[];
}

/** The open call of a registered task: the service has already started. */
export interface TrackedCall {
  readonly callId: string;
  readonly service: string;
  readonly operation: string;
  /** Absent until the service has responded. */
  readonly jobId?: string;
  readonly silenceMs: number;
}

/** Filter of a list of tasks. */
export interface TaskFilter {
  readonly status?: TaskStatus;
  readonly type?: string;
  readonly sessionId?: string;
  /** Code of the error that it ended with. */
  readonly code?: string;
  /** Changed (`updated_at`) at this time or later, epoch ms. */
  readonly since?: number;
  /** Beginning of the task id. */
  readonly idPrefix?: string;
}

/** Final outcome of a registered task, see `finish`. */
export type FinalOutcome =
  | { readonly kind: 'completed'; readonly result: JsonValue }
  | { readonly kind: 'failed'; readonly error: TaskError };

/** A task's state and the reason for it. `since`: ISO 8601 timestamp. */
export interface Explanation {
  readonly task: Task;
  readonly state: string;
  readonly reason: string;
  readonly since: string;
  /** Number of this tenant's tasks ahead in the queue; 0 is next. */
  readonly position?: number;
  /** Failed tasks: the thrown error, for operators. */
  readonly diagnostic?: Diagnostic;
}

/** Params of `TaskRecords.submit`. */
export interface SubmitParams {
  readonly tenantId: string;
  readonly submission: Submission;
  readonly idempotency?: Idempotency | undefined;
  readonly maxWaiting: number;
}

/** Params of `TaskRecords.submitBatch`. */
export interface SubmitBatchParams {
  readonly tenantId: string;
  readonly batch: BatchSubmission;
  readonly idempotency?: Idempotency | undefined;
  readonly maxWaiting: number;
}

/** Answer of `TaskRecords.submitBatch`. */
export type SubmitBatchResult =
  | { readonly answer: 'submitted' | 'replayed'; readonly batch: Batch }
  | { readonly answer: 'idempotency_conflict' | 'queue_full' };

/** Params of `TaskRecords.getBatch`. */
export interface GetBatchParams {
  readonly tenantId: string;
  readonly batchId: string;
  readonly results?: boolean;
  readonly after?: string;
}

/** Params of `TaskRecords.cancelBatch`. */
export interface CancelBatchParams {
  readonly tenantId: string;
  readonly batchId: string;
  readonly reason: string;
  readonly graceMs: number;
  readonly signal?: AbortSignal;
}

/** Params of `TaskRecords.register`. */
export interface RegisterParams {
  readonly tenantId: string;
  readonly task: NewTask;
  readonly call?: TrackedCall;
  /** Limit on all live tasks, since registered ones never wait. */
  readonly maxWaiting: number;
}

/** Answer of `TaskRecords.register`. */
export type RegisterResult =
  | { readonly answer: 'registered' | 'replayed'; readonly task: Task; readonly cursor: string }
  | { readonly answer: 'queue_full' | 'type_forbidden' | 'service_forbidden' | 'task_budget_exceeded' }
  | { readonly answer: 'rate_limited'; readonly retryAfterMs: number }
  | BudgetRefusal;

/** Params of `TaskRecords.finish`. */
export interface FinishParams {
  readonly tenantId: string;
  readonly taskId: string;
  readonly outcome: FinalOutcome;
}

/** Answer of `TaskRecords.finish`. */
export type FinishResult =
  | { readonly answer: 'finished' | 'already_final' | 'not_tracked'; readonly task: Task }
  | { readonly answer: 'not_found' };

/** Params of `TaskRecords.progress`. */
export interface ReportProgressParams {
  readonly tenantId: string;
  readonly taskId: string;
  readonly token?: string;
  readonly progress: Progress;
}

/** Answer of `TaskRecords.progress`. */
export type ReportProgressResult = {
  readonly answer: 'reported' | 'already_final' | 'lease_lost' | 'not_found';
};

/** Params of `TaskRecords.get`. */
export interface GetTaskParams {
  readonly tenantId: string;
  readonly taskId: string;
}

/** Answer of `TaskRecords.get`. */
export type GetTaskResult =
  | { readonly task: Task; readonly cursor: string; readonly startCursor: string }
  | undefined;

/** Params of `TaskRecords.list`. */
export interface ListTasksParams {
  readonly tenantId: string;
  readonly filter: TaskFilter;
  readonly limit: number;
  readonly after?: string;
}

/** Answer of `TaskRecords.list`. */
export type ListTasksResult = { readonly tasks: readonly Task[]; readonly next?: string };

/** Params of `TaskRecords.counts`. */
export interface CountTasksParams {
  readonly tenantId: string;
}

/** Answer of `TaskRecords.counts`. */
export type CountTasksResult = {
  readonly counts: Readonly<Record<TaskStatus, number>>;
  readonly cursor: string;
};

/** Params of `TaskRecords.cancel`. */
export interface CancelTaskParams {
  readonly tenantId: string;
  readonly taskId: string;
  readonly reason: string;
  readonly graceMs: number;
}

/** Answer of `TaskRecords.cancel`. */
export type CancelTaskResult =
  | { readonly answer: 'cancelled' | 'cancelling' | 'already_final'; readonly task: Task }
  | { readonly answer: 'not_found' };

/** Params of `TaskRecords.signal`. */
export interface SignalParams {
  readonly tenantId: string;
  readonly taskId: string;
  readonly name: string;
  readonly payload: JsonValue;
  /** Idempotency key. */
  readonly signalId: string;
  /** Hash of the request; the same id with another fingerprint is a conflict. */
  readonly fingerprint?: string | undefined;
}

/** Answer of `TaskRecords.signal`. */
export type SignalResult = {
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
};

/** Params of `TaskRecords.redrive`. */
export interface RedriveParams {
  readonly tenantId: string;
  readonly taskId: string;
  readonly newTaskId: string;
  /** Replaces the payload; the new task begins without the old journal. */
  readonly payload?: JsonValue;
  readonly maxWaiting: number;
}

/** Answer of `TaskRecords.redrive`. */
export type RedriveResult =
  | { readonly answer: 'redriven'; readonly task: Task }
  | { readonly answer: 'not_failed' }
  | { readonly answer: 'other_payload' }
  | { readonly answer: 'not_found' }
  | { readonly answer: 'queue_full' | 'type_forbidden' }
  | BudgetRefusal;

/** Params of `TaskRecords.discard`. */
export interface DiscardParams {
  readonly tenantId: string;
  readonly taskId: string;
}

/** Answer of `TaskRecords.discard`. */
export type DiscardResult = { readonly answer: 'discarded' | 'not_failed' | 'not_found' };

/** Params of `TaskRecords.firstReady`. */
export interface FirstReadyParams {
  readonly tenantId: string;
  readonly limit: number;
}

/** Params of `TaskRecords.explain`. */
export interface ExplainParams {
  readonly tenantId: string;
  readonly taskId: string;
}

/** Storage port for tasks and batches. Each method is one atomic step. */
export interface TaskRecords {
  /** Stores task, message and `task_created` event, all or nothing. */
  submit(params: SubmitParams): Promise<SubmitAnswer>;

  /** Stores a batch and all its tasks, all or nothing. */
  submitBatch(params: SubmitBatchParams): Promise<SubmitBatchResult>;
  /**
   * Counts over all items, and a page of items: at most 1 MiB; a single item may be larger. `after`: the `next` of the previous
   * page. Includes results only with `results`.
   */
  getBatch(params: GetBatchParams): Promise<Batch | undefined>;
  /**
   * Cancels every live task of the batch, a portion per step; no waiting task starts meanwhile. If the process dies before the
   * last step, or `signal` fires, the sweeper continues.
   */
  cancelBatch(params: CancelBatchParams): Promise<Batch | undefined>;

  /** Stores a task without a workflow: never queued, but tracked, timed out, cancelled and followed like others. */
  register(params: RegisterParams): Promise<RegisterResult>;
  /** Ends a registered task. */
  finish(params: FinishParams): Promise<FinishResult>;
  /** Emits a progress event. With a token, only while that lease holds. */
  progress(params: ReportProgressParams): Promise<ReportProgressResult>;

  /** The task as of `cursor`; `startCursor`: the position before its first event. */
  get(params: GetTaskParams): Promise<GetTaskResult>;
  /**
   * Newest first. `after`: the `next` of the previous page. A page has at most 1 MiB, unless its only task is larger, and scans
   * at most 1,000 tasks: it may have fewer than `limit`, even none, and still a `next`.
   */
  list(params: ListTasksParams): Promise<ListTasksResult>;
  counts(params: CountTasksParams): Promise<CountTasksResult>;

  /** Pending and parked tasks end at once; a leased one is notified and has `graceMs` to end by itself. */
  cancel(params: CancelTaskParams): Promise<CancelTaskResult>;
  /** Delivers a signal to the workflow; kept until the workflow waits for it. */
  signal(params: SignalParams): Promise<SignalResult>;
  /**
   * Resubmits a dead letter as a new task that inherits the journal's successes, or with a new payload and no journal.
   * Idempotent: returns the same new task, but `other_payload` if that has another one than requested.
   */
  redrive(params: RedriveParams): Promise<RedriveResult>;
  /** Removes a dead letter, its journal, and all that belongs to it. Its events stay. Idempotent: then it is not found. */
  discard(params: DiscardParams): Promise<DiscardResult>;
  /**
   * Tasks at the head of the queue, of any type: by priority, then oldest first. At most `limit` and 1 MiB, unless the first is
   * larger. (To prevent starvation, a claim sometimes takes a longer-waiting one.)
   */
  firstReady(params: FirstReadyParams): Promise<readonly Task[]>;
  explain(params: ExplainParams): Promise<Explanation | undefined>;
}
