import {
  KEPT_LEASES,
  type LeaseRateParams,
  type RateLease,
  type RateStore,
  REQUEST_RATE,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';

/** Allowances in Redis, among the keys of their tenant, all of which expire. */
export class RedisRates implements RateStore {
  constructor(private readonly state: RedisState) {}

  async lease(params: LeaseRateParams): Promise<RateLease> {
    this.state.checkOpen();
    const { tenantId, name, leaseId, wanted } = params;
    const { scripts, keys } = this.state.parts;
    const hasSettings = name === REQUEST_RATE ? 1 : 0;
    const reply = await scripts.run(
      'leaseRate',
      [keys.rate(tenantId, name), keys.meta(tenantId)],
      [this.state.now, leaseId, params.perMinute, params.burst, wanted, hasSettings, KEPT_LEASES],
    );
    const [granted, remaining, retryAfterMs, perMinute, burst] = reply as [
      number,
      number,
      number,
      number,
      number,
    ];
    return { granted, remaining, retryAfterMs, perMinute, burst };
  }
}
