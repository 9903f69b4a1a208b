/** A rate: `perMinute` on average, and up to `burst` at once after a pause. */
export interface Rate {
  readonly perMinute: number;
  readonly burst: number;
}

/** Params of `RateStore.lease`. */
export interface LeaseRateParams extends Rate {
  readonly tenantId: string;
  /** What is limited. For `REQUEST_RATE`, settings of the tenant replace `perMinute` and `burst`. */
  readonly name: string;
  readonly leaseId: string;
  readonly wanted: number;
}

/** Answer of `RateStore.lease`, with the rate in effect. */
export interface RateLease extends Rate {
  readonly granted: number;
  /** What others could get now. */
  readonly remaining: number;
  /** Time until there is one more to get, ms; 0: now. */
  readonly retryAfterMs: number;
}

/** Name of the rate of a tenant's requests. */
export const REQUEST_RATE = 'requests';
/** Leases of a rate that are remembered for a repeat. */
export const KEPT_LEASES = 16;
/** Parts of a minute's allowance: no lease is larger than one. */
const SLICES = 20;

/** Maximum of one lease: a twentieth of a minute's allowance, at least 1. */
export function maxLease(perMinute: number): number {
  return Math.max(1, Math.floor(perMinute / SLICES));
}

/** Burst of a rate without one: what it allows in ten seconds. */
export function defaultBurst(perMinute: number): number {
  return Math.max(1, Math.ceil(perMinute / 6));
}

/**
 * Allowances of tenants, shared by all processes. A process leases a part of one, and decides by itself while it lasts: so all
 * of them together admit `burst` and `perMinute`, and what each still had before.
 */
export interface RateStore {
  /**
   * Takes up to `wanted` of the allowance, at most `maxLease`. A repeat of a `leaseId` takes nothing more, among the last 16
   * leases of the rate. A storage of one process forgets allowances at its end: the burst is there again.
   */
  lease(params: LeaseRateParams): Promise<RateLease>;
}
