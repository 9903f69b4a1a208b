import { DEFAULTS } from '../protocol/settings.js';
import type { Clock } from '../runtime/clock.js';
import type { Admin, OverviewCounts, TenantAtLimit, TenantReport } from './admin.js';

const PAGE = 500;
/** Further tenants are left out: a snapshot is taken every two seconds. */
const MAX_PAGES = 4;
const MAX_AT_LIMIT = 20;

/** Tasks and workers of the whole storage at a glance: a few cheap reads, the same on every storage. */
export async function overviewOf(
  admin: Pick<Admin, 'tenants' | 'workers'>,
  clock: Pick<Clock, 'now'>,
): Promise<OverviewCounts> {
  const counts = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
  const atLimit: TenantAtLimit[] = [];
  let [tenants, paused, ready, running, oldest] = [0, 0, 0, 0, Number.POSITIVE_INFINITY];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { items, next } = await admin.tenants({ limit: PAGE, cursor });
    for (const tenant of items) {
      tenants += 1;
      ready += tenant.ready;
      running += tenant.running;
      if (tenant.paused) paused += 1;
      for (const status of Object.keys(counts) as (keyof typeof counts)[])
        counts[status] += tenant.counts[status];
      const { oldest_ready_at: at } = tenant;
      // A paused tenant's tasks wait as long as an operator wants.
      if (at !== undefined && !tenant.paused) oldest = Math.min(oldest, Date.parse(at));
      if (atLimit.length < MAX_AT_LIMIT) atLimit.push(...limitsOf(tenant));
    }
    cursor = next;
    if (cursor === undefined) break;
  }
  const now = clock.now();
  return {
    at: new Date(now).toISOString(),
    counts,
    ready,
    running,
    ...(Number.isFinite(oldest) && { oldest_ready_age_ms: Math.max(0, now - oldest) }),
    tenants: { active: tenants - paused, paused },
    at_limit: atLimit,
    workers: (await admin.workers()).length,
    partial: cursor !== undefined,
  };
}

function limitsOf({ tenant_id, max_running: max, running, counts }: TenantReport): TenantAtLimit[] {
  if (counts.pending >= DEFAULTS.maxWaiting) return [{ tenant_id, limit: 'max_waiting' }];
  return max !== null && running >= max ? [{ tenant_id, limit: 'max_running' }] : [];
}
