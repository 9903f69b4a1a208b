import { OrchestratorError } from '@agent-orchestrator/core';
import type { Pool } from './pool.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';

const RECONCILE_EVERY_MS = 60_000;
const TENANTS_A_PAGE = 500;
const AT_ONCE = 32;
const MOST_REMEMBERED = 1_000;

/** All tenants: pools of workers that begin to turn over them, and the reconcile that puts back what a crash has left out. */
export class Tenants {
  /** By pool: while it is opened, and when it was. */
  readonly #open = new Map<string, Promise<void>>();
  #nextReconcileAt = 0;
  #isReconcileDue = false;
  /** By tenant: when it was last said that its keys are damaged. */
  readonly #damagedAt = new Map<string, number>();

  constructor(private readonly state: RedisState) {}

  /** Makes sure that a pool has a rotation. A new one takes in whoever is ready already. */
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
    if ((await this.state.runSystem('openPool', this.state.now, pool.id)) === 1) await this.takeIn(pool);
  }

  /** Opens a pool again that was dropped, since none of its workers was heard of for long. */
  reopen(pool: Pool): Promise<void> {
    this.#open.delete(pool.id);
    return this.open(pool);
  }

  /** Whoever is ready stands in the rotation of a pool that is new. */
  async takeIn(pool: Pool): Promise<void> {
    const { client, keys } = this.state.parts;
    await this.reconcile();
    await answerOf(client.srem(`${keys.system}opening`, pool.id));
  }

  /** Once a minute, by one of all processes. */
  async reconcilePeriodically(): Promise<void> {
    const now = Date.now();
    if (now < this.#nextReconcileAt) return;
    this.#nextReconcileAt = now + RECONCILE_EVERY_MS / 4;
    const { client, keys } = this.state.parts;
    // Without room there is no reconcile, and everything else goes on.
    await this.state.parts.database.check();
    const mine = await client
      .set(`${keys.system}reconcile`, 1, 'PX', RECONCILE_EVERY_MS, 'NX')
      .catch(() => null);
    if (mine !== 'OK' && !this.#isReconcileDue) return;
    this.#isReconcileDue = false;
    await this.reconcile();
  }

  /** With the next sweep, whoever else has walked: a connection was lost, and with it perhaps what a step has left to do. */
  reconcileSoon(): void {
    this.#isReconcileDue = true;
    this.#nextReconcileAt = 0;
  }

  /** Puts every tenant back into the rotations and the index of due times. */
  async reconcile(): Promise<void> {
    for await (const page of this.pages()) {
      for (let from = 0; from < page.length; from += AT_ONCE) {
        const some = page.slice(from, from + AT_ONCE);
        await Promise.all(some.map((id) => this.apart(id, () => this.state.change(id, 'reconcileTenant'))));
      }
    }
  }

  /**
   * What is done for one tenant of many: a tenant whose keys are damaged stops none of the others. Operators are told.
   * @returns nothing when it failed because of that tenant.
   */
  async apart<T>(tenantId: string, step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code === 'storage_unavailable') throw error;
      this.#reportDamage(tenantId, error);
      return undefined;
    }
  }

  #reportDamage(tenantId: string, { message }: OrchestratorError): void {
    const now = Date.now();
    if (now - (this.#damagedAt.get(tenantId) ?? 0) < RECONCILE_EVERY_MS) return;
    if (this.#damagedAt.size >= MOST_REMEMBERED) this.#damagedAt.clear();
    this.#damagedAt.set(tenantId, now);
    this.state.parts.systemEvents.tell('tenant_damaged', `tenant ${tenantId}: ${message}`, {
      tenant: tenantId,
    });
  }

  /** The ids of all tenants that were heard of, in their order. */
  async *pages(after?: string, size = TENANTS_A_PAGE): AsyncGenerator<string[]> {
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
