import type { Swept } from '@agent-orchestrator/core';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';
import type { Tenants } from './rotations.js';

/** So many tenants are swept at once. */
const AT_ONCE = 16;
const TENANTS_A_SWEEP = 1_000;
/** While a tenant is swept by one process, others leave it alone for so long; were that one to die, they take over then. */
const SWEEPING_MS = 5_000;
/** When a tenant is looked at again whose keys are damaged. */
const DAMAGED_MS = 60_000;

/** Does what is due: which tenants have something, and then one after the other. Every process may, at the same time. */
export class Sweeps {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
  ) {}

  async sweep(max: number): Promise<Swept> {
    this.state.checkOpen();
    const done: Record<string, number> = {};
    await this.state.applyPendingEffects();
    await this.tenants.reconcilePeriodically();
    let left = max;
    while (left > 0) {
      const [due, mark] = await this.#due(Math.min(TENANTS_A_SWEEP, left));
      if (due.length === 0) break;
      for (let from = 0; from < due.length && left > 0; from += AT_ONCE) {
        const some = due.slice(from, from + AT_ONCE);
        const share = Math.max(1, Math.floor(left / some.length));
        const swept = await Promise.all(
          some.slice(0, left).map((tenantId) => this.#sweepTenant(tenantId, share, mark)),
        );
        for (const timers of swept) left -= addTo(done, Object.entries(timers).flat());
      }
      if (due.length < TENANTS_A_SWEEP) break;
    }
    const [nextDueAt, now] = await this.#next();
    return { done, now, ...(nextDueAt !== undefined && { nextDueAt }) };
  }

  /** On a Cluster a tenant's index is set anew after its sweep, which must not lose what others schedule meanwhile. */
  async #due(most: number): Promise<[string[], number]> {
    const leftAlone = this.state.parts.isCluster ? SWEEPING_MS : 0;
    const reply = await this.state.runSystem('dueTenants', this.state.now, most, leftAlone);
    const [tenants, mark, lost] = reply as [string[], number, string[]];
    const { systemEvents } = this.state.parts;
    for (const worker of lost) systemEvents.tell('worker_lost', `worker ${worker} is lost`, { worker });
    return [tenants, mark];
  }

  /** Step by step, until nothing more is due, `most` timers are done, or the steps are as many as there may be timers. */
  async #sweepTenant(tenantId: string, most: number, mark: number): Promise<Record<string, number>> {
    const done: Record<string, number> = {};
    let left = most;
    let index: number | '' = '';
    for (let step = 0; step < most && left > 0; step += 1) {
      const swept = await this.tenants.apart(tenantId, () => this.state.change(tenantId, 'sweep', left));
      if (swept === undefined) {
        await this.#postpone(tenantId, mark);
        return done;
      }
      const [timers, next, now] = swept as [(string | number)[], number | null, number];
      left -= addTo(done, timers);
      index = next ?? '';
      if (next === null || next > now) break;
    }
    if (this.state.parts.isCluster) await this.state.runSystem('sweptTenant', tenantId, index, mark);
    return done;
  }

  /** A tenant whose keys are damaged is left alone for a while, so that it keeps the sweeper from nothing else. */
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
