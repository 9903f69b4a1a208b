import type { Claim } from '../storage/task-queue.js';

/** A class, since V8 may allocate literals where only a full collection finds them, with all that they refer to. */
class Waiting {
  /** Something happened to the task meanwhile. */
  notified = false;

  /** @param since in milliseconds since 1970. */
  constructor(
    readonly claim: Claim,
    readonly since: number,
  ) {}
}

/** What is claimed prefetched is work for so long at most: more would only keep it from workers that are free. */
const AHEAD_MS = 20;
/** How much the newest run counts in the average. */
const NEWEST = 0.05;
/** The line is moved up when so many have left its beginning. */
const LEFT = 1_024;

/**
 * Claims that wait in this worker for a slot, so that the next task is there when one ends. How many adapts to how long
 * tasks take: hundreds where they take a fraction of a millisecond, none where they take seconds.
 */
export class PrefetchedClaims {
  /** Those before `#first` have left. */
  readonly #line: (Waiting | undefined)[] = [];
  #first = 0;
  #averageMs: number | undefined;

  /**
   * @param most claims that may wait.
   * @param slots tasks that are run at once.
   */
  constructor(
    private readonly most: number,
    private readonly slots: number,
  ) {}

  get size(): number {
    return this.#line.length - this.#first;
  }

  /** How many may wait, as tasks are now. */
  get room(): number {
    if (this.most === 0 || this.#averageMs === undefined) return 0;
    const worthwhile = Math.floor((this.slots * AHEAD_MS) / Math.max(this.#averageMs, 0.01));
    return Math.min(this.most, worthwhile);
  }

  /** How long a run took. */
  took(ms: number): void {
    this.#averageMs = this.#averageMs === undefined ? ms : this.#averageMs + (ms - this.#averageMs) * NEWEST;
  }

  add(claim: Claim, now: number): void {
    if (this.#first >= LEFT) {
      this.#line.splice(0, this.#first);
      this.#first = 0;
    }
    this.#line.push(new Waiting(claim, now));
  }

  wakeup({ tenantId, taskId }: { readonly tenantId: string; readonly taskId: string }): void {
    for (let at = this.#first; at < this.#line.length; at += 1) {
      const waiting = this.#line[at];
      const task = waiting?.claim.task;
      if (waiting && task?.task_id === taskId && task.tenant_id === tenantId) waiting.notified = true;
    }
  }

  /** The one that has waited longest. */
  next(): { readonly claim: Claim; readonly notified: boolean } | undefined {
    const next = this.#line[this.#first];
    if (!next) return undefined;
    this.#line[this.#first] = undefined;
    this.#first += 1;
    if (this.#first === this.#line.length) this.#first = this.#line.length = 0;
    return next;
  }

  /** Takes out those that have waited since before `since`. */
  takeOlder(since: number): readonly Claim[] {
    const taken: Claim[] = [];
    for (;;) {
      const first = this.#line[this.#first];
      if (!first || first.since > since) return taken;
      this.next();
      taken.push(first.claim);
    }
  }
}
