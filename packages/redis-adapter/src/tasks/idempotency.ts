import type { Idempotency } from '@agent-orchestrator/core/storage';
import { createHash } from 'node:crypto';

/** A key for the scripts, with the hash of its fingerprint, which has no spaces. */
export function keyOf(idempotency: Idempotency | undefined): { key?: string; fingerprint?: string } {
  if (!idempotency) return {};
  const fingerprint = createHash('sha256').update(idempotency.fingerprint).digest('base64url');
  return { key: idempotency.key, fingerprint };
}
