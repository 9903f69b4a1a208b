import { cacheDigest } from '../../cache/cache-key.js';
import type { OutboundCall } from '../call-stage.js';

/** What is asked of the cache for an input of the call. */
export function requestOf({ service, call, signal }: OutboundCall, input: unknown) {
  const { tenant_id: tenantId, session_id: sessionId } = call;
  const kind = `${service.name}.${call.operation}`;
  const collection = collectionOf(input);
  const digest = cacheDigest({ tenantId, kind, collection, key: input });
  return { tenantId, kind, collection, digest, sessionId, signal, whenFailed: 'at_once' } as const;
}

/** A collection that can be invalidated by its name; any other is part of the key only. */
function collectionOf(input: unknown): string | undefined {
  const collection = (input as { readonly collection?: unknown } | null)?.collection;
  const isName = typeof collection === 'string' && /^\P{Cc}{1,200}$/u.test(collection);
  return isName && collection.isWellFormed() ? collection : undefined;
}
