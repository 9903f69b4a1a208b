import {
  cachedBytes,
  type ClaimCachedParams,
  type ClaimCachedResult,
  type InvalidateCachedParams,
  type PutCachedParams,
  type PutCachedResult,
  type RemoveCachedParams,
  type RenewCachedParams,
} from '../../storage/cache-store.js';
import type { EngineState } from '../engine-state.js';
import { unreadText } from '../../protocol/known-text.js';
import { compactJson, type KeptJson, keptOfText, KeptText, readJson, viewJson } from '../kept-json.js';
import { type CacheBook, CachedEntry } from './cache-book.js';

/** Params of a read of an entry. */
export type ReadCachedParams = Pick<ClaimCachedParams, 'tenantId' | 'digest' | 'token'>;

/** A portion of an invalidation: entries after one number, up to another. */
export interface InvalidatePortion extends InvalidateCachedParams {
  readonly after?: number;
  /** Absent in the first portion: the computations of that moment. */
  readonly upTo?: number;
}

export interface Invalidated {
  readonly removed: number;
  /** What is left to do. */
  readonly next?: { readonly after: number; readonly upTo: number };
}

/** `evicting`: others make room, in portions. Repeat the command. */
export type PutPortion = PutCachedResult | 'evicting';

/** Cached values, and the leases of those that compute them. */
export class Caches {
  private readonly book: CacheBook;

  constructor(private readonly state: EngineState) {
    this.book = state.cache;
  }

  /** The value, or the computation of another. */
  get({ tenantId, digest, token }: ReadCachedParams): ClaimCachedResult | undefined {
    const entry = this.holding(tenantId, digest);
    if (!entry || (!entry.isStored && entry.token === token)) return undefined;
    return this.view(entry);
  }

  claim(params: ClaimCachedParams): ClaimCachedResult {
    const { tenantId, digest, token, kind, collection, sessionId, leaseMs } = params;
    const now = this.state.now();
    const known = this.holding(tenantId, digest);
    if (known) return !known.isStored && known.token === token ? { answer: 'claimed' } : this.view(known);
    const expired = this.book.get(tenantId, digest);
    if (expired) this.drop(expired);
    const bytes = cachedBytes(collection);
    this.makeRoom(tenantId, bytes);
    const sequence = this.book.nextSequence();
    const entry = new CachedEntry(tenantId, digest, sequence, token, kind, collection, sessionId);
    this.book.add(entry, now + leaseMs, bytes);
    return { answer: 'claimed' };
  }

  renew({ tenantId, digest, token, leaseMs }: RenewCachedParams): boolean {
    const entry = this.holding(tenantId, digest);
    if (!entry || entry.isStored || entry.token !== token) return false;
    this.book.change(entry, this.state.now() + leaseMs, entry.bytes);
    return true;
  }

  put(params: PutCachedParams): PutPortion {
    const { tenantId, digest, token, tokens, model, ttlMs } = params;
    const entry = this.holding(tenantId, digest);
    if (!entry || entry.token !== token) return 'lost';
    if (entry.isStored) return 'stored';
    const text = unreadText(params, 'value');
    const kept = text === undefined ? compactJson(params.value) : keptOfText(text);
    const bytes = cachedBytes(entry.collection, exactBytes(kept));
    const { maxCacheBytes, maxCacheBytesInAll } = this.state.limits;
    if (bytes > Math.min(maxCacheBytes, maxCacheBytesInAll)) {
      this.drop(entry);
      return 'no_room';
    }
    if (!this.makeRoom(tenantId, bytes - entry.bytes, entry)) return 'evicting';
    entry.value = kept instanceof KeptText ? kept : readJson(kept);
    entry.tokens = tokens;
    entry.model = model;
    this.book.change(entry, this.state.now() + ttlMs, bytes);
    this.wake(entry);
    return 'stored';
  }

  remove({ tenantId, digest, token }: RemoveCachedParams): void {
    const entry = this.book.get(tenantId, digest);
    if (entry?.token === token) this.drop(entry);
  }

  invalidate({
    tenantId,
    collection,
    kind,
    sessionId,
    after = 0,
    upTo = this.book.lastSequence,
  }: InvalidatePortion): Invalidated {
    const now = this.state.now();
    let removed = 0;
    let scanned = 0;
    for (const entry of this.book.tenants.get(tenantId)?.entries.values() ?? []) {
      if (entry.sequence > upTo) break;
      if (entry.sequence <= after) continue;
      if (scanned === this.state.limits.cachedAtOnce) return { removed, next: { after, upTo } };
      scanned += 1;
      after = entry.sequence;
      const isMeant =
        (collection === undefined || entry.collection === collection) &&
        (kind === undefined || entry.kind === kind) &&
        (sessionId === undefined || entry.sessionId === sessionId);
      if (!isMeant) continue;
      if (entry.until > now) removed += 1;
      this.drop(entry);
    }
    return { removed };
  }

  /** Removes at most a portion of what has expired. */
  forgetExpired(now: number): void {
    for (const entry of this.book.expired(now, this.state.limits.cachedAtOnce)) this.drop(entry);
  }

  private holding(tenantId: string, digest: string): CachedEntry | undefined {
    const entry = this.book.get(tenantId, digest);
    return entry && entry.until > this.state.now() ? entry : undefined;
  }

  private view(entry: CachedEntry): ClaimCachedResult {
    const { value, token, tokens, model, until } = entry;
    if (value === undefined)
      return { answer: 'computing', token, remainingMs: Math.max(0, until - this.state.now()) };
    const hit = {
      answer: 'hit' as const,
      value: null,
      tokens,
      ...(model !== undefined && { model }),
      token,
    };
    viewJson(hit, 'value', value);
    return hit;
  }

  /** Removes the oldest others, at most a portion. `false`: there is not enough room yet. */
  private makeRoom(tenantId: string, bytes: number, kept?: CachedEntry): boolean {
    const { maxCacheBytes, maxCacheBytesInAll, cachedAtOnce } = this.state.limits;
    for (let left = cachedAtOnce; ; left -= 1) {
      const isFull = (this.book.tenants.get(tenantId)?.bytes ?? 0) + bytes > maxCacheBytes;
      if (!isFull && this.book.bytes + bytes <= maxCacheBytesInAll) return true;
      const oldest = this.book.oldest(isFull ? tenantId : undefined, kept);
      if (!oldest) return true;
      if (left === 0) return false;
      this.drop(oldest);
    }
  }

  private drop(entry: CachedEntry): void {
    this.book.remove(entry);
    if (!entry.isStored) this.wake(entry);
  }

  private wake({ tenantId, digest }: CachedEntry): void {
    this.state.publish({ kind: 'cached', tenantId, digest });
  }
}

function exactBytes(kept: KeptJson): number {
  return kept instanceof KeptText ? kept.bytes : Buffer.byteLength(JSON.stringify(kept));
}
