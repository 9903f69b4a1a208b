import type {
  TenantSettings,
  TenantStats,
  ConfigureTenantParams,
  GetTenantParams,
  ListTenantsParams,
  ListTenantsResult,
} from '../../storage/tenant-store.js';
import type { EngineState } from '../engine-state.js';
import type { TaskLife } from '../tasks/task-life.js';
import { DEFAULT_SETTINGS, type TenantState } from './tenant-state.js';

/** Operators' view of tenants, and their settings. */
export class Tenants {
  constructor(
    private readonly state: EngineState,
    private readonly life: TaskLife,
  ) {}

  get({ tenantId }: GetTenantParams): TenantStats {
    const tenant = this.state.tenants.get(tenantId);
    return tenant ? viewTenant(tenant) : unheardOf(tenantId);
  }

  configure(params: ConfigureTenantParams): TenantStats {
    const tenant = this.state.tenant(params.tenantId);
    const { weight, paused, maxRunning: kept, rates: keptRates } = tenant.settings;
    const maxRunning = params.maxRunning === undefined ? kept : (params.maxRunning ?? undefined);
    const rates = params.rates === undefined ? keptRates : ratesOf(keptRates, params.rates);
    tenant.settings = {
      weight: params.weight ?? weight,
      paused: params.paused ?? paused,
      ...(maxRunning !== undefined && { maxRunning }),
      ...(rates && { rates }),
    };
    this.life.joinRotation(tenant);
    return viewTenant(tenant);
  }

  list({ limit, after }: ListTenantsParams): ListTenantsResult {
    const tenants: TenantStats[] = [];
    for (const tenant of this.state.tenants.after(after)) {
      if (!tenant.isRegistered) continue;
      if (tenants.length === limit) return { tenants, next: (tenants.at(-1) as TenantStats).tenantId };
      tenants.push(viewTenant(tenant));
    }
    return { tenants };
  }
}

function ratesOf(
  kept: TenantSettings['rates'],
  change: NonNullable<ConfigureTenantParams['rates']> | null,
): TenantSettings['rates'] {
  if (change === null) return undefined;
  const { requestsPerMinute = kept?.requestsPerMinute, burst = kept?.burst } = change;
  const rates = {
    ...(typeof requestsPerMinute === 'number' && { requestsPerMinute }),
    ...(typeof burst === 'number' && { burst }),
  };
  return Object.keys(rates).length > 0 ? rates : undefined;
}

function viewTenant(tenant: TenantState): TenantStats {
  let oldestReadyAt = Number.POSITIVE_INFINITY;
  for (const levels of tenant.ready.values()) {
    oldestReadyAt = Math.min(oldestReadyAt, levels.oldest()?.createdAt ?? oldestReadyAt);
  }
  return {
    tenantId: tenant.tenantId,
    settings: { ...tenant.settings },
    counts: { ...tenant.counts },
    ready: tenant.queued,
    running: tenant.leased.size,
    ...(tenant.queued > 0 && { oldestReadyAt }),
  };
}

function unheardOf(tenantId: string): TenantStats {
  return {
    tenantId,
    settings: { ...DEFAULT_SETTINGS },
    counts: { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 },
    ready: 0,
    running: 0,
  };
}
