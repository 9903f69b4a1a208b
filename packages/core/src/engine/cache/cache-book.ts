import type { KeptJson } from '../kept-json.js';
import { Heap } from '../timers/heap.js';

/** Entries expire in groups: precise times matter to readers only, who compare them. */
const GROUP_MS = 60_000;

/** An entry, under a lease or stored. */
export class CachedEntry {
  /** Until then the lease, or the stored value, holds; epoch ms. */
  until = 0;
  bytes = 0;
  value: KeptJson | undefined = undefined;
  tokens = 0;
  model: string | undefined = undefined;

  /** @param sequence order of the computations of all tenants. */
  constructor(
    readonly tenantId: string,
    readonly digest: string,
    readonly sequence: number,
    readonly token: string,
    readonly kind: string,
    readonly collection: string | undefined,
    readonly sessionId: string | undefined,
  ) {}

  get isStored(): boolean {
    return this.value !== undefined;
  }
}

/** Entries of a tenant by digest, in the order of their computations. */
export class TenantCache {
  readonly entries = new Map<string, CachedEntry>();
  bytes = 0;
}

/** Cached values of all tenants. A tenant is listed only while it has entries. */
export class CacheBook {
  readonly tenants = new Map<string, TenantCache>();
  /** All entries, in the order of their computations. */
  private readonly all = new Set<CachedEntry>();
  private begun = 0;
  bytes = 0;
  /** By number of the group. An empty one is dropped when it is due. */
  private readonly groups = new Map<number, Set<CachedEntry>>();
  private readonly due = new Heap<number>((a, b) => a < b);

  get(tenantId: string, digest: string): CachedEntry | undefined {
    return this.tenants.get(tenantId)?.entries.get(digest);
  }

  /** Number of the last computation. */
  get lastSequence(): number {
    return this.begun;
  }

  nextSequence(): number {
    this.begun += 1;
    return this.begun;
  }

  add(entry: CachedEntry, until: number, bytes: number): void {
    const cache = this.tenants.get(entry.tenantId) ?? new TenantCache();
    this.tenants.set(entry.tenantId, cache);
    cache.entries.set(entry.digest, entry);
    this.all.add(entry);
    entry.until = until;
    this.groupOf(until).add(entry);
    this.charge(cache, entry, bytes);
  }

  /** Changes the end and the bytes of an entry. */
  change(entry: CachedEntry, until: number, bytes: number): void {
    this.leaveGroup(entry);
    entry.until = until;
    this.groupOf(until).add(entry);
    this.charge(this.tenants.get(entry.tenantId) as TenantCache, entry, bytes);
  }

  remove(entry: CachedEntry): void {
    const cache = this.tenants.get(entry.tenantId) as TenantCache;
    this.charge(cache, entry, 0);
    cache.entries.delete(entry.digest);
    if (cache.entries.size === 0) this.tenants.delete(entry.tenantId);
    this.all.delete(entry);
    this.leaveGroup(entry);
  }

  /** The oldest entry of the tenant, or of all tenants, that is not `kept`. */
  oldest(tenantId: string | undefined, kept: CachedEntry | undefined): CachedEntry | undefined {
    const entries = tenantId === undefined ? this.all : (this.tenants.get(tenantId)?.entries.values() ?? []);
    for (const entry of entries) if (entry !== kept) return entry;
    return undefined;
  }

  /** At most `max` entries of groups that have expired as a whole. */
  expired(now: number, max: number): CachedEntry[] {
    const found: CachedEntry[] = [];
    for (let first = this.due.peek(); first !== undefined; first = this.due.peek()) {
      if ((first + 1) * GROUP_MS > now) break;
      const group = this.groups.get(first);
      for (const entry of group ?? []) {
        if (found.length === max) return found;
        found.push(entry);
      }
      if (group && group.size > 0 && found.length > 0) return found;
      this.groups.delete(first);
      this.due.pop();
    }
    return found;
  }

  /** Entries without a value: their computations ended with their process. */
  *computing(): Generator<CachedEntry> {
    for (const entry of this.all) if (!entry.isStored) yield entry;
  }

  private charge(cache: TenantCache, entry: CachedEntry, bytes: number): void {
    cache.bytes += bytes - entry.bytes;
    this.bytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  private groupOf(until: number): Set<CachedEntry> {
    const number = Math.floor(until / GROUP_MS);
    let group = this.groups.get(number);
    if (!group) {
      group = new Set();
      this.groups.set(number, group);
      this.due.push(number);
    }
    return group;
  }

  private leaveGroup(entry: CachedEntry): void {
    this.groups.get(Math.floor(entry.until / GROUP_MS))?.delete(entry);
  }
}
