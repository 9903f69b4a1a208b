import type { Reply } from '../scripts/script-runner.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import {
  type ClaimStrategy,
  MAX_PER_TURN,
  type PooledClaim,
  readTaken,
  requestOf,
  wakeClaimers,
} from './claim-strategy.js';
import { readClaimed, type TakenClaim, takenOf, type TakenReply } from './claimed-tasks.js';
import { type Handover, WaitingClaim } from './long-poll.js';
import type { Pool } from './pool.js';
import type { Tenants } from './rotations.js';

/** Claims in one step, where the rotation is on the server of all tenants. An empty claim may wait for a task. */
export class OneServerClaims implements ClaimStrategy {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
  ) {}

  /**
   * A repeat is the same claim, so the claim is repeated whenever the message of a task handover may have
   * been lost.
   */
  async claim(params: PooledClaim, pool: Pool): Promise<readonly TakenClaim[]> {
    const { claimId, waitMs = 0, signal } = params;
    if (waitMs <= 0 || signal?.aborted) return this.#claimNow(params, pool);
    const waiting = new WaitingClaim(this.state.parts, claimId, waitMs, signal);
    try {
      for (;;) {
        waiting.forgetWakeups();
        const claims = await this.#claimNow(params, pool, waitMs);
        if (claims.length > 0) return claims;
        const outcome = await waiting.next();
        if (outcome === 'claim') continue;
        if (outcome !== 'timeout') return this.#takeHandover(params, outcome);
        // A stopping worker only takes a task that was handed over already.
        return await this.#claimNow(signal?.aborted ? { ...params, max: 0 } : params, pool);
      }
    } finally {
      waiting.unsubscribe();
    }
  }

  #takeHandover({ claimId }: PooledClaim, handover: Handover): readonly TakenClaim[] {
    const { at, expires, tenantId, version, taskId, record } = handover;
    this.state.parts.wakeups.publish({ kind: 'timer', at: expires });
    const tasks = [[taskId, version] as const];
    return readClaimed({ tenantId, tasks }, [record], { token: claimId, at, begins: 1 });
  }

  /** @param wait ms for which an empty claim waits for a task handover. */
  async #claimNow(params: PooledClaim, pool: Pool, wait?: number) {
    const request = { ...requestOf(params, pool), pool: pool.id, max_per_turn: MAX_PER_TURN, wait };
    const ask = () =>
      this.state.runSystem('claim', this.state.now, JSON.stringify(request)) as Promise<Reply[]>;
    let reply = await ask();
    if (reply[1] === null) {
      await this.tenants.reopen(pool);
      reply = await ask();
    }
    const [at, byTenant, expires, records, isFull] = reply as [
      number,
      [string, ...TakenReply][] | null,
      number?,
      ((string | null)[] | null)?,
      (1 | null)?,
    ];
    if (expires !== undefined) this.state.parts.wakeups.publish({ kind: 'timer', at: expires });
    if (isFull === 1) wakeClaimers(this.state);
    const taken = (byTenant ?? []).map(([tenantId, ...found]) => takenOf(tenantId, ...found));
    return readTaken(this.state, taken, { token: params.claimId, at, begins: params.begins }, records);
  }

  forget(): void {}
}
