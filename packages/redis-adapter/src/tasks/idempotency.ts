import type { Idempotency } from '@agent-orchestrator/core';
import { createHash } from 'node:crypto';

/** A key as scripts remember it: of the fingerprint a hash, which has no spaces. */
export function keyOf(idempotency: Idempotency | undefined): { key?: string; fingerprint?: string } {
  if (!idempotency) return {};
  const fingerprint = createHash('sha256').update(idempotency.fingerprint).digest('base64url');
  return { key: idempotency.key, fingerprint };
}
