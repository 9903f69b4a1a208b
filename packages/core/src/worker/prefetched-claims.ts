import type { Claim } from '../storage/task-queue.js';

/** A class, since V8 may allocate literals in old space, where only a full collection frees them and all that they refer to. */
class PrefetchedClaim {
  /** A wakeup for the task was received. */
  notified = false;

  /** @param since epoch ms. */
  constructor(
    readonly claim: Claim,
    readonly since: number,
  ) {}
}

/** Maximum amount of prefetched work; more would withhold tasks from workers with free slots. */
const MAX_AHEAD_MS = 20;
/** Weight of the newest run in the moving average of durations. */
const NEWEST_WEIGHT = 0.05;
/** Number of removed entries at the front after which the queue is compacted. */
const COMPACT_AFTER = 1_024;

/**
 * Claims waiting in this worker for a slot, so that the next task is available when one ends. Their number adapts to the
 * duration of tasks: hundreds for a fraction of a millisecond, none for seconds.
 */
export class PrefetchedClaims {
  /** FIFO; entries before `#first` are removed. */
  readonly #queue: (PrefetchedClaim | undefined)[] = [];
  #first = 0;
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
    return this.#queue.length - this.#first;
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

  add(claim: Claim, now: number): void {
    if (this.#first >= COMPACT_AFTER) {
      this.#queue.splice(0, this.#first);
      this.#first = 0;
    }
    this.#queue.push(new PrefetchedClaim(claim, now));
  }

  onWakeup({ tenantId, taskId }: { readonly tenantId: string; readonly taskId: string }): void {
    for (let at = this.#first; at < this.#queue.length; at += 1) {
      const waiting = this.#queue[at];
      const task = waiting?.claim.task;
      if (waiting && task?.task_id === taskId && task.tenant_id === tenantId) waiting.notified = true;
    }
  }

  /** Removes the oldest claim. */
  next(): { readonly claim: Claim; readonly notified: boolean } | undefined {
    const next = this.#queue[this.#first];
    if (!next) return undefined;
    this.#queue[this.#first] = undefined;
    this.#first += 1;
    if (this.#first === this.#queue.length) this.#first = this.#queue.length = 0;
    return next;
  }

  /** Removes claims added at or before `since`, epoch ms. */
  takeOlder(since: number): readonly Claim[] {
    const taken: Claim[] = [];
    for (;;) {
      const first = this.#queue[this.#first];
      if (!first || first.since > since) return taken;
      this.next();
      taken.push(first.claim);
    }
  }
}
