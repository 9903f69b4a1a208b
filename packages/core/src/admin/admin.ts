import type { CacheInvalidation, DeadLetterFilter, TenantPatch } from '../protocol/admin.js';
import type { ErrorCode } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import type { PageOptions } from '../protocol/pages.js';
import type { Task, TaskStatus } from '../protocol/task.js';
import type { TaskEvent } from '../protocol/events.js';
import type { JournalStep, RunOrigin } from '../storage/call-journal.js';
import type { UsageDimension } from '../protocol/usage-dimensions.js';
import type { UsageSum } from '../storage/usage-ledger.js';
import type { TenantBudget } from '../storage/tenant-store.js';
import type { ServiceProbe } from '../services/probe-service.js';
import type { Explanation } from '../storage/task-records.js';
import type { TaskPageQuery } from '../tasks/task-page.js';

/** A page of a list for operators. */
export interface AdminPage<T> {
  readonly items: readonly T[];
  /** `cursor` of the next page, if there is one. */
  readonly next?: string;
}

/** Settings and load of a tenant. */
export interface TenantReport {
  readonly tenant_id: string;
  /** Claimable tasks, regardless of `paused` and `max_running`. */
  readonly ready: number;
  /** Leased tasks. */
  readonly running: number;
  readonly counts: Readonly<Record<TaskStatus, number>>;
  /** Creation time of the oldest ready task, ISO 8601. */
  readonly oldest_ready_at?: string;
  readonly weight: number;
  /** `null`: unlimited. */
  readonly max_running: number | null;
  readonly paused: boolean;
  /** The following are `null` by default: the limit of the processes, of the storage, or none. */
  readonly max_waiting: number | null;
  readonly max_stored_bytes: number | null;
  readonly retention_ms: number | null;
  readonly types: readonly string[] | null;
  readonly services: readonly string[] | null;
  readonly budgets: readonly TenantBudget[] | null;
  readonly rates: {
    readonly requests_per_minute: number | null;
    readonly burst: number | null;
    readonly calls_per_minute: Readonly<Record<string, number>> | null;
    readonly tokens_per_minute: Readonly<Record<string, number>> | null;
  };
}

/** A tenant with the head of its queue. */
export interface QueueReport extends TenantReport {
  /** Ready tasks in the order of their claims, then pending ones that are not ready, by priority. */
  readonly first_in_queue: readonly Explanation[];
  /** Whether there are pending tasks beyond those scanned: they may come before the last ones here. */
  readonly partial: boolean;
}

/** A live worker. */
export interface WorkerReport {
  readonly worker_id: string;
  readonly runs: readonly {
    readonly type: string;
    readonly versions: readonly number[];
    readonly timeout_ms?: number;
    readonly max_attempts?: number;
  }[];
  /** Last announcement, ISO 8601. */
  readonly seen_at: string;
  /** Considered dead after this, ISO 8601, unless announced again. */
  readonly alive_until: string;
}

/** Answer of a bulk action. */
export interface BulkReport {
  /** Tasks that fit the filter. */
  readonly matched: number;
  /**
   * Tasks that the action was carried out on; 0 in a dry run. A task that failed before it began cannot be redriven; one that
   * was redriven before is not done again.
   */
  readonly done: number;
  /** There are more: `cursor` of the next request. */
  readonly next?: string;
  /** The error that ended it early, such as `queue_full`. It may be repeated from `next`, or as before without one. */
  readonly stopped?: { readonly code: ErrorCode; readonly message: string };
}

/** Options of a bulk action. */
export interface BulkOptions {
  /** Only count. */
  readonly dryRun?: boolean | undefined;
  /** The `next` of the previous call. */
  readonly cursor?: string | undefined;
  readonly signal?: AbortSignal;
}

/** Answer of an invalidation. */
export interface CacheReport {
  /** Cached values, and computations whose value is not stored any more. */
  readonly removed: number;
}

/** A system event: see `SystemEvent`. `at` is an ISO 8601 timestamp. */
export interface SystemEventReport {
  readonly at: string;
  readonly kind: string;
  readonly text: string;
  /** What it is about, such as `tenant`. */
  readonly [field: string]: string | number;
}

/** A task of a tenant. */
export interface TaskOfTenant {
  readonly tenantId: string;
  readonly taskId: string;
}

/** Which usage of a tenant, and how it is summed. */
export interface UsageOfTenant {
  readonly tenantId: string;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly by?: readonly UsageDimension[] | undefined;
}

/** A page of what a task's runs have done. */
export interface JournalReport {
  readonly task: Task;
  readonly origin: RunOrigin;
  /** In the order in which they ended; the last page also has those in progress. A step may appear again in a newer state. */
  readonly steps: readonly JournalStep[];
  /** On the first page: events of the task that the log still has, at most 1,000. */
  readonly events: readonly TaskEvent[];
  /** `after` of the next page, if there is one. */
  readonly next?: number;
}

/** A step of a timeline. */
export interface TimelineStep {
  readonly key: string;
  readonly kind: JournalStep['kind'];
  readonly name: string;
  readonly tries: number;
  readonly state: 'completed' | 'failed' | 'open' | 'backing_off';
  /** Of an earlier attempt, or of the task that this one redrives. */
  readonly inherited: boolean;
  readonly error_code?: string;
  /** End of the step that ended before, or start of the attempt: a step beside others may have begun earlier. */
  readonly began_at?: string;
  readonly ended_at?: string;
  readonly duration_ms?: number;
}

/** When a task waited, and what it did when. */
export interface TimelineReport {
  readonly task: Task;
  /** Those whose start the event log still has. */
  readonly attempts: readonly { readonly attempt: number; readonly started_at: string }[];
  /** From the submission, or `run_at`, to the first attempt. */
  readonly wait_ms?: number;
  /** From the first attempt to the end. */
  readonly run_ms?: number;
  /** In the order of their ends, then those in progress. */
  readonly steps: readonly TimelineStep[];
  /** Whether the journal has more steps. */
  readonly partial: boolean;
}

/** A tenant that may not run, or not submit, more tasks now. */
export interface TenantAtLimit {
  readonly tenant_id: string;
  readonly limit: 'max_running' | 'max_waiting';
}

/** Tasks and workers of the whole storage. */
export interface OverviewCounts {
  readonly at: string;
  readonly counts: Readonly<Record<TaskStatus, number>>;
  readonly ready: number;
  readonly running: number;
  /** Without paused tenants. */
  readonly oldest_ready_age_ms?: number;
  readonly tenants: { readonly active: number; readonly paused: number };
  /** At most 20. */
  readonly at_limit: readonly TenantAtLimit[];
  /** Live ones. */
  readonly workers: number;
  /** There are more than 2,000 tenants: the others are left out. */
  readonly partial: boolean;
}

/** A service as one process sees it. */
export interface ServiceReport {
  readonly name: string;
  readonly in: 'http' | 'process' | 'sender';
  /** Absent before its first call. */
  readonly breaker?: 'closed' | 'open' | 'half_open';
  /** Tenants whose own breaker is not closed. */
  readonly open_tenant_breakers: number;
  readonly in_flight: number;
  /** Calls, with their resends, that ended during the last `window_s` seconds; failed ones of them. */
  readonly calls: number;
  readonly errors: number;
  /** Latency that 95 % of them did not exceed, to about a fifth. Absent without calls. */
  readonly p95_ms?: number;
  readonly window_s: number;
  /** With `ping`: whether it answers now. */
  readonly ping?: ServiceProbe;
}

/** A snapshot. Straight from a storage it has no services and no rates. */
export interface OverviewReport extends OverviewCounts {
  /** Of this process, since the snapshot before. `ended_per_s`: absent without a worker. */
  readonly rates?: { readonly submitted_per_s: number; readonly ended_per_s?: number };
  /** At most 50. */
  readonly services?: readonly ServiceReport[];
}

/**
 * What operators can see and do, over all tenants. Errors are `OrchestratorError`s with the codes of `GlobalTaskRegistry`:
 * `not_found`, `conflict`, `queue_full`, `invalid_request`.
 */
export interface Admin {
  /** Known tenants by id. `limit`: 1 to 1,000, default 100. */
  tenants(page?: PageOptions): Promise<AdminPage<TenantReport>>;
  /** An unknown tenant has defaults and zeros. */
  tenant(tenantId: string): Promise<TenantReport>;
  /** Changes settings, effective with the next claim. Creates an unknown tenant. */
  configure(tenantId: string, patch: TenantPatch): Promise<TenantReport>;
  /** A tenant with the next tasks of its queue. `limit`: maximum of tasks, 1 to 500. */
  queue(tenantId: string, options: { readonly limit: number }): Promise<QueueReport>;
  /** Newest first. A page may have fewer tasks than `limit`, even none, and still a `next`. */
  tasks(query: TaskPageQuery): Promise<AdminPage<Task>>;
  task(of: TaskOfTenant): Promise<Task>;
  /** State of a task and the reason for it; of a failed one with the thrown error, which tenants do not see. */
  explain(of: TaskOfTenant): Promise<Explanation>;
  /** The journal of a task in any state, page by page. `after`: 0, or the `next` of the page before. */
  journal(of: TaskOfTenant & { readonly after?: number | undefined }): Promise<JournalReport>;
  /** Attempts and steps of a task with their times. */
  timeline(of: TaskOfTenant): Promise<TimelineReport>;
  cancel(of: TaskOfTenant & { readonly reason?: string | undefined }): Promise<Task>;
  /**
   * Runs a failed task again as a new one, without its successful steps, or with another payload and all steps. Idempotent:
   * returns the same new task; `conflict` if that has another payload than requested.
   */
  redrive(of: TaskOfTenant & { readonly payload?: JsonValue | undefined }): Promise<Task>;
  /**
   * Redrives the dead letters that fit, newest first: at most 1,000 a call. Idempotent like `redrive`, so that it may be
   * repeated after an error. Ends early when `signal` fires, and reports an error after the first redriven one as `stopped`.
   */
  redriveAll(filter: DeadLetterFilter, options?: BulkOptions): Promise<BulkReport>;
  /** Removes the dead letters that fit, with their journals; their events stay. Otherwise like `redriveAll`. */
  discardAll(filter: DeadLetterFilter, options?: BulkOptions): Promise<BulkReport>;
  /** Removes cached values of a tenant: all, or those of a collection. */
  invalidateCache(tenantId: string, about?: CacheInvalidation): Promise<CacheReport>;
  /** What a tenant has used, see `OrchestratorUsage.sum`. */
  usage(query: UsageOfTenant): Promise<readonly UsageSum[]>;
  /** Live workers. */
  workers(): Promise<readonly WorkerReport[]>;
  /** Tasks and workers of the whole storage, at most of its first 2,000 tenants. */
  overview(): Promise<OverviewCounts>;
  /** The last hundred system events, then new ones, until `signal` fires. Best effort. */
  systemEvents(options: { readonly signal: AbortSignal }): AsyncIterable<SystemEventReport>;
}
