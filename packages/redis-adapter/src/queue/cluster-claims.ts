import type { RedisState } from '../scripts/tenant-steps.js';
import {
  type ClaimStrategy,
  MAX_PER_TURN,
  type PooledClaim,
  readTaken,
  requestOf,
  wakeClaimers,
} from './claim-strategy.js';
import { type TakenClaim, takenOf, type TakenReply } from './claimed-tasks.js';
import type { Pool } from './pool.js';
import type { Tenants } from './rotations.js';

/** Claims tenant by tenant, where the rotation may be on another node than they are. */
export class ClusterClaims implements ClaimStrategy {
  /** By claim slot: its last claim. */
  readonly #scans = new Map<string, ClaimScan>();

  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
  ) {}

  forget(workerId: string): void {
    for (const [claimSlot, scan] of this.#scans)
      if (scan.workerId === workerId) this.#scans.delete(claimSlot);
  }

  async claim(params: PooledClaim, pool: Pool): Promise<readonly TakenClaim[]> {
    const scan = await this.#scanOf(params, pool);
    while (!scan.over && !scan.isFull && scan.claims.size < params.max) {
      const room = params.max - scan.claims.size;
      const wanted = scan.drained.size + Math.ceil(room / MAX_PER_TURN);
      const next = await this.#nextTenants(pool, wanted, scan.charges);
      scan.charges = [];
      const shares = sharesOf(
        next.filter((tenant) => !scan.drained.has(tenant)),
        next.length === 1 ? room : MAX_PER_TURN,
        room,
      );
      if (shares.length === 0) break;
      const rounds = await Promise.all(
        // At most one task that has lost several workers: only the first of the concurrent scans may return
        // one.
        shares.map(({ tenantId, max, before }, at) => {
          const round = (scan.rounds.get(tenantId) ?? 0) + 1;
          const begins = Math.max(0, Math.min(max, params.begins - scan.claims.size - before));
          const bytes = Math.floor(scan.bytesLeft / shares.length);
          // The first task comes with a claim whatever its size.
          const hasSome = at > 0 || scan.claims.size > 0;
          const how = { max, begins, round, maySuspect: at === 0, bytes, hasSome };
          return this.#claimFromTenant(tenantId, how, scan, params, pool);
        }),
      );
      for (const { tenantId, taken, isEmpty, generation, weight, bytes, isFull } of rounds) {
        scan.bytesLeft -= bytes;
        // A tenant that exceeds the budget of an empty claim has the next turn.
        scan.isFull ||= isFull && scan.claims.size > 0;
        scan.charges.push(tenantId, taken / weight, isEmpty ? generation : '');
        if (taken === 0 || isEmpty) scan.drained.add(tenantId);
      }
    }
    if (scan.isFull) wakeClaimers(this.state);
    // Not awaited: if it is lost, the next rounds charge the tenants again.
    if (scan.charges.length > 0)
      this.state.runSystem('advanceRotation', pool.id, 1, ...scan.charges).catch(() => {});
    scan.charges = [];
    scan.over = true;
    return [...scan.claims.values()];
  }

  async #nextTenants(pool: Pool, wanted: number, charges: ClaimScan['charges']): Promise<readonly string[]> {
    const ask = () =>
      this.state.runSystem('advanceRotation', pool.id, wanted, ...charges) as Promise<string[] | null>;
    const next = await ask();
    if (next) return next;
    await this.tenants.reopen(pool);
    return (await ask()) ?? [];
  }

  /** State of a claim: a repeat gets its tasks again, and continues only if it was unfinished. */
  async #scanOf(params: PooledClaim, pool: Pool): Promise<ClaimScan> {
    const before = this.#scans.get(params.claimSlot);
    if (before?.claimId !== params.claimId) {
      const scan: ClaimScan = {
        workerId: params.workerId,
        claimId: params.claimId,
        rounds: new Map(),
        drained: new Set(),
        claims: new Map(),
        charges: [],
        bytesLeft: this.state.parts.limits.pageBytes,
        isFull: false,
        over: false,
      };
      this.#scans.set(params.claimSlot, scan);
      return scan;
    }
    before.claims.clear();
    await Promise.all(
      [...before.rounds].map(([tenantId, round]) =>
        this.#claimFromTenant(
          tenantId,
          { max: params.max, begins: 0, round, maySuspect: false, bytes: 0, hasSome: true },
          before,
          params,
          pool,
        ),
      ),
    );
    return before;
  }

  async #claimFromTenant(
    tenantId: string,
    { max, begins, round, maySuspect, bytes, hasSome }: TenantClaim,
    scan: ClaimScan,
    params: PooledClaim,
    pool: Pool,
  ) {
    scan.rounds.set(tenantId, round);
    const request = requestOf(params, pool);
    const may_suspect = request.may_suspect && maySuspect && !hasSuspect(scan);
    const own = { max, begins, round, may_suspect, bytes, has_some: hasSome };
    const json = JSON.stringify({ ...request, ...own });
    const reply = await this.tenants.isolated(tenantId, () =>
      this.state.run(tenantId, 'claimFromTenant', json),
    );
    if (reply === undefined)
      return { tenantId, taken: 0, isEmpty: true, generation: '', weight: 1, bytes: 0, isFull: false };
    const [at, version, found, more, generation, weight, due, records, isFull, taking = 0] = reply as [
      number,
      ...TakenReply,
      number,
      string | null,
      string | null,
      number | null,
      ((string | null)[] | null)?,
      (1 | null)?,
      number?,
    ];
    const taken = takenOf(tenantId, version, found);
    const [read] = await Promise.all([
      readTaken(this.state, [taken], { token: params.claimId, at, begins }, records),
      due !== null && this.state.after(tenantId, [['due', due]], due),
    ]);
    for (const claim of read) scan.claims.set(claim.task.task_id, claim);
    const isEmpty = more === 0;
    return {
      tenantId,
      taken: taken.tasks.length,
      isEmpty,
      generation: generation ?? '0',
      weight: Number(weight ?? 1),
      bytes: taking,
      isFull: isFull === 1,
    };
  }
}

/** One scan of a tenant. */
interface TenantClaim {
  readonly max: number;
  readonly begins: number;
  readonly round: number;
  readonly maySuspect: boolean;
  /** Budget for large tasks. */
  readonly bytes: number;
  /** Whether the claim has a task already, so that this scan need not return one above the budget. */
  readonly hasSome: boolean;
}

/** Rounds of one claim. */
interface ClaimScan {
  readonly workerId: string;
  readonly claimId: string;
  /** By tenant: number of scans. */
  readonly rounds: Map<string, number>;
  /** Tenants that have nothing more for this claim. */
  readonly drained: Set<string>;
  readonly claims: Map<string, TakenClaim>;
  /** Charges for the rotation, see its script. */
  charges: (string | number)[];
  /** Remaining budget for large tasks; `isFull` when a task was left because of it. */
  bytesLeft: number;
  isFull: boolean;
  over: boolean;
}

function hasSuspect({ claims }: ClaimScan): boolean {
  for (const { lost } of claims.values()) if (lost) return true;
  return false;
}

function sharesOf(tenants: readonly string[], share: number, max: number) {
  let room = max;
  const shares: { readonly tenantId: string; readonly max: number; readonly before: number }[] = [];
  for (const tenantId of tenants) {
    const own = Math.min(share, room);
    if (own <= 0) break;
    shares.push({ tenantId, max: own, before: max - room });
    room -= own;
  }
  return shares;
}
