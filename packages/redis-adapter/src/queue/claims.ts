import type { Claim, ClaimParams, Lease } from '@agent-orchestrator/core/storage';
import {
  type FreshLease,
  readClaimed,
  type Taken,
  type TakenClaim,
  takenOf,
  type TakenReply,
} from './claimed-tasks.js';
import { type Pool, poolOf } from './pool.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Reply } from '../scripts/script-runner.js';
import { answerOf } from '../server/storage-errors.js';
import type { Tenants } from './rotations.js';
import { type Handover, WaitingClaim } from './long-poll.js';

/** Maximum of tasks of one tenant in a row, while others are ready too. */
const MAX_PER_TURN = 16;
/** Maximum of tasks in one claim: the worker starts on these while the server finds the next ones. */
const MAX_PER_CLAIM = 64;

type PooledClaim = ClaimParams & {
  readonly claimSlot: string;
  readonly begins: number;
  /** Whether the claim may include one task that has lost several workers in a row. */
  readonly maySuspect: boolean;
};

/** Claims tasks for workers: in one step where all is on one server, tenant by tenant on a Cluster. */
export class Claims {
  /** By worker: the one task it runs that has lost several leases before. */
  readonly #suspects = new Map<string, Lease>();
  /** Workers with a claim in flight that may include such a task. */
  readonly #mayGetSuspect = new Set<string>();
  /** By claim slot, on a Cluster: its last claim. */
  readonly #scans = new Map<string, ClaimScan>();

  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
  ) {}

  async claim(request: ClaimParams): Promise<readonly Claim[]> {
    this.state.checkOpen();
    const { workerId, claimSlot = workerId } = request;
    this.state.parts.wakeups.addWorker(workerId);
    const pool = poolOf(request.runs);
    await this.tenants.open(pool);
    await this.#checkSuspect(workerId);
    const otherMay = this.#mayGetSuspect.has(workerId);
    const maySuspect = !this.#suspects.has(workerId) && !otherMay;
    if (maySuspect) this.#mayGetSuspect.add(workerId);
    try {
      const max = Math.min(request.max, MAX_PER_CLAIM);
      const params = { ...request, claimSlot, max, begins: Math.min(request.begins ?? max, max), maySuspect };
      const claims = this.state.parts.isCluster
        ? await this.#claimInRotation(params, pool)
        : await this.#claimOrWait(params, pool);
      for (const { task, token, lost } of claims) {
        if (lost) this.#suspects.set(workerId, { tenantId: task.tenant_id, taskId: task.task_id, token });
      }
      // The other claim may have got no such task, and this one has left some for it.
      if (otherMay && claims.length < params.max) this.state.parts.wakeups.publish({ kind: 'ready' });
      return claims;
    } finally {
      if (maySuspect) this.#mayGetSuspect.delete(workerId);
    }
  }

  /** Its lease may have expired without the worker's knowledge. */
  async #checkSuspect(workerId: string): Promise<void> {
    const suspect = this.#suspects.get(workerId);
    if (!suspect) return;
    const { tenantId, taskId, token } = suspect;
    const changes = await this.state.run(tenantId, 'changesSince', taskId, token, Number.MAX_SAFE_INTEGER);
    if (changes === null) this.#suspects.delete(workerId);
  }

  /** A worker has settled a task, or lost it. */
  released({ taskId, token }: Lease): void {
    for (const [workerId, suspect] of this.#suspects) {
      if (suspect.taskId === taskId && suspect.token === token) this.#suspects.delete(workerId);
    }
  }

  forget(workerId: string): void {
    this.#suspects.delete(workerId);
    for (const [claimSlot, scan] of this.#scans)
      if (scan.workerId === workerId) this.#scans.delete(claimSlot);
  }

  /**
   * A repeat is the same claim, so the claim is repeated whenever the message of a task handover may have
   * been lost.
   */
  async #claimOrWait(params: PooledClaim, pool: Pool): Promise<readonly TakenClaim[]> {
    const { claimId, waitMs = 0, signal } = params;
    if (waitMs <= 0 || signal?.aborted) return this.#claimNow(params, pool);
    const waiting = new WaitingClaim(this.state.parts.wakeups, claimId, waitMs, signal);
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
    const request = { ...this.#request(params, pool), pool: pool.id, max_per_turn: MAX_PER_TURN, wait };
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
    if (isFull === 1) this.#wakeClaimers();
    const taken = (byTenant ?? []).map(([tenantId, ...found]) => takenOf(tenantId, ...found));
    return this.#read(taken, { token: params.claimId, at, begins: params.begins }, records);
  }

  /**
   * The claim left a task that exceeds its budget: a worker with fewer tasks than requested would not claim
   * again.
   */
  #wakeClaimers(): void {
    this.state.parts.wakeups.publish({ kind: 'ready' });
  }

  /** Many or large records are read separately: a script takes long over large texts. */
  async #read(
    taken: readonly Taken[],
    lease: FreshLease,
    included: readonly (string | null)[] | null | undefined,
  ): Promise<readonly TakenClaim[]> {
    const { client, keys } = this.state.parts;
    const wanted = taken.flatMap(({ tenantId, tasks }) =>
      tasks.map(([taskId]) => keys.task(tenantId, taskId)),
    );
    if (wanted.length === 0) return [];
    const records = included ?? (await answerOf(client.mget(wanted)));
    let read = 0;
    return taken.flatMap((each) => {
      const begins = lease.begins - read;
      return readClaimed(each, records.slice(read, (read += each.tasks.length)), { ...lease, begins });
    });
  }

  #request({ workerId, claimSlot, claimId, max, leaseMs, maySuspect, begins }: PooledClaim, pool: Pool) {
    return {
      worker: workerId,
      claim_slot: claimSlot,
      token: claimId,
      max,
      lease: leaseMs,
      runs: pool.runs,
      may_suspect: maySuspect,
      begins,
    };
  }

  async #claimInRotation(params: PooledClaim, pool: Pool): Promise<readonly TakenClaim[]> {
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
    if (scan.isFull) this.#wakeClaimers();
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
    const request = this.#request(params, pool);
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
      this.#read([taken], { token: params.claimId, at, begins }, records),
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

/** One scan of a tenant, on a Cluster. */
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

/** Rounds of one claim, on a Cluster. */
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
