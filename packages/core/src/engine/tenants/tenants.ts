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
    const { tenantId: _, rates, weight, paused, ...limits } = params;
    const { rates: keptRates, ...kept } = tenant.settings;
    const changed = rates === undefined ? keptRates : changedRates(keptRates, rates);
    tenant.settings = {
      ...changedFields(kept, limits),
      weight: weight ?? kept.weight,
      paused: paused ?? kept.paused,
    };
    if (changed) tenant.settings = { ...tenant.settings, rates: changed };
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

function changedRates(
  kept: TenantSettings['rates'],
  change: NonNullable<ConfigureTenantParams['rates']> | null,
): TenantSettings['rates'] {
  if (change === null) return undefined;
  const rates = changedFields(kept ?? {}, change);
  return Object.keys(rates).length > 0 ? rates : undefined;
}

type Changes<T> = { readonly [K in keyof T]?: T[K] | null };

/** A field of `undefined` stays as it is, one of `null` is removed. */
function changedFields<T extends object>(kept: T, changes: Changes<T>): T {
  const changed: Record<string, unknown> = {};
  const entries = [...Object.entries(kept), ...Object.entries(changes)];
  for (const [field, value] of entries) if (value !== undefined) changed[field] = value;
  return Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== null)) as T;
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
