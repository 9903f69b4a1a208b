import type { TenantPatch } from '../protocol/admin.js';
import { allOnWire, settingsFromWire } from '../storage/settings-on-wire.js';
import type { TenantStats } from '../storage/tenant-store.js';
import type { TenantChange } from '../tenants/tenant-admin.js';
import type { TenantReport } from './admin.js';

/** What `null` means for settings that are never absent. */
const NEVER_ABSENT = { weight: 1, paused: false };

/** A change of settings of the wire. */
export function tenantChange(patch: TenantPatch): TenantChange {
  const change = settingsFromWire(patch);
  for (const [field, value] of Object.entries(NEVER_ABSENT))
    if (change[field] === null) change[field] = value;
  return change;
}

export function tenantReport(stats: TenantStats): TenantReport {
  const { tenantId, settings, counts, ready, running, oldestReadyAt } = stats;
  return {
    tenant_id: tenantId,
    ready,
    running,
    counts,
    ...(oldestReadyAt !== undefined && { oldest_ready_at: new Date(oldestReadyAt).toISOString() }),
    ...(allOnWire(settings) as unknown as TenantSettingsReport),
  };
}

type TenantSettingsReport = Omit<
  TenantReport,
  'tenant_id' | 'ready' | 'running' | 'counts' | 'oldest_ready_at'
>;
