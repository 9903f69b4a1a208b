import type { CacheInvalidation, DeadLetterFilter, TenantPatch } from '../protocol/admin.js';
import type { TaskEvent } from '../protocol/events.js';
import { OrchestratorError } from '../protocol/errors.js';
import type { JsonValue } from '../protocol/json.js';
import { PAGE_SIZES, pageLimit, type PageOptions } from '../protocol/pages.js';
import type { Task } from '../protocol/task.js';
import { type Clock, systemClock } from '../runtime/clock.js';
import type { Storage } from '../storage/storage.js';
import type { WorkerEntry } from '../storage/worker-directory.js';
import type { GlobalTaskRegistry } from '../tasks/global-task-registry.js';
import type { TaskPageQuery } from '../tasks/task-page.js';
import type { UsageSum } from '../storage/usage-ledger.js';
import { sumUsage } from '../usage/orchestrator-usage.js';
import type { TenantAdmin } from '../tenants/tenant-admin.js';
import type {
  Admin,
  AdminPage,
  BulkOptions,
  BulkReport,
  CacheReport,
  JournalReport,
  OverviewCounts,
  QueueReport,
  SystemEventReport,
  TaskOfTenant,
  TenantReport,
  TimelineReport,
  UsageOfTenant,
  WorkerReport,
} from './admin.js';
import { discardAll, redriveAll } from './bulk-actions.js';
import { overviewOf } from './overview.js';
import { queueFront } from './queue-front.js';
import { tenantChange, tenantReport } from './tenant-report.js';
import { timelineOf } from './timeline.js';

/** A cursor of no log: reading begins with the oldest event. */
const FROM_START = 'none:0';
const EVENT_PAGE = 500;
const MAX_EVENT_PAGES = 100;
const MAX_EVENTS = 1_000;

/** Parts of `StorageAdmin`; registry and tenants are those of the same storage. */
export interface StorageAdminParts {
  readonly storage: Pick<
    Storage,
    'tasks' | 'workers' | 'systemEvents' | 'journal' | 'events' | 'cache' | 'usage'
  >;
  readonly registry: GlobalTaskRegistry;
  readonly tenants: TenantAdmin;
  /** Default: that of the system. */
  readonly clock?: Clock;
}

/** Operators' access to a storage of this process. */
export class StorageAdmin implements Admin {
  constructor(private readonly parts: StorageAdminParts) {}

  async tenants(page: PageOptions = {}): Promise<AdminPage<TenantReport>> {
    const { tenants, next } = await this.parts.tenants.list(page);
    return { items: tenants.map(tenantReport), ...(next !== undefined && { next }) };
  }

  async tenant(tenantId: string): Promise<TenantReport> {
    return tenantReport(await this.parts.tenants.get(tenantId));
  }

  async configure(tenantId: string, patch: TenantPatch): Promise<TenantReport> {
    return tenantReport(await this.parts.tenants.configure(tenantId, tenantChange(patch)));
  }

  async queue(tenantId: string, options: { readonly limit: number }): Promise<QueueReport> {
    const max = pageLimit(PAGE_SIZES.tenant, options.limit);
    const stats = await this.parts.tenants.get(tenantId);
    const { tasks, isPartial } = await queueFront(this.parts.storage, { tenantId, max });
    return { ...tenantReport(stats), first_in_queue: tasks, partial: isPartial };
  }

  async tasks(query: TaskPageQuery): Promise<AdminPage<Task>> {
    const { tasks, next } = await this.parts.registry.list(query);
    return { items: tasks, ...(next !== undefined && { next }) };
  }

  task(of: TaskOfTenant): Promise<Task> {
    return this.parts.registry.get(of);
  }

  explain(of: TaskOfTenant) {
    return this.parts.registry.explain(of);
  }

  async journal({
    after = 0,
    ...of
  }: TaskOfTenant & { readonly after?: number | undefined }): Promise<JournalReport> {
    // First: a task that ends meanwhile has a journal that is more than its state says, not less.
    const task = await this.parts.registry.get(of);
    const page = await this.parts.storage.journal.read({ ...of, after });
    if (page.answer !== 'page' || !page.origin)
      throw new OrchestratorError('not_found', `task ${of.taskId} is gone`);
    const { origin, steps, next } = page;
    const events = after === 0 ? await eventsOf(this.parts.storage, of) : [];
    return { task, origin, steps, events, ...(next !== undefined && { next }) };
  }

  timeline(of: TaskOfTenant): Promise<TimelineReport> {
    return timelineOf(this, of);
  }

  overview(): Promise<OverviewCounts> {
    return overviewOf(this, this.parts.clock ?? systemClock);
  }

  cancel({ reason, ...of }: TaskOfTenant & { readonly reason?: string | undefined }): Promise<Task> {
    return this.parts.registry.cancel({ ...of, reason: reason ?? 'cancelled by an operator' });
  }

  redrive(of: TaskOfTenant & { readonly payload?: JsonValue | undefined }): Promise<Task> {
    return this.parts.registry.redrive(of);
  }

  redriveAll(filter: DeadLetterFilter, options?: BulkOptions): Promise<BulkReport> {
    return redriveAll(this.parts.registry, filter, options);
  }

  discardAll(filter: DeadLetterFilter, options?: BulkOptions): Promise<BulkReport> {
    return discardAll(this.parts.registry, filter, options);
  }

  async invalidateCache(tenantId: string, { collection }: CacheInvalidation = {}): Promise<CacheReport> {
    const isOne = collection !== undefined && collection !== null;
    const removed = await this.parts.storage.cache.invalidate({ tenantId, ...(isOne && { collection }) });
    return { removed };
  }

  usage({ tenantId, ...query }: UsageOfTenant): Promise<readonly UsageSum[]> {
    const { storage, clock = systemClock } = this.parts;
    return sumUsage({ ledger: storage.usage, clock }, { tenant: tenantId, ...query });
  }

  async workers(): Promise<readonly WorkerReport[]> {
    return (await this.parts.storage.workers.list()).map(workerReport);
  }

  async *systemEvents(options: { readonly signal: AbortSignal }): AsyncGenerator<SystemEventReport> {
    for await (const event of this.parts.storage.systemEvents.follow(options))
      yield { ...event, at: new Date(event.at).toISOString() };
  }
}

function workerReport({ workerId, runs, seenAt, aliveUntil }: WorkerEntry): WorkerReport {
  return {
    worker_id: workerId,
    runs: runs.map(({ type, versions, timeoutMs, maxAttempts }) => ({
      type,
      versions,
      ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
      ...(maxAttempts !== undefined && { max_attempts: maxAttempts }),
    })),
    seen_at: new Date(seenAt).toISOString(),
    alive_until: new Date(aliveUntil).toISOString(),
  };
}

/** Events of a task that the tenant's log still has, oldest first. */
async function eventsOf({ events: log }: Pick<Storage, 'events'>, { tenantId, taskId }: TaskOfTenant) {
  const found: TaskEvent[] = [];
  let after = FROM_START;
  for (let page = 0; page < MAX_EVENT_PAGES && found.length < MAX_EVENTS; page += 1) {
    const { events, cursor } = await log.read({ tenantId, after, limit: EVENT_PAGE });
    found.push(...events.filter(({ task_id }) => task_id === taskId));
    if (events.length === 0) break;
    after = cursor;
  }
  return found.slice(0, MAX_EVENTS);
}
