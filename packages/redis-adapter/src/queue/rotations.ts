import { OrchestratorError } from '@agent-orchestrator/core';
import type { Pool } from './pool.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';

const RECONCILE_EVERY_MS = 60_000;
const TENANTS_PER_PAGE = 500;
const CONCURRENCY = 32;
const MAX_REMEMBERED = 1_000;

/** All tenants: new pools with their rotations, and the reconcile that repairs them after a crash. */
export class Tenants {
  /** By pool: its opening, in progress or done. */
  readonly #open = new Map<string, Promise<void>>();
  /** Monotonic ms. */
  #nextReconcileAt = Number.NEGATIVE_INFINITY;
  #isReconcileDue = false;
  /** By tenant: last report of its damaged keys, monotonic ms. */
  readonly #damagedAt = new Map<string, number>();

  constructor(private readonly state: RedisState) {}

  /** Ensures that a pool has a rotation. A new one gets all ready tenants. */
  open(pool: Pool): Promise<void> {
    let opening = this.#open.get(pool.id);
    if (!opening) {
      opening = this.#openPool(pool).catch((error: unknown) => {
        this.#open.delete(pool.id);
        throw error;
      });
      this.#open.set(pool.id, opening);
    }
    return opening;
  }

  async #openPool(pool: Pool): Promise<void> {
    if ((await this.state.runSystem('openPool', this.state.now, pool.id)) === 1)
      await this.addReadyTenants(pool);
  }

  /** Opens a pool again that was dropped, since none of its workers was announced for long. */
  reopen(pool: Pool): Promise<void> {
    this.#open.delete(pool.id);
    return this.open(pool);
  }

  /** Adds all ready tenants to the rotation of a new pool. */
  async addReadyTenants(pool: Pool): Promise<void> {
    const { client, keys } = this.state.parts;
    await this.reconcile();
    await answerOf(client.srem(`${keys.system}opening`, pool.id));
  }

  /** Once a minute, by one of all processes. */
  async reconcilePeriodically(): Promise<void> {
    const now = this.state.parts.timers.monotonic();
    if (now < this.#nextReconcileAt) return;
    this.#nextReconcileAt = now + RECONCILE_EVERY_MS / 4;
    const { client, keys } = this.state.parts;
    // Without room there is no reconcile, and everything else continues.
    await this.state.parts.database.check();
    const mine = await client
      .set(`${keys.system}reconcile`, 1, 'PX', RECONCILE_EVERY_MS, 'NX')
      .catch(() => null);
    if (mine !== 'OK' && !this.#isReconcileDue) return;
    this.#isReconcileDue = false;
    await this.reconcile();
  }

  /**
   * With the next sweep, in spite of other processes: a connection was lost, and with it perhaps effects of a
   * step.
   */
  reconcileSoon(): void {
    this.#isReconcileDue = true;
    this.#nextReconcileAt = Number.NEGATIVE_INFINITY;
  }

  /** Puts every tenant back into the rotations and the index of due times. */
  async reconcile(): Promise<void> {
    for await (const page of this.pages()) {
      for (let from = 0; from < page.length; from += CONCURRENCY) {
        const some = page.slice(from, from + CONCURRENCY);
        await Promise.all(
          some.map((id) => this.isolated(id, () => this.state.change(id, 'reconcileTenant'))),
        );
      }
    }
  }

  /**
   * Runs a step for one tenant of many: a tenant with damaged keys stops no other, and is reported to
   * operators.
   * @returns nothing when the step failed because of that tenant.
   */
  async isolated<T>(tenantId: string, step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code !== 'internal_error') throw error;
      this.#reportDamage(tenantId, error);
      return undefined;
    }
  }

  #reportDamage(tenantId: string, { message }: OrchestratorError): void {
    const now = this.state.parts.timers.monotonic();
    if (now - (this.#damagedAt.get(tenantId) ?? Number.NEGATIVE_INFINITY) < RECONCILE_EVERY_MS) return;
    if (this.#damagedAt.size >= MAX_REMEMBERED) this.#damagedAt.clear();
    this.#damagedAt.set(tenantId, now);
    this.state.parts.systemEvents.publish({
      kind: 'tenant_damaged',
      text: `tenant ${tenantId}: ${message}`,
      fields: { tenant: tenantId },
    });
  }

  /** Ids of all known tenants, in order. */
  async *pages(after?: string, size = TENANTS_PER_PAGE): AsyncGenerator<string[]> {
    const { client, keys } = this.state.parts;
    let from = after === undefined ? '-' : `(${after}`;
    for (;;) {
      const page = await answerOf(client.zrangebylex(`${keys.system}tenants`, from, '+', 'LIMIT', 0, size));
      if (page.length === 0) return;
      yield page;
      from = `(${page.at(-1) ?? ''}`;
    }
  }
}
