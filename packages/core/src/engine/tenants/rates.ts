import type { Clock } from '../../runtime/clock.js';
import { type Bucket, levelAt, ONE, untilRoom } from '../../storage/bucket.js';
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

/** Buckets checked at each lease: more than it adds. */
const CHECKED_AT_ONCE = 2;

interface LeasedBucket extends Bucket {
  readonly perMinute: number;
  /** Granted by lease, oldest first. */
  readonly leases: ReadonlyMap<string, number>;
}

const EMPTY: LeasedBucket = { perMinute: 1, level: 0, at: 0, leases: new Map() };

/** Allowances of all tenants, in memory: whatever was used before a restart is not worth a write for each lease. */
export class RateBook {
  private readonly buckets = new Map<string, LeasedBucket>();

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
    const before = levelAt(bucket, perMinute, now);
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
      retryAfterMs: untilRoom(level, { perMinute, burst }),
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
      if (levelAt(bucket, bucket.perMinute, now) > 0) this.buckets.set(key, bucket);
    }
  }
}

function withOwn({ perMinute, burst }: Rate, own: TenantSettings['rates']): Rate {
  const { requestsPerMinute, burst: ownBurst } = own ?? {};
  if (requestsPerMinute === undefined) return { perMinute, burst: ownBurst ?? burst };
  return { perMinute: requestsPerMinute, burst: ownBurst ?? defaultBurst(requestsPerMinute) };
}
