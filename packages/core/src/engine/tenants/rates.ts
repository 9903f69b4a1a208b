import type { Clock } from '../../runtime/clock.js';
import {
  defaultBurst,
  KEPT_LEASES,
  type LeaseRateParams,
  maxLease,
  type Rate,
  type RateLease,
  REQUEST_RATE,
} from '../../storage/rate-store.js';
import type { TenantSettings } from '../../storage/tenant-store.js';

/** One request, in the unit of levels: a rate of one per minute drains one unit per millisecond, so all numbers are whole. */
const ONE = 60_000;
/** Buckets checked at each lease: more than it adds. */
const CHECKED_AT_ONCE = 2;

/** A bucket that fills with each request, and drains at the rate. */
interface Bucket {
  readonly perMinute: number;
  readonly level: number;
  /** Time of `level`, epoch ms. */
  readonly at: number;
  /** Granted by lease, oldest first. */
  readonly leases: ReadonlyMap<string, number>;
}

const EMPTY: Bucket = { perMinute: 1, level: 0, at: 0, leases: new Map() };

/** Allowances of all tenants, in memory: whatever was used before a restart is not worth a write for each lease. */
export class RateBook {
  private readonly buckets = new Map<string, Bucket>();

  constructor(private readonly clock: Clock) {}

  /** Number of buckets that are kept. */
  get size(): number {
    return this.buckets.size;
  }

  /** @param own settings of the tenant. */
  lease(params: LeaseRateParams, own: TenantSettings['rates']): RateLease {
    const { tenantId, name, leaseId, wanted } = params;
    const now = this.clock.now();
    const key = `${tenantId} ${name}`;
    const { perMinute, burst } = name === REQUEST_RATE ? withOwn(params, own) : params;
    this.forgetDrained(now);
    const bucket = this.buckets.get(key) ?? EMPTY;
    const before = drained(bucket, perMinute, now);
    // Of a higher burst: what is beyond this one is forgotten.
    let level = Math.min(burst * ONE, before);
    const known = bucket.leases.get(leaseId);
    const left = Math.floor((burst * ONE - level) / ONE);
    const granted = known ?? Math.min(wanted, maxLease(perMinute), left);
    if (known === undefined && (granted > 0 || level < before || bucket.at > now)) {
      level += granted * ONE;
      const leases = [...bucket.leases, ...(granted > 0 ? [[leaseId, granted] as const] : [])];
      this.buckets.delete(key);
      this.buckets.set(key, { perMinute, level, at: now, leases: new Map(leases.slice(-KEPT_LEASES)) });
    }
    return {
      granted,
      remaining: Math.floor((burst * ONE - level) / ONE),
      retryAfterMs: Math.max(0, Math.ceil((level + ONE - burst * ONE) / perMinute)),
      perMinute,
      burst,
    };
  }

  /** Each lease checks the buckets that were not checked for longest, so that those of tenants that are gone do not stay. */
  private forgetDrained(now: number): void {
    let checked = 0;
    for (const [key, bucket] of this.buckets) {
      checked += 1;
      if (checked > CHECKED_AT_ONCE) return;
      this.buckets.delete(key);
      if (drained(bucket, bucket.perMinute, now) > 0) this.buckets.set(key, bucket);
    }
  }
}

/** A clock that was set back drains nothing until the bucket is written with its time. */
function drained({ level, at }: Bucket, perMinute: number, now: number): number {
  return Math.max(0, level - Math.max(0, now - at) * perMinute);
}

function withOwn({ perMinute, burst }: Rate, own: TenantSettings['rates']): Rate {
  const { requestsPerMinute, burst: ownBurst } = own ?? {};
  if (requestsPerMinute === undefined) return { perMinute, burst: ownBurst ?? burst };
  return { perMinute: requestsPerMinute, burst: ownBurst ?? defaultBurst(requestsPerMinute) };
}
