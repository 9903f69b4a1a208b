import { randomUUID } from 'node:crypto';
import { type Clock, OrchestratorError } from '@agent-orchestrator/core';
import { atMost } from '@agent-orchestrator/core/server';
import { maxLease, type Rate, type RateLease, REQUEST_RATE } from '@agent-orchestrator/core/storage';
import type { RateState } from './rate-state.js';

/** Leases a part of a tenant's allowance, as `RateStore.lease`. */
export type LeaseRate = (
  tenantId: string,
  params: Rate & { readonly name: string; readonly leaseId: string; readonly wanted: number },
) => Promise<RateLease>;

/** A lease, and a refusal, count for so long, ms: so changed settings of a tenant apply soon. */
const FRESH_MS = 5_000;
/** Wait for the storage, ms. */
const LEASE_MS = 2_000;
/** The storage is not asked again for so long after a failure, ms. */
const AWAY_MS = 1_000;
/** Leases are made to last about this long, ms. */
const SHORT_MS = 1_000;
const LONG_MS = 2_000;
/** Leases that one request waits for. */
const MAX_WAITS = 100;
const MAX_TENANTS = 10_000;

/** What this process knows of a tenant's allowance. */
interface Allowance {
  /** In effect at the last lease. */
  rate: Rate;
  /** Of the last lease. */
  left: number;
  /** At the storage, after the last lease. */
  elsewhere: number;
  /** Time of the last lease; `undefined` before the first. */
  leasedAt: number | undefined;
  refusedUntil: number;
  /** Size of the next lease. */
  size: number;
  waiting: number;
  pending: Promise<void> | undefined;
}

/**
 * Limit of the requests of each tenant, over all processes on a storage. A process leases a slice of the allowance and decides
 * by itself while it lasts. The slices follow the demand, so that little is left unused, up to a twentieth of a minute's
 * allowance. Without the storage the last slice is used up; then requests are refused with `storage_unavailable`.
 */
export class TenantRates {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #lease: LeaseRate;
  readonly #maxTenants: number;
  /** Least recently used first. */
  readonly #allowances = new Map<string, Allowance>();
  #awayUntil = Number.NEGATIVE_INFINITY;

  constructor(
    rate: Rate,
    {
      clock,
      lease,
      maxTenants = MAX_TENANTS,
    }: { readonly clock: Clock; readonly lease: LeaseRate; readonly maxTenants?: number },
  ) {
    this.#rate = rate;
    this.#clock = clock;
    this.#lease = lease;
    this.#maxTenants = maxTenants;
  }

  /** Number of tenants that are remembered. */
  get size(): number {
    return this.#allowances.size;
  }

  /**
   * Counts a request, unless it is beyond the limit.
   *
   * @throws {OrchestratorError} `storage_unavailable` when nothing is left and the storage does not answer.
   */
  async take(tenantId: string): Promise<RateState> {
    const allowance = this.#allowanceOf(tenantId);
    for (let waits = 0; waits < MAX_WAITS; waits += 1) {
      const decided = this.#decide(allowance);
      if (decided) return decided;
      allowance.waiting += 1;
      try {
        allowance.pending ??= this.#renew(tenantId, allowance);
        await allowance.pending;
      } finally {
        allowance.waiting -= 1;
      }
    }
    return stateOf(allowance, false, SHORT_MS);
  }

  /** `undefined`: the storage has to be asked. */
  #decide(allowance: Allowance): RateState | undefined {
    const now = this.#clock.monotonic();
    const isFresh = allowance.leasedAt !== undefined && now - allowance.leasedAt < FRESH_MS;
    const isAway = now < this.#awayUntil;
    if (allowance.left > 0 && (isFresh || isAway)) {
      allowance.left -= 1;
      return stateOf(allowance, true, 0);
    }
    if (isFresh && now < allowance.refusedUntil)
      return stateOf(allowance, false, allowance.refusedUntil - now);
    if (!isAway) return undefined;
    throw new OrchestratorError(
      'storage_unavailable',
      'the requests of the tenant cannot be counted: the storage does not answer',
      { retryAfterMs: this.#awayUntil - now },
    );
  }

  async #renew(tenantId: string, allowance: Allowance): Promise<void> {
    try {
      const { rate, waiting } = allowance;
      const wanted = Math.min(maxLease(rate.perMinute), Math.max(this.#sizeOfNext(allowance), waiting, 1));
      const params = { ...this.#rate, name: REQUEST_RATE, leaseId: randomUUID(), wanted };
      // A storage that throws at once is one that rejects.
      const leasing = Promise.resolve().then(() => this.#lease(tenantId, params));
      const settled = leasing.then(
        () => undefined,
        () => undefined,
      );
      if (await atMost(this.#clock, LEASE_MS, settled)) this.#leased(allowance, await leasing);
      else this.#awayUntil = this.#clock.monotonic() + AWAY_MS;
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code !== 'storage_unavailable') throw error;
      this.#awayUntil = this.#clock.monotonic() + AWAY_MS;
    } finally {
      allowance.pending = undefined;
    }
  }

  #leased(allowance: Allowance, { granted, remaining, retryAfterMs, perMinute, burst }: RateLease): void {
    const now = this.#clock.monotonic();
    allowance.rate = { perMinute, burst };
    allowance.left = granted;
    allowance.elsewhere = remaining;
    allowance.leasedAt = now;
    allowance.refusedUntil = granted > 0 ? now : now + Math.max(1, retryAfterMs);
  }

  /** Twice as much if the last one was used up soon, half if it was not for long. */
  #sizeOfNext(allowance: Allowance): number {
    const { leasedAt, left, size, rate } = allowance;
    if (leasedAt === undefined) return size;
    const lasted = this.#clock.monotonic() - leasedAt;
    if (left === 0 && lasted < SHORT_MS) allowance.size = Math.min(size * 2, maxLease(rate.perMinute));
    else if (lasted > LONG_MS) allowance.size = Math.max(1, Math.floor(size / 2));
    return allowance.size;
  }

  #allowanceOf(tenantId: string): Allowance {
    const allowance = this.#allowances.get(tenantId) ?? {
      rate: this.#rate,
      left: 0,
      elsewhere: this.#rate.burst,
      leasedAt: undefined,
      refusedUntil: Number.NEGATIVE_INFINITY,
      size: 1,
      waiting: 0,
      pending: undefined,
    };
    this.#allowances.delete(tenantId);
    this.#allowances.set(tenantId, allowance);
    const now = this.#clock.monotonic();
    for (const [id, { leasedAt = now }] of this.#allowances) {
      if (this.#allowances.size <= this.#maxTenants && now - leasedAt < 60_000) break;
      if (id !== tenantId) this.#allowances.delete(id);
      else break;
    }
    return allowance;
  }
}

function stateOf({ rate, left, elsewhere }: Allowance, isAllowed: boolean, retryAfterMs: number): RateState {
  const remaining = isAllowed ? Math.min(rate.burst, left + elsewhere) : 0;
  return { ...rate, isAllowed, remaining, retryAfterMs };
}
