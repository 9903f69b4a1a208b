import { type Explanation, OrchestratorError, type Task } from '@agent-orchestrator/core';
import {
  type CacheInvalidation,
  type DeadLetterFilter,
  PAGE_SIZES,
  type PageOptions,
  type TenantPatch,
} from '@agent-orchestrator/core/protocol';
import type {
  Admin,
  AdminPage,
  BulkOptions,
  BulkReport,
  CacheReport,
  JournalReport,
  OverviewReport,
  QueueReport,
  ServiceReport,
  SystemEventReport,
  TaskOfTenant,
  TenantReport,
  TimelineReport,
  WorkerReport,
} from '@agent-orchestrator/core/server';
import type { ApiClient } from '../client/api-client.js';
import type { OperatorPort, ServicesQuery } from './operator-port.js';

const ADMIN = '/admin/v1';
type Query = Readonly<Record<string, string | number | undefined>>;

/** Operators' access through a server, with its operator token. A page has at most 200 items, whatever its `limit`. */
export class HttpAdmin implements OperatorPort {
  constructor(private readonly api: ApiClient) {}

  tenants(page: PageOptions = {}): Promise<AdminPage<TenantReport>> {
    return this.#get('/tenants', pageQuery(page));
  }

  tenant(tenantId: string): Promise<TenantReport> {
    return this.#get(tenantPath(tenantId));
  }

  configure(tenantId: string, patch: TenantPatch): Promise<TenantReport> {
    return this.#known(this.api.patch<TenantReport>(ADMIN + tenantPath(tenantId), patch));
  }

  async queue(tenantId: string, { limit }: { readonly limit: number }): Promise<QueueReport> {
    const { items } = await this.#get<AdminPage<QueueReport>>('/queues', { tenant: tenantId, limit });
    const [queue] = items;
    if (queue) return queue;
    throw new OrchestratorError(
      'invalid_response',
      `${this.api.url}: expected the queue of a tenant, got none`,
    );
  }

  tasks({
    tenantId,
    status,
    type,
    sessionId,
    code,
    since,
    idPrefix,
    ...page
  }: Parameters<Admin['tasks']>[0]): Promise<AdminPage<Task>> {
    const about = { status, type, session_id: sessionId, code, since, prefix: idPrefix };
    const query = { ...about, ...pageQuery(page) };
    return this.#get(`${tenantPath(tenantId)}/tasks`, query);
  }

  task(of: TaskOfTenant): Promise<Task> {
    return this.#get(taskPath(of));
  }

  explain(of: TaskOfTenant): Promise<Explanation> {
    return this.#get(`${taskPath(of)}/why`);
  }

  journal({ after, ...of }: Parameters<Admin['journal']>[0]): Promise<JournalReport> {
    return this.#get(`${taskPath(of)}/journal`, { after });
  }

  timeline(of: TaskOfTenant): Promise<TimelineReport> {
    return this.#get(`${taskPath(of)}/timeline`);
  }

  async services({ name, ping }: ServicesQuery): Promise<readonly ServiceReport[]> {
    const query = { name, ping: ping === true ? 'true' : undefined };
    return (await this.#get<{ readonly items: readonly ServiceReport[] }>('/services', query)).items;
  }

  overviews({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<OverviewReport> {
    return this.#stream('overview', 'overview', signal);
  }

  redrive({ payload, ...of }: Parameters<Admin['redrive']>[0]): Promise<Task> {
    const body = payload === undefined ? {} : { payload };
    return this.#known(this.api.post<Task>(`${ADMIN}${taskPath(of)}/redrive`, body));
  }

  redriveAll(...[filter, options]: Parameters<Admin['redriveAll']>): Promise<BulkReport> {
    return this.#onAll('redrive', filter, options);
  }

  discardAll(...[filter, options]: Parameters<Admin['discardAll']>): Promise<BulkReport> {
    return this.#onAll('discard', filter, options);
  }

  #onAll(
    action: 'redrive' | 'discard',
    filter: DeadLetterFilter,
    { dryRun, cursor, signal }: BulkOptions = {},
  ): Promise<BulkReport> {
    const body = {
      filter: { ...filter },
      ...(dryRun === true && { dry_run: true }),
      ...(cursor && { cursor }),
    };
    return this.#known(
      this.api.post<BulkReport>(`${ADMIN}/dead-letters/${action}`, body, { ...(signal && { signal }) }),
    );
  }

  async usage({ tenantId, by, ...range }: Parameters<Admin['usage']>[0]): ReturnType<Admin['usage']> {
    const query = { tenant: tenantId, ...range, group_by: by?.join(',') };
    return (await this.#get<{ readonly rows: Awaited<ReturnType<Admin['usage']>> }>('/usage', query)).rows;
  }

  async workers(): Promise<readonly WorkerReport[]> {
    return (await this.#get<{ readonly items: readonly WorkerReport[] }>('/workers')).items;
  }

  invalidateCache(tenantId: string, { collection }: CacheInvalidation = {}): Promise<CacheReport> {
    const path = `${ADMIN}${tenantPath(tenantId)}/cache/invalidate`;
    return this.#known(this.api.post<CacheReport>(path, { collection: collection ?? null }));
  }

  systemEvents({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<SystemEventReport> {
    return this.#stream('system-events', 'system_event', signal);
  }

  /** The data of events of one kind. */
  async *#stream<T>(path: string, kind: string, signal: AbortSignal): AsyncGenerator<T> {
    try {
      for await (const { event, data } of this.api.stream(`${ADMIN}/${path}`, signal))
        if (event === kind) yield data as T;
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  #get<T>(path: string, query: Query = {}): Promise<T> {
    return this.#known(this.api.get<T>(ADMIN + path, { query }));
  }

  /** The answer to a request; a server without routes of operators is named as such. */
  async #known<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  /** A server that does not have the routes answers 404 before it looks at the token. */
  async #explained(error: unknown): Promise<unknown> {
    if (!(error instanceof OrchestratorError) || error.code !== 'not_found') return error;
    const hasRoutes = await this.api.get(`${ADMIN}/tenants`, { query: { limit: 1 } }).then(
      () => true,
      (other: unknown) => !(other instanceof OrchestratorError) || other.code !== 'not_found',
    );
    if (hasRoutes) return error;
    return new OrchestratorError(
      'invalid_response',
      `${this.api.url} has no ${ADMIN}: expected a server of this version that is no mere worker`,
      { cause: error },
    );
  }
}

function pageQuery({ limit, cursor }: PageOptions): Query {
  return { limit: limit === undefined ? undefined : Math.min(limit, PAGE_SIZES.http.max), cursor };
}

function tenantPath(tenantId: string): string {
  return `/tenants/${encodeURIComponent(tenantId)}`;
}

function taskPath({ tenantId, taskId }: TaskOfTenant): string {
  return `${tenantPath(tenantId)}/tasks/${encodeURIComponent(taskId)}`;
}
