import {
  type Lease,
  type Swept,
  type TaskQueue,
  type Claim,
  type ClaimParams,
  type RenewParams,
  type SettleParams,
  type SettleResult,
  type SweepParams,
  type WakeParams,
  type WakeResult,
} from '@agent-orchestrator/core/storage';
import type { Claims } from './claims.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Sweeps } from './sweeps.js';

/** Settles tasks, by whichever path. */
interface Settles {
  settle(params: SettleParams): Promise<SettleResult>;
}

export class RedisTaskQueue implements TaskQueue {
  constructor(
    private readonly state: RedisState,
    private readonly claims: Claims,
    private readonly settlements: Settles,
    private readonly sweeps: Sweeps,
  ) {}

  claim(params: ClaimParams): Promise<readonly Claim[]> {
    return this.claims.claim(params);
  }

  async renew({ leases, leaseMs }: RenewParams): Promise<readonly Lease[]> {
    const byTenant = new Map<string, Lease[]>();
    for (const lease of leases) {
      const own = byTenant.get(lease.tenantId);
      if (own) own.push(lease);
      else byTenant.set(lease.tenantId, [lease]);
    }
    const lost = await Promise.all(
      [...byTenant].map(([tenantId, own]) => this.#renew(tenantId, own, leaseMs)),
    );
    for (const lease of lost.flat()) this.claims.released(lease);
    return lost.flat();
  }

  async #renew(tenantId: string, leases: readonly Lease[], leaseMs: number): Promise<readonly Lease[]> {
    const tasks = leases.flatMap(({ taskId, token, begun = false }) => [taskId, token, begun]);
    const request = { lease: leaseMs, tasks };
    const isLost = (await this.state.change(tenantId, 'renew', JSON.stringify(request))) as number[];
    return leases.filter((_, at) => isLost[at] === 1);
  }

  settle(params: SettleParams): Promise<SettleResult> {
    return this.settlements.settle(params);
  }

  async wake({ tenantId, taskId }: WakeParams): Promise<WakeResult> {
    return (await this.state.change(tenantId, 'wake', taskId)) as 'woken' | 'not_parked';
  }

  sweep({ max }: SweepParams): Promise<Swept> {
    return this.sweeps.sweep(max);
  }
}
