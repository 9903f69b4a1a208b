import type { Idempotency } from '../../storage/task-records.js';
import type { EngineState } from '../engine-state.js';
import type { RememberedKey, TenantState } from '../tenants/tenant-state.js';

/** Remembers the answer to an idempotency key for `idempotencyMs`. */
export function rememberKey(
  state: EngineState,
  tenant: TenantState,
  { key, fingerprint }: Idempotency,
  entry: RememberedKey['entry'],
): void {
  const at = state.now() + state.limits.idempotencyMs;
  tenant.idempotency.set(key, { fingerprint, entry, until: at });
  state.schedule('idempotency', at, { tenantId: tenant.tenantId, id: key });
}
