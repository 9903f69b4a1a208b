import { Fifo } from '../runtime/fifo.js';
import type { Claim } from '../storage/task-queue.js';

/** A class, since V8 may allocate literals in old space, where only a full collection frees them and all that they refer to. */
class PrefetchedClaim implements NextClaim {
  /** A wakeup for the task was received. */
  notified = false;

  constructor(
    readonly claim: Claim,
    readonly since: number,
    readonly leasedUntil: number,
  ) {}
}

/** When a claim has arrived, and how long its leases last at least; epoch ms. */
interface ClaimTimes {
  readonly since: number;
  readonly leasedUntil: number;
}

/** A claim for a free slot; `notified`: a wakeup for its task was received meanwhile. */
export interface NextClaim extends Pick<ClaimTimes, 'leasedUntil'> {
  readonly claim: Claim;
  readonly notified: boolean;
}

/** Maximum amount of prefetched work; more would withhold tasks from workers with free slots. */
const MAX_AHEAD_MS = 20;
/** Weight of the newest run in the moving average of durations. */
const NEWEST_WEIGHT = 0.05;
/**
 * Claims waiting in this worker for a slot, so that the next task is available when one ends. Their number adapts to the
 * duration of tasks: hundreds for a fraction of a millisecond, none for seconds.
 */
export class PrefetchedClaims {
  readonly #queue = new Fifo<PrefetchedClaim>();
  #averageMs: number | undefined;

  /**
   * @param max maximum of waiting claims.
   * @param slots maximum of concurrently running tasks.
   */
  constructor(
    private readonly max: number,
    private readonly slots: number,
  ) {}

  get size(): number {
    return this.#queue.size;
  }

  /** Maximum of waiting claims at the current average duration. */
  get capacity(): number {
    if (this.max === 0 || this.#averageMs === undefined) return 0;
    const worthwhile = Math.floor((this.slots * MAX_AHEAD_MS) / Math.max(this.#averageMs, 0.01));
    return Math.min(this.max, worthwhile);
  }

  /** Records the duration of a run. */
  recordDuration(ms: number): void {
    const before = this.#averageMs;
    this.#averageMs = before === undefined ? ms : before + (ms - before) * NEWEST_WEIGHT;
  }

  add(claim: Claim, { since, leasedUntil }: ClaimTimes): void {
    this.#queue.push(new PrefetchedClaim(claim, since, leasedUntil));
  }

  onWakeup({ tenantId, taskId }: { readonly tenantId: string; readonly taskId: string }): void {
    for (const waiting of this.#queue) {
      const { task } = waiting.claim;
      if (task.task_id === taskId && task.tenant_id === tenantId) waiting.notified = true;
    }
  }

  /** Removes the oldest claim. */
  next(): NextClaim | undefined {
    return this.#queue.shift();
  }

  /** Removes claims added at or before `since`, epoch ms. */
  takeOlder(since: number): readonly Claim[] {
    const taken: Claim[] = [];
    for (let first = this.#queue.first; first && first.since <= since; first = this.#queue.first) {
      this.#queue.shift();
      taken.push(first.claim);
    }
    return taken;
  }
}
