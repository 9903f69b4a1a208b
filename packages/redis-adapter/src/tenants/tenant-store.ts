import type { TenantStats } from '@agent-orchestrator/core';
import type {
  TenantStore,
  ConfigureTenantParams,
  GetTenantParams,
  ListTenantsParams,
  ListTenantsResult,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { readCounts } from '../tasks/task-records.js';
import type { Tenants } from '../queue/rotations.js';

const NO_RATES = { requestsPerMinute: null, burst: null };

export class RedisTenantStore implements TenantStore {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
  ) {}

  async get({ tenantId }: GetTenantParams): Promise<TenantStats> {
    const { meta, counts, ready, oldestAt } = readCounts(await this.state.run(tenantId, 'counts'));
    const maxRunning = meta.get('max_running');
    const rates = ratesOf(meta.get('requests_per_minute'), meta.get('request_burst'));
    return {
      tenantId,
      settings: {
        weight: Number(meta.get('weight') ?? 1),
        ...(maxRunning !== undefined && { maxRunning: Number(maxRunning) }),
        paused: meta.get('paused') === '1',
        ...(rates && { rates }),
      },
      counts,
      ready,
      running: Number(meta.get('running') ?? 0),
      ...(oldestAt !== undefined && { oldestReadyAt: oldestAt }),
    };
  }

  async configure(params: ConfigureTenantParams): Promise<TenantStats> {
    const { tenantId, weight, maxRunning, paused, rates } = params;
    const changes: (string | number)[] = [];
    if (weight !== undefined) changes.push('weight', weight === 1 ? '' : weight);
    if (maxRunning !== undefined) changes.push('max_running', maxRunning ?? '');
    if (paused !== undefined) changes.push('paused', paused ? 1 : '');
    const { requestsPerMinute, burst } = rates ?? (rates === null ? NO_RATES : {});
    if (requestsPerMinute !== undefined) changes.push('requests_per_minute', requestsPerMinute ?? '');
    if (burst !== undefined) changes.push('request_burst', burst ?? '');
    if (changes.length > 0) await this.state.change(tenantId, 'configureTenant', ...changes);
    return this.get({ tenantId });
  }

  async list({ limit, after }: ListTenantsParams): Promise<ListTenantsResult> {
    this.state.checkOpen();
    for await (const page of this.tenants.pages(after, limit + 1)) {
      const ids = page.slice(0, limit);
      const requests = ids.map((tenantId) => this.tenants.isolated(tenantId, () => this.get({ tenantId })));
      const all = (await Promise.all(requests)).filter((stats) => stats !== undefined);
      const next = ids.at(-1);
      return { tenants: all, ...(page.length > limit && next !== undefined && { next }) };
    }
    return { tenants: [] };
  }
}

function ratesOf(perMinute: string | undefined, burst: string | undefined) {
  if (perMinute === undefined && burst === undefined) return undefined;
  return {
    ...(perMinute !== undefined && { requestsPerMinute: Number(perMinute) }),
    ...(burst !== undefined && { burst: Number(burst) }),
  };
}
