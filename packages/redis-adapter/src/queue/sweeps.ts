import { storageEvents, type Swept } from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';
import type { Tenants } from './rotations.js';

/** Maximum of concurrent sweeps. */
const CONCURRENCY = 16;
const TENANTS_PER_SWEEP = 1_000;
/** Lease of a tenant's sweep by one process; if that dies, others take over then. */
const SWEEPING_MS = 5_000;
/** Delay before the next sweep of a tenant with damaged keys. */
const DAMAGED_MS = 60_000;

/** Fires due timers: reads the tenants with some, then sweeps each. Every process may, at the same time. */
export class Sweeps {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
  ) {}

  get #isIndexedApart(): boolean {
    return !this.state.parts.topology.stepsSpanTenants;
  }

  async sweep(max: number): Promise<Swept> {
    this.state.checkOpen();
    const done: Record<string, number> = {};
    await this.state.applyPendingEffects();
    await this.tenants.reconcilePeriodically();
    let left = max;
    while (left > 0) {
      const [due, mark] = await this.#due(Math.min(TENANTS_PER_SWEEP, left));
      if (due.length === 0) break;
      for (let from = 0; from < due.length && left > 0; from += CONCURRENCY) {
        const some = due.slice(from, from + CONCURRENCY);
        const share = Math.max(1, Math.floor(left / some.length));
        const swept = await Promise.all(
          some.slice(0, left).map((tenantId) => this.#sweepTenant(tenantId, share, mark)),
        );
        for (const timers of swept) left -= addTo(done, Object.entries(timers).flat());
      }
      if (due.length < TENANTS_PER_SWEEP) break;
    }
    const [nextDueAt, now] = await this.#next();
    return { done, now, ...(nextDueAt !== undefined && { nextDueAt }) };
  }

  /**
   * Where the index of due times is not part of a sweep's step, it is set again after the sweep, without losing a
   * due time that others set meanwhile.
   */
  async #due(max: number): Promise<[string[], number]> {
    const sweepMs = this.#isIndexedApart ? SWEEPING_MS : 0;
    const reply = await this.state.runSystem('dueTenants', this.state.now, max, sweepMs);
    const [tenants, mark, lost] = reply as [string[], number, string[]];
    const { systemEvents } = this.state.parts;
    for (const worker of lost) systemEvents.publish(storageEvents.workerLost(worker));
    return [tenants, mark];
  }

  /**
   * Step by step, until nothing more is due, `max` timers have fired, or the steps are as many as there may
   * be timers.
   */
  async #sweepTenant(tenantId: string, max: number, mark: number): Promise<Record<string, number>> {
    const done: Record<string, number> = {};
    let left = max;
    let index: number | '' = '';
    for (let step = 0; step < max && left > 0; step += 1) {
      const swept = await this.tenants.isolated(tenantId, () => this.state.change(tenantId, 'sweep', left));
      if (swept === undefined) {
        await this.#postpone(tenantId, mark);
        return done;
      }
      const [timers, next, now] = swept as [(string | number)[], number | null, number];
      left -= addTo(done, timers);
      index = next ?? '';
      if (next === null || next > now) break;
    }
    if (this.#isIndexedApart) await this.state.runSystem('sweptTenant', tenantId, index, mark);
    return done;
  }

  /** A tenant with damaged keys is postponed, so that it blocks no other. */
  async #postpone(tenantId: string, mark: number): Promise<void> {
    const { client, keys } = this.state.parts;
    await answerOf(client.zadd(`${keys.system}due`, 'XX', mark + DAMAGED_MS, tenantId));
  }

  async #next(): Promise<[nextDueAt: number | undefined, now: number]> {
    const [at, now] = (await this.state.runSystem('nextDue', this.state.now)) as [string | null, number];
    return [at === null ? undefined : Number(at), now];
  }
}

function addTo(done: Record<string, number>, timers: readonly (string | number)[]): number {
  let sum = 0;
  for (let at = 0; at < timers.length; at += 2) {
    const kind = timers[at] as string;
    const times = Number(timers[at + 1]);
    done[kind] = (done[kind] ?? 0) + times;
    sum += times;
  }
  return sum;
}
