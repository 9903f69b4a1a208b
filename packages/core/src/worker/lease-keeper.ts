import { type Clock, pause } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { DEFAULTS } from '../protocol/settings.js';
import { messageOf } from '../protocol/thrown.js';
import type { Storage } from '../storage/storage.js';
import type { Lease } from '../storage/task-queue.js';
import type { WorkflowRun } from '../workflows/workflow-run.js';
import { Loop } from '../runtime/background-loop.js';

/** Maximum interval between announcements, whatever the lease: types that are not announced become unknown. */
const ANNOUNCE_MS = DEFAULTS.unknownWorkflowAfterMs / 4;

/** Renews the leases of a worker's runs, announces the worker, and abandons runs whose lease is lost. */
export class LeaseKeeper {
  readonly #loop = new Loop((signal) => this.#keep(signal));

  constructor(
    private readonly ports: { readonly storage: Storage; readonly clock: Clock; readonly logger: Logger },
    private readonly settings: { readonly leaseMs: number; readonly renewMs: number },
    private readonly worker: { held(): readonly WorkflowRun[]; announce(): Promise<void> },
  ) {}

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #keep(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.ports.clock, Math.min(this.settings.renewMs, ANNOUNCE_MS), signal);
      if (signal.aborted) return;
      try {
        await this.#renew();
        await this.worker.announce();
      } catch (error) {
        this.#report(error);
      }
    }
  }

  /** Reports that a prefetched run has begun. If that fails, the next renewal reports it. */
  async reportBegun(run: WorkflowRun): Promise<void> {
    const { leaseMs } = this.settings;
    const leasedUntil = this.ports.clock.now() + leaseMs;
    await this.ports.storage.queue.renew({ leases: [leaseOf(run)], leaseMs }).then(
      (lost) => {
        if (lost.length > 0) run.abandon();
        else run.leaseTerm.extend(leasedUntil);
      },
      (error: unknown) => this.#report(error),
    );
  }

  #report(error: unknown): void {
    this.ports.logger.error('lease keeper: renewal failed', { error: messageOf(error) });
  }

  async #renew(): Promise<void> {
    const runs = this.worker.held();
    if (runs.length === 0) return;
    const byLease = new Map(runs.map((run) => [leaseOf(run), run]));
    const leases = [...byLease.keys()];
    const { leaseMs } = this.settings;
    const leasedUntil = this.ports.clock.now() + leaseMs;
    const lost = await this.ports.storage.queue.renew({ leases, leaseMs });
    const isLost = new Set(lost.map(({ tenantId, taskId }) => `${tenantId}/${taskId}`));
    for (const [{ tenantId, taskId }, run] of byLease) {
      if (isLost.has(`${tenantId}/${taskId}`)) run.abandon();
      else {
        run.leaseTerm.extend(leasedUntil);
        // Wakeups may be lost, so runs also poll for changes.
        run.onWakeup();
      }
    }
  }
}

function leaseOf({ claim }: WorkflowRun): Lease {
  return { tenantId: claim.task.tenant_id, taskId: claim.task.task_id, token: claim.token, begun: true };
}
