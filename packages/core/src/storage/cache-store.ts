import type { JsonValue } from '../protocol/json.js';

/** An entry of a tenant's cache. */
interface CacheKey {
  readonly tenantId: string;
  /** Digest of what the value depends on. */
  readonly digest: string;
}

/** Params of `CacheStore.claim`. */
export interface ClaimCachedParams extends CacheKey {
  /** Identifies the computation. */
  readonly token: string;
  readonly leaseMs: number;
  /** What kind of value it is, for `invalidate`. */
  readonly kind: string;
  readonly collection?: string;
  /** The session that the value is computed for. */
  readonly sessionId?: string;
}

/** Answer of `CacheStore.claim`. */
export type ClaimCachedResult =
  | {
      readonly answer: 'hit';
      readonly value: JsonValue;
      /** What the value has cost. */
      readonly tokens: number;
      readonly model?: string;
      /** The computation that stored it, for `remove`. */
      readonly token: string;
    }
  /** The caller computes the value, for `leaseMs` unless it renews the lease. */
  | { readonly answer: 'claimed' }
  /** Another computation has the lease, for another `remainingMs` at least. */
  | { readonly answer: 'computing'; readonly token: string; readonly remainingMs: number };

/** Params of `CacheStore.renew`. */
export interface RenewCachedParams extends CacheKey {
  readonly token: string;
  readonly leaseMs: number;
}

/** Params of `CacheStore.put`. */
export interface PutCachedParams extends CacheKey {
  readonly token: string;
  readonly value: JsonValue;
  readonly tokens: number;
  readonly model?: string;
  readonly ttlMs: number;
}

/**
 * Answer of `CacheStore.put`. `lost`: the lease has ended, or the entry was invalidated or had to make room. `no_room`: the entry
 * alone exceeds `maxCacheBytes`.
 */
export type PutCachedResult = 'stored' | 'lost' | 'no_room';

/** Params of `CacheStore.remove`. */
export interface RemoveCachedParams extends CacheKey {
  readonly token: string;
}

/** Params of `CacheStore.invalidate`: entries with all of the given fields. */
export interface InvalidateCachedParams {
  readonly tenantId: string;
  readonly collection?: string;
  readonly kind?: string;
  readonly sessionId?: string;
}

/**
 * Cached values of tenants. An entry is `computing`, under a lease of one computation, or `stored` until it expires. Entries of
 * either kind count with their bytes; beyond `maxCacheBytes` of a tenant the oldest are removed, by the start of their computation.
 */
export interface CacheStore {
  /** The value, or the lease to compute it. Idempotent by `token`. */
  claim(params: ClaimCachedParams): Promise<ClaimCachedResult>;
  /** Prolongs a lease. `false`: it has ended, and the value will not be stored. */
  renew(params: RenewCachedParams): Promise<boolean>;
  /** Stores a value of at most 1 MiB, under the lease of its computation. Idempotent by `token`. */
  put(params: PutCachedParams): Promise<PutCachedResult>;
  /** Removes the entry, if it is that of the computation: gives up a lease, or drops a stored value. */
  remove(params: RemoveCachedParams): Promise<void>;
  /**
   * Removes entries, in portions, and returns their number. When it resolves, every computation that began before it has lost its
   * lease.
   */
  invalidate(params: InvalidateCachedParams): Promise<number>;
}

/** Bytes of an entry beside its value and collection. */
const ENTRY_BYTES = 512;

/** Bytes that an entry counts for. @param valueBytes of the value as JSON; 0 while it is computed. */
export function cachedBytes(collection: string | undefined, valueBytes = 0): number {
  return ENTRY_BYTES + Buffer.byteLength(collection ?? '') + valueBytes;
}
