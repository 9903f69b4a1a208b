import type { TaskError } from '../protocol/errors.js';
import type { JsonObject, JsonValue } from '../protocol/json.js';
import type { MessageRole } from '../protocol/session.js';
import type { Progress, TaskMetadata } from '../protocol/task.js';
import { isFinalState, type TaskState } from '../protocol/task-state.js';
import type { Diagnostic } from '../protocol/thrown.js';
import type { StepKind, StepOutcome } from './call-journal.js';
import type { SettingsOnWire } from './settings-on-wire.js';
import type { NewTask } from './task-records.js';
import type { UsageDetail, UsageRow } from './usage-ledger.js';

/*
 * The records of an exported storage, by kind. Times are epoch ms. What follows from other records is in none of them: timers,
 * indexes, counts of tasks, sizes. Neither are event logs, tickets, announcements of workers, and reports that wait for the
 * answer which names their job.
 */

/** A tenant, before everything else of it. */
export interface TenantRecord extends SettingsOnWire {
  readonly kind: 'tenant';
  readonly tenant_id: string;
  /** Events so far: a task's `sequence` is that of its first event. */
  readonly seq: number;
  /** Tasks claimed so far. */
  readonly claimed: number;
  /** Members that had to wait in a group so far: the order of those that still wait. */
  readonly lined: number;
}

/** A cancellation of all tasks of a session or batch that has not come to its end. */
export interface CancellingRecord {
  readonly reason: string;
  readonly grace_ms: number;
}

/** A session, in the order of creation. */
export interface SessionRecord {
  readonly kind: 'session';
  readonly tenant_id: string;
  readonly session_id: string;
  readonly agent_id?: string;
  readonly status: 'active' | 'closed';
  readonly created_at: number;
  readonly updated_at: number;
  readonly rev: number;
  readonly context: JsonObject;
  readonly cancelling?: CancellingRecord;
}

/** A message of a session. */
export interface MessageOfSession {
  readonly message_id: string;
  readonly role: MessageRole;
  readonly content: string;
  readonly created_at: number;
  readonly task_id?: string;
}

/** A page of the recent history of the session before it, oldest first. */
export interface MessagesRecord {
  readonly kind: 'messages';
  readonly tenant_id: string;
  readonly session_id: string;
  readonly messages: readonly MessageOfSession[];
}

/** A batch without its items. */
export interface BatchRecord {
  readonly kind: 'batch';
  readonly tenant_id: string;
  readonly batch_id: string;
  readonly created_at: number;
  readonly fail_fast: boolean;
  readonly max_in_flight: number;
  readonly cancelling?: CancellingRecord;
}

/** A task that is kept, what remains of one that is not, or the error of an item without a task. */
export type BatchItemRecord =
  | { readonly task_id: string }
  | { readonly gone_id: string; readonly state: TaskState }
  | { readonly error: TaskError };

/** A page of the items of a batch, by index. After the tasks of its tenant. */
export interface BatchItemsRecord {
  readonly kind: 'batch_items';
  readonly tenant_id: string;
  readonly batch_id: string;
  readonly items: readonly BatchItemRecord[];
}

/** A task, in the order of submission. `result` and `error`: once it has ended. */
export interface TaskRecord {
  readonly kind: 'task';
  readonly tenant_id: string;
  readonly task_id: string;
  readonly sequence: number;
  readonly type: string;
  readonly priority: number;
  readonly created_at: number;
  readonly timeout_ms: number;
  readonly max_attempts: number;
  readonly metadata: TaskMetadata;
  readonly session_id?: string;
  readonly agent_id?: string;
  readonly parent_task_id?: string;
  readonly requested_by?: string;
  readonly batch_id?: string;
  readonly redriven_from?: string;
  readonly redriven_to?: string;
  readonly run_at?: number;
  /** Tokens that it and its child tasks may use, and have used of that. */
  readonly budget?: number;
  readonly drawn?: number;
  readonly state: TaskState;
  readonly since: number;
  readonly updated_at: number;
  readonly started_at?: number;
  readonly finished_at?: number;
  /** End of the delay of a scheduled task. */
  readonly due_at?: number;
  readonly attempt: number;
  readonly rev: number;
  readonly version?: number;
  readonly lost_leases: number;
  readonly failures: number;
  /** Journal revision up to which a run had replayed when it parked the task. */
  readonly replayed_to: number;
  /** Journal revision at the start of this attempt. */
  readonly inherited: number;
  /** Seed of random numbers, unless it is the task's id. */
  readonly seed?: string;
  readonly tokens: number;
  readonly progress?: Progress;
  readonly cancel_reason?: string;
  /** Of a leased task: its worker, which is gone. */
  readonly lease?: { readonly worker_id: string; readonly prefetched: boolean; readonly resumes: boolean };
  /** Of a task that waits in no queue of its session, though it belongs to it. */
  readonly parallel?: true;
  /** Whether it has a slot in the groups of its session and batch. */
  readonly holds?: true;
  /** Its places in the queues of its session and batch. */
  readonly waits?: { readonly session?: number; readonly batch?: number };
  /** Priority in the queue of a claimable task. */
  readonly queue_priority?: number;
  readonly journal_rev: number;
  readonly payload: JsonValue;
  readonly result?: JsonValue;
  readonly error?: TaskError;
  readonly diagnostic?: Diagnostic;
}

/** Tokens that a task has reserved: of one that has ended none. */
export function reservedTokens({ budget, drawn = 0, state }: TaskRecord): number {
  return budget === undefined || isFinalState(state) ? 0 : Math.max(0, budget - drawn);
}

/** What a submission said of a task, but for its payload. */
export function submittedPartOf(record: TaskRecord): Omit<NewTask, 'payload'> {
  const { task_id, type, priority, metadata } = record;
  return {
    task_id,
    type,
    priority,
    metadata,
    ...(record.session_id !== undefined && { session_id: record.session_id }),
    ...(record.agent_id !== undefined && { agent_id: record.agent_id }),
    ...(record.parent_task_id !== undefined && { parent_task_id: record.parent_task_id }),
    ...(record.requested_by !== undefined && { requested_by: record.requested_by }),
    ...(record.run_at !== undefined && { runAt: record.run_at }),
    ...(record.budget !== undefined && { budgetTokens: record.budget }),
    timeoutMs: record.timeout_ms,
    maxAttempts: record.max_attempts,
  };
}

/** One try of a step at a service. */
export interface CallRecord {
  readonly call_id: string;
  readonly service: string;
  readonly state: 'sending' | 'waiting' | 'ended';
  readonly job_id?: string;
  /** Whether a report with the job's id is about this call. */
  readonly named?: true;
  /** End of the silence limit. */
  readonly silent_at?: number;
  readonly ok?: boolean;
  /** Whether its usage is in the ledger. */
  readonly counted?: true;
  readonly fingerprint?: string;
  readonly last_seq?: number;
  readonly seen_messages?: readonly string[];
}

/** A try of a step that the journal has. */
export interface StepCallRecord extends CallRecord {
  readonly operation: string;
  readonly retry_delay_ms: number;
  /** Absent: no limit. */
  readonly silence_ms?: number;
}

/** A call of a step that the current attempt did not inherit. */
export interface DroppedCallRecord extends CallRecord {
  readonly operation?: string;
  readonly step_key: string;
}

/** A step, in the order in which they were begun. */
export interface StepRecord {
  readonly key: string;
  readonly step: StepKind;
  readonly name: string;
  readonly max_tries: number;
  readonly rev: number;
  /** Failed attempts before it was begun; -1: inherited from the redriven task. */
  readonly era: number;
  readonly signal?: string;
  readonly ended_at?: number;
  readonly retry_at?: number;
  readonly due_at?: number;
  readonly outcome?: StepOutcome;
  readonly calls?: readonly StepCallRecord[];
}

/** Id of an accepted signal: a repeat is recognised by it. */
export interface SignalIdRecord {
  readonly id: string;
  readonly fingerprint?: string;
}

/** A page of the journal of the task before it. */
export interface JournalRecord {
  readonly kind: 'journal';
  readonly tenant_id: string;
  readonly task_id: string;
  readonly steps?: readonly StepRecord[];
  readonly dropped?: readonly DroppedCallRecord[];
  /** Accepted signals without a step that reads them, oldest first. */
  readonly mailbox?: readonly { readonly name: string; readonly payload: JsonValue }[];
  /** Accepted signals. */
  readonly signals?: readonly SignalIdRecord[];
}

/** An idempotency key. */
export interface KeyRecord {
  readonly kind: 'key';
  readonly tenant_id: string;
  readonly key: string;
  /** SHA-256 of the fingerprint of the first request, as base64url. */
  readonly digest: string;
  readonly until: number;
  /** What the first request has made. */
  readonly of: 'task' | 'batch' | 'session';
  readonly id: string;
}

/** Usage of one day, `YYYY-MM-DD`. Of tenants without anything else too. */
export interface UsageRecord {
  readonly kind: 'usage';
  readonly tenant_id: string;
  readonly day: string;
  readonly rows: readonly Omit<UsageRow, 'day'>[];
}

/** Usage of one day with its origins, in portions. */
export interface UsageDetailsRecord {
  readonly kind: 'usage_details';
  readonly tenant_id: string;
  readonly day: string;
  readonly rows: readonly Omit<UsageDetail, 'day'>[];
}

/** A part of an exported storage. */
export type PortableRecord =
  | TenantRecord
  | SessionRecord
  | MessagesRecord
  | BatchRecord
  | TaskRecord
  | JournalRecord
  | BatchItemsRecord
  | KeyRecord
  | UsageRecord
  | UsageDetailsRecord;

export type PortableKind = PortableRecord['kind'];
