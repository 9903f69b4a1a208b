import type { TenantStats } from '@agent-orchestrator/core';
import type {
  TenantStore,
  ConfigureTenantParams,
  GetTenantParams,
  ListTenantsParams,
  ListTenantsResult,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { settingChanges, settingsOf } from './stored-settings.js';
import { readCounts } from '../tasks/task-records.js';
import type { Tenants } from '../queue/rotations.js';

export class RedisTenantStore implements TenantStore {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
  ) {}

  async get({ tenantId }: GetTenantParams): Promise<TenantStats> {
    const { meta, counts, ready, oldestAt } = readCounts(await this.state.run(tenantId, 'counts'));
    return {
      tenantId,
      settings: settingsOf(meta),
      counts,
      ready,
      running: Number(meta.get('running') ?? 0),
      ...(oldestAt !== undefined && { oldestReadyAt: oldestAt }),
    };
  }

  async configure(params: ConfigureTenantParams): Promise<TenantStats> {
    const { tenantId, ...change } = params;
    const changes = settingChanges(change);
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
