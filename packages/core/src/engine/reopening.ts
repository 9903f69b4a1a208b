import { storageEvents } from '../storage/system-events.js';
import type { ReopenParams } from './command.js';
import type { EngineState } from './engine-state.js';

/** A process opens the state that another one has left. */
export class Reopening {
  constructor(private readonly state: EngineState) {}

  /** Its limits count from now on. Followers, workers and computations were those of the process before: the leases end. */
  reopen({ limits, epoch, keepsWorkers }: ReopenParams): void {
    Object.assign(this.state.limits, limits);
    if (epoch !== undefined) this.state.renewEpoch(epoch);
    if (!keepsWorkers) {
      this.forgetWorkers();
      for (const entry of this.state.cache.computing()) this.state.cache.remove(entry);
    }
    for (const tenant of this.state.tenants.after(undefined)) {
      tenant.events.followers = 0;
      if (keepsWorkers) continue;
      for (const entry of tenant.leased.values()) {
        if (entry.lease) entry.lease.expiresAt = this.state.now();
        this.state.schedule('lease', this.state.now(), entry);
      }
    }
  }

  private forgetWorkers(): void {
    for (const workerId of this.state.workers.keys())
      this.state.publishSystemEvent(storageEvents.workerLost(workerId));
    this.state.workers.clear();
  }
}
