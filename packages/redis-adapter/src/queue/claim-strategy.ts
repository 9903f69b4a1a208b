import type { ClaimParams } from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';
import { type FreshLease, readClaimed, type Taken, type TakenClaim } from './claimed-tasks.js';
import type { Pool } from './pool.js';

/** Maximum of tasks of one tenant in a row, while others are ready too. */
export const MAX_PER_TURN = 16;

export type PooledClaim = ClaimParams & {
  readonly claimSlot: string;
  readonly begins: number;
  /** Whether the claim may include one task that has lost several workers in a row. */
  readonly maySuspect: boolean;
};

/** How tasks are claimed in the order of the rotation: in one step, or tenant by tenant. */
export interface ClaimStrategy {
  claim(params: PooledClaim, pool: Pool): Promise<readonly TakenClaim[]>;
  forget(workerId: string): void;
}

/** Fields of a claim that the scripts use. */
export function requestOf(
  { workerId, claimSlot, claimId, max, leaseMs, maySuspect, begins, readsMessages = [] }: PooledClaim,
  pool: Pool,
) {
  return {
    worker: workerId,
    claim_slot: claimSlot,
    token: claimId,
    max,
    lease: leaseMs,
    runs: pool.runs,
    may_suspect: maySuspect,
    begins,
    ...(readsMessages.length > 0 && { reads: Object.fromEntries(readsMessages.map((type) => [type, 1])) }),
  };
}

/**
 * The claim left a task that exceeds its budget: a worker with fewer tasks than requested would not claim
 * again.
 */
export function wakeClaimers({ parts: { wakeups } }: RedisState): void {
  wakeups.publish({ kind: 'ready' });
}

/**
 * Many or large records are read separately: a script takes long over large texts.
 * @param included records that came with the claim, in the order of its tasks.
 */
export async function readTaken(
  state: RedisState,
  taken: readonly Taken[],
  lease: FreshLease,
  included: readonly (string | null)[] | null | undefined,
): Promise<readonly TakenClaim[]> {
  const { client, keys } = state.parts;
  const wanted = taken.flatMap(({ tenantId, tasks }) => tasks.map(([taskId]) => keys.task(tenantId, taskId)));
  if (wanted.length === 0) return [];
  const records = included ?? (await answerOf(client.mget(wanted)));
  let read = 0;
  return taken.flatMap((each) => {
    const begins = lease.begins - read;
    return readClaimed(each, records.slice(read, (read += each.tasks.length)), { ...lease, begins });
  });
}
