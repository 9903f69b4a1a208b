import { digestOf } from '../../protocol/fingerprint.js';
import type { Idempotency } from '../../storage/task-records.js';
import type { EngineState } from '../engine-state.js';
import type { RememberedKey, TenantState } from '../tenants/tenant-state.js';

/** Before the digest of a fingerprint, where the fingerprint itself is not known: another storage had it. */
const DIGEST = 'sha256:';

export function fingerprintOfDigest(digest: string): string {
  return `${DIGEST}${digest}`;
}

export function digestOfKey({ fingerprint }: RememberedKey): string {
  return fingerprint.startsWith(DIGEST) ? fingerprint.slice(DIGEST.length) : digestOf(fingerprint);
}

/** Whether the key was used for the same request. */
export function isSameRequest(known: RememberedKey, { fingerprint }: Idempotency): boolean {
  if (known.fingerprint === fingerprint) return true;
  return known.fingerprint.startsWith(DIGEST) && digestOfKey(known) === digestOf(fingerprint);
}

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
